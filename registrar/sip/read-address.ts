import type { Seconds } from '../net/time.ts'
import { COMMA, isBlank, LESS, QUOTE, SEMICOLON, skipBlanks } from './characters.ts'
import { bad, type Field, good, type Parameters } from './field.ts'
import { DEFAULT_SIP_LIMITS, type SipLimits } from './message.ts'
import { endOfQuoted, readParameters, unquote } from './parameters.ts'
import { MALFORMED_EXPIRES, readExpires } from './read-expires.ts'

/** A name-addr or addr-spec with the parameters behind it: From, To, Contact, Route … (RFC 3261 section 20.10). */
export interface NameAddress {
  /** Quotes and escapes undone; undefined where there is none. */
  readonly displayName: string | undefined
  /** The URI as written, for `readUri`. */
  readonly uri: string
  /** The header's parameters (`tag` …), not the URI's. */
  readonly parameters: Parameters
}

export interface Contact extends NameAddress {
  /** 0 to 1, of a `q` parameter that is one. */
  readonly q: number | undefined
  /** Of the `expires` parameter; a malformed one is 3600 (RFC 3261 section 10.3). */
  readonly expires: Seconds | undefined
}

/** The Contacts of a REGISTER: `*`, or a list, which is empty where there is no Contact. */
export type Contacts =
  | { readonly kind: 'all' }
  | { readonly kind: 'list'; readonly contacts: readonly Contact[] }

/** Addresses in one message; more are refused as `too-many-values`. */
export const MOST_ADDRESSES = 64

/** Reads a From or To value: exactly one address. */
export function readAddress(value: string | undefined, limits?: SipLimits): Field<NameAddress> {
  if (value === undefined) return bad('missing-header')
  const element = readAddressAt(value, 0, limits)
  if (!element.ok) return element
  return element.value.end === value.length ? good(element.value.address) : bad('bad-address')
}

/** Reads the comma-separated addresses of all headers of one name, in order. Empty elements are passed over. */
export function readAddressList(
  values: readonly string[],
  limits?: SipLimits,
): Field<readonly NameAddress[]> {
  const addresses: NameAddress[] = []
  for (const value of values) {
    let at = skipCommas(value, 0)
    while (at < value.length) {
      const element = readAddressAt(value, at, limits)
      if (!element.ok) return element
      if (addresses.length === MOST_ADDRESSES) return bad('too-many-values')
      addresses.push(element.value.address)
      at = skipCommas(value, element.value.end)
    }
  }
  return good(addresses)
}

/** Reads the Contact headers of a REGISTER. `*` beside anything else is `bad-address` (RFC 3261 section 10.2.2). */
export function readContacts(values: readonly string[], limits?: SipLimits): Field<Contacts> {
  if (values.length === 1 && values[0] === '*') return good({ kind: 'all' })
  const addresses = readAddressList(values, limits)
  if (!addresses.ok) return addresses
  return good({ kind: 'list', contacts: addresses.value.map(contactOf) })
}

function contactOf(address: NameAddress): Contact {
  const written = address.parameters.get('expires')
  const expires = written === undefined ? undefined : readExpires(written)
  return {
    ...address,
    q: readQ(address.parameters.get('q')),
    expires: expires === undefined ? undefined : expires.ok ? expires.value : MALFORMED_EXPIRES,
  }
}

/** Reads the address at `at`; `end` is the comma behind it or the end of the value. */
function readAddressAt(
  value: string,
  at: number,
  limits: SipLimits = DEFAULT_SIP_LIMITS,
): Field<{ address: NameAddress; end: number }> {
  at = skipBlanks(value, at)
  let displayName: string | undefined
  let uri: string
  let next: number
  if (value.charCodeAt(at) === QUOTE) {
    const end = endOfQuoted(value, at)
    if (end < 0) return bad('bad-address')
    displayName = unquote(value, at, end)
    at = skipBlanks(value, end)
    if (value.charCodeAt(at) !== LESS) return bad('bad-address')
  }
  const stop = displayName === undefined ? endOfBare(value, at) : at
  if (value.charCodeAt(stop) === LESS) {
    const close = value.indexOf('>', stop)
    if (close < 0) return bad('bad-address')
    // Whatever tokens stand before the bracket are a name (RFC 3261 section 25.1 display-name).
    if (stop > at) displayName = value.slice(at, stop).trimEnd()
    uri = value.slice(stop + 1, close).trim()
    next = close + 1
  } else {
    uri = value.slice(at, stop).trimEnd()
    next = stop
    // A bare URI holds no parameters of its own, and so no `?` (RFC 3261 section 20.10, RFC 4475 section 3.1.2.11).
    if (uri.includes('?') || !uri.includes(':')) return bad('bad-address')
  }
  if (uri.length > limits.uriBytes) return bad('uri-too-long')
  if (uri === '' || hasBlank(uri)) return bad('bad-address')
  const rest = readParameters(value, next, 'bad-address')
  if (!rest.ok) return rest
  return good({ address: { displayName, uri, parameters: rest.parameters }, end: rest.end })
}

/** Where a display name without quotes or a bare URI ends: at `<`, or else at the first `;` or `,`. */
function endOfBare(value: string, at: number): number {
  while (at < value.length) {
    const code = value.charCodeAt(at)
    if (code === LESS || code === SEMICOLON || code === COMMA || code === QUOTE) return at
    at++
  }
  return at
}

function skipCommas(value: string, at: number): number {
  while (at < value.length && (value.charCodeAt(at) === COMMA || isBlank(value.charCodeAt(at)))) at++
  return at
}

function hasBlank(text: string): boolean {
  return text.includes(' ') || text.includes('\t')
}

function readQ(text: string | undefined): number | undefined {
  if (text === undefined || !/^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text)) return undefined
  return Number(text)
}
