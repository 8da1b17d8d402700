import { type Address, parseAddress } from '../net/address.ts'
import { COMMA, readDigits, SEMICOLON, skipBlanks } from './characters.ts'
import { bad, type Field, good, type Parameters } from './field.ts'
import { isTokenAt, readParameters } from './parameters.ts'
import { readHostPort } from './read-host.ts'

/** One hop of the way back (RFC 3261 section 20.42). */
export interface Via {
  /** In upper case: UDP, TCP, TLS, WS, SCTP … */
  readonly transport: string
  /** Host name or address of sent-by, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number | undefined
  readonly branch: string | undefined
  /** Where the message came from, as the next hop saw it; undefined where absent or no address. */
  readonly received: Address | undefined
  /** RFC 3581: a port, or `asked` where the client asks for it to be filled in. */
  readonly rport: number | 'asked' | undefined
  /** All parameters, the ones above included. */
  readonly parameters: Parameters
}

/** Vias in one message; more are refused, since Max-Forwards starts at 70. */
const MOST_VIAS = 70

/** Reads the first hop of a Via value, that is, the top one of the first Via header. */
export function readVia(value: string | undefined): Field<Via> {
  if (value === undefined) return bad('missing-header')
  const element = readViaAt(value, 0)
  return element.ok ? good(element.value.via) : element
}

/** Reads every hop of all Via headers, top first. */
export function readVias(values: readonly string[]): Field<readonly Via[]> {
  const vias: Via[] = []
  for (const value of values) {
    let at = 0
    while (at < value.length) {
      const element = readViaAt(value, at)
      if (!element.ok) return element
      if (vias.length === MOST_VIAS) return bad('too-many-values')
      vias.push(element.value.via)
      at = element.value.end + 1
    }
  }
  return vias.length === 0 ? bad('missing-header') : good(vias)
}

/** Reads the hop that starts at `at`; `end` is the comma behind it or the end of the value. */
export function readViaAt(value: string, at: number): Field<{ via: Via; end: number }> {
  const name = readPart(value, at)
  const version = name && value[name.next] === '/' ? readPart(value, name.next + 1) : undefined
  const transport = version && value[version.next] === '/' ? readPart(value, version.next + 1) : undefined
  if (!transport || name?.part.toUpperCase() !== 'SIP' || version?.part !== '2.0') return bad('bad-via')

  let sentByEnd = transport.next
  while (sentByEnd < value.length && !endsSentBy(value.charCodeAt(sentByEnd))) sentByEnd++
  // Without a blank before it the host would have been part of the transport.
  const sentBy = readHostPort(value.slice(transport.next, sentByEnd).trim())
  if (!sentBy) return bad('bad-via')

  const rest = readParameters(value, sentByEnd, 'bad-via')
  if (!rest.ok) return rest
  const { parameters, end } = rest
  return good({
    via: {
      transport: transport.part.toUpperCase(),
      ...sentBy,
      branch: parameters.get('branch'),
      received: readReceived(parameters.get('received')),
      rport: readRport(parameters.get('rport')),
      parameters,
    },
    end,
  })
}

/** A token with blanks around it. */
function readPart(value: string, at: number): { part: string; next: number } | undefined {
  const start = skipBlanks(value, at)
  let end = start
  while (end < value.length && isTokenAt(value, end)) end++
  return end === start ? undefined : { part: value.slice(start, end), next: skipBlanks(value, end) }
}

function endsSentBy(code: number): boolean {
  return code === SEMICOLON || code === COMMA
}

/** Both forms of RFC 5118 section 4.5: with brackets and without. */
function readReceived(text: string | undefined): Address | undefined {
  if (text === undefined) return undefined
  const bare = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  return parseAddress(bare)
}

function readRport(text: string | undefined): number | 'asked' | undefined {
  if (text === undefined) return undefined
  if (text === '') return 'asked'
  const port = readDigits(text, 5)
  return port === undefined || port === 0 || port > 65_535 ? undefined : port
}
