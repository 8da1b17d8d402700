import { isDigit } from './characters.ts'
import { bad, type Field, good, type Parameters } from './field.ts'
import { DEFAULT_SIP_LIMITS, type SipLimits } from './message.ts'
import { MOST_PARAMETERS } from './parameters.ts'
import { readHostPort, writeHost } from './read-host.ts'

/** A sip or sips URI (RFC 3261 section 19.1). */
export interface SipUri {
  readonly scheme: 'sip' | 'sips'
  /** As written, escapes kept. Compare users by `aorOf`. */
  readonly user: string | undefined
  readonly password: string | undefined
  /** A host name in lower case, or an address in normal form, IPv6 without brackets. */
  readonly host: string
  readonly port: number | undefined
  readonly parameters: Parameters
  /** What stands behind `?`, in order, escapes kept. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

/** A tel URI (RFC 3966). */
export interface TelUri {
  readonly scheme: 'tel'
  /** Without visual separators: `+12015550123`. */
  readonly number: string
  readonly parameters: Parameters
}

export type Uri = SipUri | TelUri

/** Reads a sip, sips or tel URI, without angle brackets. Other schemes are `bad-uri`. */
export function readUri(text: string | undefined, limits: SipLimits = DEFAULT_SIP_LIMITS): Field<Uri> {
  if (text === undefined) return bad('missing-header')
  if (text.length > limits.uriBytes) return bad('uri-too-long')
  for (let i = 0; i < text.length; i++) if (cannotStandInUri(text.charCodeAt(i))) return bad('bad-uri')
  const colon = text.indexOf(':')
  if (colon < 3 || colon > 4) return bad('bad-uri')
  const scheme = text.slice(0, colon).toLowerCase()
  const rest = text.slice(colon + 1)
  if (scheme === 'tel') return readTel(rest)
  return scheme === 'sip' || scheme === 'sips' ? readSip(scheme, rest) : bad('bad-uri')
}

/**
 * The address of record that a URI names: `user@host`, or the host alone. Canonical as RFC 3261 section 10.3 asks:
 * password, port, parameters and headers dropped, host in lower case, escapes undone. Characters that a user part
 * may not hold plainly are escaped again, in upper case, so the text is ASCII and holds no space, control character
 * or second `@`. Two URIs are of one AOR exactly when these texts are equal.
 */
export function aorOf(uri: Uri): string {
  if (uri.scheme === 'tel') return canonicalUser(uri.number)
  const host = writeHost(uri.host)
  return uri.user === undefined ? host : `${canonicalUser(uri.user)}@${host}`
}

/** Undoes `%HH` escapes and reads the bytes as UTF-8. */
export function unescapeUri(text: string): string {
  return text.includes('%') ? bytesOfEscaped(text).toString('utf8') : text
}

function readSip(scheme: 'sip' | 'sips', rest: string): Field<SipUri> {
  // An `@` stands unescaped nowhere but behind the user, whose part may hold `;` and `?`.
  const at = rest.indexOf('@')
  let user: string | undefined
  let password: string | undefined
  if (at >= 0) {
    const info = rest.slice(0, at)
    const colon = info.indexOf(':')
    user = colon < 0 ? info : info.slice(0, colon)
    password = colon < 0 ? undefined : info.slice(colon + 1)
    if (user === '' || !escapesAreWhole(info)) return bad('bad-uri')
  }
  const question = rest.indexOf('?', at + 1)
  const beforeHeaders = question < 0 ? rest : rest.slice(0, question)
  const semicolon = beforeHeaders.indexOf(';', at + 1)
  const hostPort = readHostPort(beforeHeaders.slice(at + 1, semicolon < 0 ? undefined : semicolon))
  if (!hostPort) return bad('bad-uri')
  const parameters = readUriParameters(semicolon < 0 ? '' : beforeHeaders.slice(semicolon + 1))
  if (!parameters.ok) return parameters
  const headers = question < 0 ? [] : rest.slice(question + 1).split('&', MOST_PARAMETERS + 1)
  if (headers.length > MOST_PARAMETERS) return bad('too-many-parameters')
  return good({
    scheme,
    user,
    password,
    ...hostPort,
    parameters: parameters.value,
    headers: headers.map((header) => splitPair(header)),
  })
}

function readTel(rest: string): Field<TelUri> {
  const semicolon = rest.indexOf(';')
  const written = semicolon < 0 ? rest : rest.slice(0, semicolon)
  const number = written.replace(/[-.()]/g, '')
  const digits = number.startsWith('+') ? number.slice(1) : number
  const isLocal = !number.startsWith('+')
  if (digits === '') return bad('bad-uri')
  for (let i = 0; i < digits.length; i++) {
    if (!isDigit(digits.charCodeAt(i)) && !(isLocal && /[0-9a-fA-F*#]/.test(digits[i]!)))
      return bad('bad-uri')
  }
  const parameters = readUriParameters(semicolon < 0 ? '' : rest.slice(semicolon + 1))
  return parameters.ok ? good({ scheme: 'tel', number, parameters: parameters.value }) : parameters
}

function readUriParameters(text: string): Field<Parameters> {
  const parameters = new Map<string, string>()
  if (text === '') return good(parameters)
  const parts = text.split(';', MOST_PARAMETERS + 1)
  if (parts.length > MOST_PARAMETERS) return bad('too-many-parameters')
  for (const part of parts) {
    if (part === '') continue
    const [written, value] = splitPair(part)
    const name = written.toLowerCase()
    if (name === '') return bad('bad-uri')
    if (parameters.has(name)) return bad('duplicate-parameter')
    parameters.set(name, value)
  }
  return good(parameters)
}

function splitPair(text: string): readonly [string, string] {
  const equals = text.indexOf('=')
  return equals < 0 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)]
}

/** Control characters, blanks, quotes and angle brackets end a URI wherever they stand. */
function cannotStandInUri(code: number): boolean {
  return code <= 0x20 || code === 0x22 || code === 0x3c || code === 0x3e || code === 0x7f
}

function escapesAreWhole(text: string): boolean {
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at + 3)) {
    if (hexAt(text, at + 1) < 0 || hexAt(text, at + 2) < 0) return false
  }
  return true
}

function canonicalUser(user: string): string {
  let plain = true
  for (let i = 0; i < user.length && plain; i++) plain = isPlain(user.charCodeAt(i))
  if (plain) return user
  const parts: string[] = []
  for (const byte of bytesOfEscaped(user)) {
    parts.push(
      isPlain(byte) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
    )
  }
  return parts.join('')
}

/** unreserved and user-unreserved of RFC 3261 section 25.1. */
function isPlain(code: number): boolean {
  return code < 128 && PLAIN[code] === 1
}

const PLAIN = new Uint8Array(128)
for (const char of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()&=+$,;?/") {
  PLAIN[char.charCodeAt(0)] = 1
}

function bytesOfEscaped(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  let length = 0
  for (let at = 0; at < bytes.length; at++) {
    const high = bytes[at] === 0x25 ? hexDigit(bytes[at + 1]) : -1
    const low = high < 0 ? -1 : hexDigit(bytes[at + 2])
    if (low < 0) {
      bytes[length++] = bytes[at]!
    } else {
      bytes[length++] = high * 16 + low
      at += 2
    }
  }
  return bytes.subarray(0, length)
}

function hexAt(text: string, at: number): number {
  return hexDigit(text.charCodeAt(at))
}

function hexDigit(code: number | undefined): number {
  if (code === undefined || Number.isNaN(code)) return -1
  if (isDigit(code)) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
