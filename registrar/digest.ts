import { hash as hashOnce, timingSafeEqual } from 'node:crypto'
import type { DigestCredentials } from './sip/read-authorization.ts'

/** What is offered and accepted (RFC 8760 section 2.1; SHA-512/256 is left out: no phone in the field has it). */
export type DigestAlgorithm = 'MD5' | 'SHA-256'

/** H(user:realm:password) in lower-case hex, by algorithm: what is kept of a password. At least one is there. */
export interface DigestHashes {
  readonly md5?: string
  readonly sha256?: string
}

/** What of an Authorization header the digest is computed over (RFC 7616 section 3.4), checked for use. */
export interface DigestAnswer {
  readonly username: string
  readonly nonce: string
  readonly uri: string
  /** Lower-case hex. */
  readonly response: string
  readonly algorithm: DigestAlgorithm
  /**
   * Absent: the digest of RFC 2069 without client nonce and count, which old phones and several tools still send.
   * It is accepted with MD5 only, and its nonce is good for one request.
   */
  readonly protection?: DigestProtection
}

export interface DigestProtection {
  readonly cnonce: string
  /** Eight hex digits, as sent: they are hashed as text. */
  readonly nonceCount: string
}

export type DigestAnswerReading =
  | { readonly kind: 'answer'; readonly answer: DigestAnswer }
  | { readonly kind: 'unusable'; readonly cause: UnusableCredentials }

export type UnusableCredentials =
  | 'missing-parameter'
  | 'unknown-algorithm'
  | 'unknown-qop'
  | 'bad-nonce-count'
  | 'userhash'

/**
 * Checks credentials for what we can use. `userhash` and `auth-int` were not offered and are refused; a session
 * variant of an algorithm is refused as unknown.
 */
export function answerFrom(credentials: DigestCredentials): DigestAnswerReading {
  const { username, nonce, uri, response, cnonce, nc } = credentials
  if (credentials.userhash) return unusable('userhash')
  if (!username || !nonce || !uri || !response) return unusable('missing-parameter')
  const algorithm = algorithmOf(credentials.algorithm)
  if (!algorithm) return unusable('unknown-algorithm')
  const base = { username, nonce, uri, response, algorithm }
  if (credentials.qop === undefined) {
    return algorithm === 'MD5' ? { kind: 'answer', answer: base } : unusable('unknown-qop')
  }
  if (credentials.qop.toLowerCase() !== 'auth') return unusable('unknown-qop')
  if (!cnonce || nc === undefined) return unusable('missing-parameter')
  if (!/^[0-9a-fA-F]{8}$/.test(nc) || nc === '00000000') return unusable('bad-nonce-count')
  return { kind: 'answer', answer: { ...base, protection: { cnonce, nonceCount: nc } } }
}

/** The hashes to keep of a password. */
export function hashPassword(of: { user: string; realm: string; password: string }): Required<DigestHashes> {
  const text = `${of.user}:${of.realm}:${of.password}`
  return { md5: hash('MD5', text), sha256: hash('SHA-256', text) }
}

/** The `response` that credentials must carry, in lower-case hex (RFC 7616 section 3.4.1). */
export function digestResponse(
  ha1: string,
  method: string,
  answer: Omit<DigestAnswer, 'response' | 'username'>,
): string {
  const { nonce, uri, algorithm, protection } = answer
  const ha2 = hash(algorithm, `${method}:${uri}`)
  const middle = protection ? `${nonce}:${protection.nonceCount}:${protection.cnonce}:auth` : nonce
  return hash(algorithm, `${ha1}:${middle}:${ha2}`)
}

/**
 * Whether credentials fit an account's hashes. It takes the same work for an account that is not there (`undefined`)
 * or has no hash of that algorithm, so that the time of an answer does not tell which accounts exist.
 */
export function digestMatches(
  hashes: DigestHashes | undefined,
  method: string,
  answer: DigestAnswer,
): boolean {
  const ha1 = answer.algorithm === 'MD5' ? hashes?.md5 : hashes?.sha256
  const expected = Buffer.from(
    digestResponse(ha1 ?? NOBODY.slice(0, digestLength(answer.algorithm)), method, answer),
    'latin1',
  )
  const given = Buffer.from(answer.response.toLowerCase(), 'latin1')
  const equal = expected.length === given.length && timingSafeEqual(expected, given)
  return equal && ha1 !== undefined
}

/** The number of hex digits of a hash. */
export function digestLength(algorithm: DigestAlgorithm): number {
  return algorithm === 'MD5' ? 32 : 64
}

const NOBODY = '0'.repeat(64)

function algorithmOf(text: string | undefined): DigestAlgorithm | undefined {
  if (text === undefined) return 'MD5'
  const upper = text.toUpperCase()
  return upper === 'MD5' || upper === 'SHA-256' ? upper : undefined
}

function hash(algorithm: DigestAlgorithm, text: string): string {
  return hashOnce(algorithm === 'MD5' ? 'md5' : 'sha256', text, 'hex')
}

function unusable(cause: UnusableCredentials): DigestAnswerReading {
  return { kind: 'unusable', cause }
}
