import type { Account, Accounts } from './accounts.ts'
import type { Bindings } from './bindings.ts'
import { answerFrom, type DigestAlgorithm, digestMatches } from './digest.ts'
import type { Source } from './net/address.ts'
import type { EpochMilliseconds } from './net/time.ts'
import type { NonceIssuer } from './nonce.ts'
import type { NonceWindow } from './nonce-window.ts'
import type { PolicyOutcome, RetryPolicy } from './policy.ts'
import type { SipRequest } from './sip/message.ts'
import { type DigestCredentials, readCredentials } from './sip/read-authorization.ts'
import { readUri } from './sip/read-uri.ts'

/** Everything that the registrar knows and remembers; requests change it. */
export interface RegistrarState {
  readonly accounts: Accounts
  readonly bindings: Bindings
  readonly nonces: NonceIssuer
  readonly window: NonceWindow
  readonly policy: RetryPolicy
  /** Offered in this order: phones take the first that they know (RFC 8760 section 2.4). */
  readonly algorithms: readonly DigestAlgorithm[]
}

/** `account`: whom the request speaks for, as it says; `''` where it does not say. */
export type Authentication =
  | { readonly kind: 'authenticated'; readonly account: Account }
  /** No credentials for our realm that we could use. */
  | { readonly kind: 'challenge'; readonly account: string }
  /** The nonce is no longer good, or was not issued to this address, or its count was used: nothing is proven. */
  | { readonly kind: 'stale'; readonly account: string; readonly cause: 'expired' | 'foreign' | 'replayed' }
  | {
      readonly kind: 'failure'
      readonly account: string
      readonly cause: 'wrong-password' | 'unknown-account'
      readonly policy: PolicyOutcome
    }
  | { readonly kind: 'suspended'; readonly account: string; readonly until: EpochMilliseconds }
  | { readonly kind: 'locked-out'; readonly account: string; readonly until: EpochMilliseconds }
  | { readonly kind: 'malformed'; readonly account: string; readonly reason: string }

/**
 * Says who sent a request (RFC 7616, RFC 3261 section 22). `target` is the account that the request is about, which
 * counts where it carries no credentials.
 *
 * A nonce that is not ours is answered `stale` without a look at the password: whoever has the right one goes on
 * with the fresh nonce, and a guesser learns nothing from it that was not counted.
 */
export function authenticate(
  request: SipRequest,
  target: string,
  source: Source,
  now: EpochMilliseconds,
  state: RegistrarState,
): Authentication {
  const found = findCredentials(request, state.accounts.realm)
  const account = (found.kind === 'found' ? found.credentials.username : target).slice(0, LONGEST_ACCOUNT)
  const refusal = refusalOf(account, source, now, state)
  if (refusal) return refusal
  if (found.kind === 'none') return { kind: 'challenge', account }
  if (found.kind === 'unreadable') return { kind: 'malformed', account, reason: 'Bad Authorization' }

  const reading = answerFrom(found.credentials)
  if (reading.kind === 'unusable') {
    if (reading.cause === 'bad-nonce-count') return { kind: 'malformed', account, reason: 'Bad Nonce Count' }
    return { kind: 'challenge', account }
  }
  const { answer } = reading
  if (!isSameResource(answer.uri, request.uri))
    return { kind: 'malformed', account, reason: 'Bad Digest URI' }

  const nonce = state.nonces.check(answer.nonce, source.address, now)
  if (nonce.kind !== 'own') return { kind: 'stale', account, cause: nonce.kind }
  const count = answer.protection ? Number.parseInt(answer.protection.nonceCount, 16) : 0
  if (!state.window.use({ nonce: answer.nonce, issuedAt: nonce.issuedAt, count }, now)) {
    return { kind: 'stale', account, cause: 'replayed' }
  }

  const known = state.accounts.find(account)
  if (digestMatches(known?.ha1, request.method, answer) && known) {
    state.policy.recordSuccess({ account, source, at: now })
    return { kind: 'authenticated', account: known }
  }
  const policy = state.policy.recordFailure({ account, source, at: now, grade: 'path' })
  return { kind: 'failure', account, cause: known ? 'wrong-password' : 'unknown-account', policy }
}

/** What stands against this account at this source, if anything. A phone that is registered from there is spared. */
function refusalOf(account: string, source: Source, now: EpochMilliseconds, state: RegistrarState) {
  const lockedOut = state.policy.lockedOutUntil({ source, now })
  const suspended = state.policy.suspendedUntil({ account, source, now, proven: false })
  if (lockedOut === undefined && suspended === undefined) return undefined
  const proven = state.bindings.isAt({ user: account, source, now })
  if (lockedOut !== undefined && !proven) return { kind: 'locked-out', account, until: lockedOut } as const
  const until = state.policy.suspendedUntil({ account, source, now, proven })
  return until === undefined ? undefined : ({ kind: 'suspended', account, until } as const)
}

/** Twice as long as any account: a name that was cut is nobody's. */
const LONGEST_ACCOUNT = 128

type Found =
  | { readonly kind: 'found'; readonly credentials: DigestCredentials }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable' }

/** The credentials for our realm; others are for proxies on the way. */
function findCredentials(request: SipRequest, realm: string): Found {
  let unreadable = false
  for (const value of request.all('authorization')) {
    const credentials = readCredentials(value)
    if (!credentials.ok) unreadable = true
    else if (credentials.value.kind === 'digest' && credentials.value.realm === realm) {
      return { kind: 'found', credentials: credentials.value }
    }
  }
  return { kind: unreadable ? 'unreadable' : 'none' }
}

/** RFC 7616 section 3.4.6. Only hosts are compared: a proxy on the way may have put in a port or a parameter. */
function isSameResource(digestUri: string, requestUri: string): boolean {
  if (digestUri === requestUri) return true
  const [a, b] = [readUri(digestUri), readUri(requestUri)]
  if (!a.ok || !b.ok || a.value.scheme === 'tel' || b.value.scheme === 'tel') return false
  return a.value.host === b.value.host
}
