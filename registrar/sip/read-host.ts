import { parseAddress } from '../net/address.ts'
import { COLON, consistsOf, HOST, readDigits } from './characters.ts'

export interface HostPort {
  /**
   * A host name in lower case, or an address in its normal form: an IPv6 address without brackets, an IPv4-mapped
   * one as IPv4.
   */
  readonly host: string
  readonly port: number | undefined
}

/**
 * Reads `host`, `host:port`, `[v6]` or `[v6]:port` (RFC 3261 section 25.1, RFC 5118), blanks around the colon
 * allowed. An IPv6 address without brackets is refused: nobody can tell its port (RFC 5118 section 4.1).
 */
export function readHostPort(text: string): HostPort | undefined {
  if (text.startsWith('[')) {
    const close = text.indexOf(']')
    // The longest text of an IPv6 address has 45 characters.
    if (close < 0 || close > 46) return undefined
    const inner = text.slice(1, close)
    const address = inner.includes(':') ? parseAddress(inner) : undefined
    return address && withPort(address, text.slice(close + 1).trim())
  }
  const colon = text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon).trimEnd()
  if (!isHostName(name)) return undefined
  return withPort(name.toLowerCase(), colon < 0 ? '' : text.slice(colon))
}

/** How a host stands in a URI or a Via: an IPv6 address in brackets. */
export function writeHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function withPort(host: string, rest: string): HostPort | undefined {
  if (rest === '') return { host, port: undefined }
  if (rest.charCodeAt(0) !== COLON) return undefined
  const port = readDigits(rest.slice(1).trim(), 5)
  return port === undefined || port === 0 || port > 65_535 ? undefined : { host, port }
}

/** RFC 1035 allows 253 characters; underscores are no host name but stand in many. */
function isHostName(name: string): boolean {
  return name.length <= 253 && consistsOf(HOST, name) && !name.startsWith('.') && !name.startsWith('-')
}
