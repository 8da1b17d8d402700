import { type Authentication, authenticate, type RegistrarState } from './authenticate.ts'
import type { Binding, BindingChange, Transport } from './binding.ts'
import type { DigestAlgorithm } from './digest.ts'
import type { Source } from './net/address.ts'
import type { EpochMilliseconds } from './net/time.ts'
import { type Envelope, readEnvelope, readWish, userAgentOf } from './register-order.ts'
import type { SipRequest } from './sip/message.ts'
import { respond } from './sip/respond.ts'
import type { HeaderPair } from './sip/write-message.ts'

/** What became of a request. */
export type RequestOutcome =
  | Exclude<Authentication, { kind: 'authenticated' | 'malformed' }>
  /** Authenticated and done. */
  | { readonly kind: 'success'; readonly account: string; readonly wish: 'fetch' | 'remove-all' | 'set' }
  /** Answered with a status that says no, for another cause than the password. */
  | { readonly kind: 'refused'; readonly account: string; readonly status: number; readonly reason: string }
  /** A request that is no REGISTER, answered as it should be. */
  | { readonly kind: 'answered'; readonly account: string; readonly status: number }
  | { readonly kind: 'ignored'; readonly account: string; readonly reason: 'ack' | 'no-usable-via' }

export interface Handled {
  readonly outcome: RequestOutcome
  /** The bytes to send back; undefined where there is to be no answer. */
  readonly response: Buffer | undefined
  readonly userAgent: string
  readonly changes: readonly BindingChange[]
  /**
   * Whether a retransmission must get this very answer again. Only for requests that proved their return path, so
   * that forged ones leave nothing behind.
   */
  readonly remember: boolean
}

const NOTHING: readonly BindingChange[] = []
const ALLOW: HeaderPair = ['Allow', 'REGISTER, OPTIONS']

/**
 * Answers a REGISTER (RFC 3261 section 10.3). All state is in `state`; no clock, no sockets.
 *
 * A wrong password and an account that is not there get the same 403: the request is not to be repeated, which keeps
 * phones from hurrying through their retries, and nobody learns which accounts exist. A suspended account gets 403
 * at that address; a locked-out address gets no answer, as from the kernel.
 */
export function handleRegister(
  request: SipRequest,
  source: Source,
  transport: Transport,
  now: EpochMilliseconds,
  state: RegistrarState,
): Handled {
  const reply = replier(request, source)
  const envelope = readEnvelope(request)
  if (envelope.kind !== 'envelope') return unusable(envelope, reply)
  const { target } = envelope
  if (target === '') return reply.refuse('', 400, 'To Names No Account')

  const who = authenticate(request, target, source, now, state)
  switch (who.kind) {
    case 'challenge':
    case 'stale':
      return reply.with(who, 401, challengesOf(who, source, now, state))
    case 'suspended':
      return reply.with(who, 403)
    case 'failure':
      return reply.with(who, 403, [], { remember: true })
    case 'locked-out':
      return reply.silently(who)
    case 'malformed':
      return reply.refuse(who.account, 400, who.reason)
    case 'authenticated':
  }

  const { user } = who.account
  if (user !== target) return reply.refuse(user, 403)
  const required = request.all('require')
  if (required.length > 0) return reply.refuse(user, 420, undefined, [['Unsupported', required.join(', ')]])
  const reading = readWish(request)
  if (reading.kind === 'malformed') return reply.refuse(user, 400, reading.reason)

  const { callId, cseq } = envelope
  const { wish } = reading
  const userAgent = reply.userAgent
  const result = state.bindings.register({ user, callId, cseq, source, transport, userAgent, wish }, now)
  switch (result.kind) {
    case 'done': {
      const outcome = { kind: 'success', account: user, wish: wish.kind } as const
      const contacts = result.bindings.map((binding) => contactHeader(binding, now))
      return reply.with(outcome, 200, contacts, { remember: true, changes: result.changes })
    }
    case 'too-brief':
      return reply.refuse(user, 423, undefined, [['Min-Expires', String(result.minExpires)]])
    case 'out-of-order':
      return reply.refuse(user, 500, 'Out Of Order')
    case 'too-many':
      return reply.refuse(user, 403, 'Too Many Bindings')
    case 'full':
      return reply.refuse(user, 503, undefined, [['Retry-After', '60']])
  }
}

