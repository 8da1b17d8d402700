import { COMMA, EQUALS, QUOTE, skipBlanks } from './characters.ts'
import { bad, type Field, type FieldFailure, good } from './field.ts'
import { endOfQuoted, isTokenAt, MOST_PARAMETERS, unquote } from './parameters.ts'
import { unescapeUri } from './read-uri.ts'

/** What a client answers a challenge with (RFC 3261 section 20.7, RFC 7616 section 3.4, RFC 8760). */
export interface DigestCredentials {
  readonly kind: 'digest'
  /** From `username`, or decoded from `username*`. May be empty, as in the first REGISTER of an IMS phone. */
  readonly username: string
  readonly realm: string
  readonly nonce: string
  readonly uri: string
  /** In lower case. */
  readonly response: string
  /** As written (`MD5`, `SHA-256`, `MD5-sess` …); undefined means MD5. */
  readonly algorithm: string | undefined
  readonly cnonce: string | undefined
  readonly opaque: string | undefined
  /** As written: `auth`, `auth-int`. */
  readonly qop: string | undefined
  /** The nonce count as written: eight hexadecimal digits. */
  readonly nc: string | undefined
  /** Whether `username` is a hash (RFC 7616 section 3.4.4). */
  readonly userhash: boolean
}

/** What a server asks for in WWW-Authenticate or Proxy-Authenticate (RFC 7616 section 3.3). */
export interface DigestChallenge {
  readonly kind: 'digest'
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | undefined
  readonly algorithm: string | undefined
  /** The offered qop values in lower case; empty where none is offered. */
  readonly qop: readonly string[]
  readonly stale: boolean
  readonly domain: string | undefined
  readonly userhash: boolean
}

/** A scheme that is not Digest (RFC 4475 section 3.3.7 has one). */
export interface OtherScheme {
  readonly kind: 'other'
  readonly scheme: string
}

/** Reads an Authorization or Proxy-Authorization value. A parameter that comes twice is a fault. */
export function readCredentials(value: string | undefined): Field<DigestCredentials | OtherScheme> {
  const reading = readDigest(value)
  if (!reading.ok || reading.value.kind === 'other') return reading as Field<OtherScheme>
  const { parameters } = reading.value
  const username = readUsername(parameters)
  const realm = parameters.get('realm')
  const nonce = parameters.get('nonce')
  const uri = parameters.get('uri')
  const response = parameters.get('response')
  const nc = parameters.get('nc')
  if (username === undefined || realm === undefined || nonce === undefined) return bad('bad-authorization')
  if (uri === undefined || response === undefined) return bad('bad-authorization')
  if (nc !== undefined && !/^[0-9a-fA-F]{8}$/.test(nc)) return bad('bad-authorization')
  return good({
    kind: 'digest',
    username,
    realm,
    nonce,
    uri,
    response: response.toLowerCase(),
    algorithm: parameters.get('algorithm'),
    cnonce: parameters.get('cnonce'),
    opaque: parameters.get('opaque'),
    qop: parameters.get('qop'),
    nc,
    userhash: isTrue(parameters.get('userhash')),
  })
}

/** Reads a WWW-Authenticate or Proxy-Authenticate value. */
export function readChallenge(value: string | undefined): Field<DigestChallenge | OtherScheme> {
  const reading = readDigest(value)
  if (!reading.ok || reading.value.kind === 'other') return reading as Field<OtherScheme>
  const { parameters } = reading.value
  const realm = parameters.get('realm')
  const nonce = parameters.get('nonce')
  if (realm === undefined || nonce === undefined) return bad('bad-authorization')
  return good({
    kind: 'digest',
    realm,
    nonce,
    opaque: parameters.get('opaque'),
    algorithm: parameters.get('algorithm'),
    qop: (parameters.get('qop') ?? '').toLowerCase().split(',', 16).map(trim).filter(Boolean),
    stale: isTrue(parameters.get('stale')),
    domain: parameters.get('domain'),
    userhash: isTrue(parameters.get('userhash')),
  })
}

type Digest = { readonly kind: 'digest'; readonly parameters: ReadonlyMap<string, string> } | OtherScheme

/** Reads the scheme and, of Digest, the comma-separated parameters, quoted or not whichever the RFC asks for. */
function readDigest(value: string | undefined): Field<Digest> {
  if (value === undefined) return bad('missing-header')
  let at = 0
  while (at < value.length && isTokenAt(value, at)) at++
  const scheme = value.slice(0, at)
  if (scheme === '') return bad('bad-authorization')
  if (scheme.toLowerCase() !== 'digest') return good({ kind: 'other', scheme })
  const parameters = readCommaParameters(value, at)
  return parameters instanceof Map ? good({ kind: 'digest', parameters }) : parameters
}

function readCommaParameters(value: string, at: number): Map<string, string> | FieldFailure {
  const parameters = new Map<string, string>()
  at = skipBlanks(value, at)
  for (let count = 0; at < value.length; count++) {
    if (count > 2 * MOST_PARAMETERS) return bad('too-many-parameters')
    if (value.charCodeAt(at) === COMMA) {
      at = skipBlanks(value, at + 1)
      continue
    }
    const nameStart = at
    while (at < value.length && isTokenAt(value, at)) at++
    const name = value.slice(nameStart, at).toLowerCase()
    at = skipBlanks(value, at)
    if (name === '' || value.charCodeAt(at) !== EQUALS) return bad('bad-authorization')
    at = skipBlanks(value, at + 1)
    const start = at
    let content: string
    if (value.charCodeAt(at) === QUOTE) {
      at = endOfQuoted(value, at)
      if (at < 0) return bad('bad-authorization')
      content = unquote(value, start, at)
    } else {
      while (at < value.length && value.charCodeAt(at) !== COMMA && value.charCodeAt(at) !== QUOTE) at++
      content = value.slice(start, at).trimEnd()
    }
    at = skipBlanks(value, at)
    if (at < value.length && value.charCodeAt(at) !== COMMA) return bad('bad-authorization')
    if (parameters.has(name)) return bad('duplicate-parameter')
    parameters.set(name, content)
  }
  return parameters
}

/** `username*` is `UTF-8''` and escaped bytes (RFC 8187); both names at once are refused (RFC 7616 section 3.4). */
function readUsername(parameters: ReadonlyMap<string, string>): string | undefined {
  const plain = parameters.get('username')
  const extended = parameters.get('username*')
  if (extended === undefined) return plain
  if (plain !== undefined || !extended.toLowerCase().startsWith("utf-8'")) return undefined
  const content = extended.indexOf("'", "utf-8'".length)
  return content < 0 ? undefined : unescapeUri(extended.slice(content + 1))
}

function isTrue(text: string | undefined): boolean {
  return text?.toLowerCase() === 'true'
}

function trim(text: string): string {
  return text.trim()
}