/** Answers any request: REGISTER as above, OPTIONS (which phones send to keep a NAT open), and the rest with a no. */
export function handleRequest(
  request: SipRequest,
  source: Source,
  transport: Transport,
  now: EpochMilliseconds,
  state: RegistrarState,
): Handled {
  if (request.method === 'REGISTER') return handleRegister(request, source, transport, now, state)
  const reply = replier(request, source)
  // An ACK is never answered (RFC 3261 section 17.1.1.3).
  if (request.method === 'ACK') return reply.silently({ kind: 'ignored', account: '', reason: 'ack' })
  const envelope = readEnvelope(request)
  if (envelope.kind !== 'envelope') return unusable(envelope, reply)
  const account = envelope.target
  switch (request.method) {
    case 'OPTIONS':
      return reply.with({ kind: 'answered', account, status: 200 }, 200, [ALLOW])
    case 'CANCEL':
    case 'BYE':
      return reply.with({ kind: 'answered', account, status: 481 }, 481)
    default:
      return reply.with({ kind: 'answered', account, status: 405 }, 405, [ALLOW])
  }
}

type Replier = ReturnType<typeof replier>

function replier(request: SipRequest, source: Source) {
  const userAgent = userAgentOf(request)
  const reply = {
    userAgent,
    with(
      outcome: RequestOutcome,
      status: number,
      headers: readonly HeaderPair[] = [],
      more: { remember?: boolean; changes?: readonly BindingChange[]; reasonPhrase?: string } = {},
    ): Handled {
      const { remember = false, changes = NOTHING, reasonPhrase } = more
      const phrase = reasonPhrase === undefined ? {} : { reasonPhrase }
      const response = respond(request, { status, headers, receivedFrom: source, ...phrase })
      return { outcome, response, userAgent, changes, remember }
    },
    refuse(account: string, status: number, reason?: string, headers: readonly HeaderPair[] = []): Handled {
      const outcome = { kind: 'refused', account, status, reason: reason ?? String(status) } as const
      // What came before authentication is not worth remembering: it is refused again just so.
      const remember = status !== 400
      return reply.with(
        outcome,
        status,
        headers,
        reason === undefined ? { remember } : { remember, reasonPhrase: reason },
      )
    },
    silently(outcome: RequestOutcome): Handled {
      return { outcome, response: undefined, userAgent, changes: NOTHING, remember: false }
    },
  }
  return reply
}

function unusable(envelope: Exclude<Envelope, { kind: 'envelope' }>, reply: Replier): Handled {
  if (envelope.kind === 'malformed') return reply.refuse('', 400, envelope.reason)
  return reply.silently({ kind: 'ignored', account: '', reason: 'no-usable-via' })
}

/**
 * One challenge an algorithm (RFC 8760 section 2.3), all with the same nonce, since a phone uses one of them. An
 * account that has the hash of only one algorithm is offered just that one.
 */
function challengesOf(
  who: { kind: string; account: string },
  source: Source,
  now: EpochMilliseconds,
  state: RegistrarState,
): HeaderPair[] {
  const nonce = state.nonces.issue(source.address, now)
  const stale = who.kind === 'stale' ? ',stale=true' : ''
  return offeredTo(who.account, state).map((algorithm) => [
    'WWW-Authenticate',
    `Digest realm="${state.accounts.realm}",nonce="${nonce}",algorithm=${algorithm},qop="auth"${stale}`,
  ])
}

function offeredTo(account: string, state: RegistrarState): readonly DigestAlgorithm[] {
  const ha1 = state.accounts.find(account)?.ha1
  if (ha1 === undefined || (ha1.md5 !== undefined && ha1.sha256 !== undefined)) return state.algorithms
  return [ha1.md5 === undefined ? 'SHA-256' : 'MD5']
}

function contactHeader(binding: Binding, now: EpochMilliseconds): HeaderPair {
  const expires = Math.ceil((binding.expiresAt - now) / 1000)
  const q = binding.q === 1 ? '' : `;q=${binding.q}`
  const quotable = binding.instance !== null && /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(binding.instance)
  const instance = quotable ? `;+sip.instance="${binding.instance}"` : ''
  return ['Contact', `<${binding.contact}>;expires=${expires}${q}${instance}`]
}
