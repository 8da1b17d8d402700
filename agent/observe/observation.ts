import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { SipFault } from '../../registrar/sip/message.ts'

export type Transport = 'udp' | 'tcp'

/**
 * How far the sender's claim to be its source address is proven. `packet`: anybody can write any address.
 * `path`: it used a nonce that was sent to this address and to no other, or finished a TCP handshake, so it
 * receives what is sent there. `account`: a success over such a nonce, so it also knows the password.
 */
export type Grade = 'packet' | 'path' | 'account'

/** A REGISTER on its way to the softswitch. */
export interface RegisterSeen {
  readonly kind: 'register'
  readonly time: EpochMilliseconds
  readonly source: Source
  readonly transport: Transport
  /** `user@host` of the To header; empty where it cannot be read. */
  readonly account: string
  readonly userAgent: string
  /** It answers a challenge with a nonce that was issued to this address and to no other. */
  readonly answersOwnNonce: boolean
  /** It answers a challenge that was sent to this address, maybe to others too. */
  readonly answersChallenge: boolean
  /** It answers the challenge that was sent last to this very address and port. */
  readonly answersSentNonce: boolean
  /** It came to a port whose answers are not seen (half-sighted, blind): from the lack of them nothing follows. */
  readonly answersUnseen?: boolean
}

/**
 * How an exchange ended. `challenge`: the normal first half of a registration. `stale`: credentials over a nonce
 * that is too old, which is no failure. `failure`: credentials refused. `refused`: 403 or 404 without a challenge.
 * `silence`: no final answer within 32 s (64 × T1, RFC 3261 section 17.1.2.2); said only where an answer was due and
 * would have been seen: of a source that the kernel serves, on a port whose answers are seen.
 */
export type ExchangeOutcome =
  | 'challenge'
  | 'success'
  | 'failure'
  | 'stale'
  | 'refused'
  | 'redirect'
  | 'overload'
  | 'silence'
  | 'other'

/** A REGISTER with the final answer that the softswitch gave it. */
export interface ExchangeEnded {
  readonly kind: 'exchange'
  /** Of a request other than REGISTER, of which only failures are told. Absent: a REGISTER. */
  readonly method?: string
  readonly time: EpochMilliseconds
  readonly source: Source
  /** The softswitch's port that answered. */
  readonly serverPort: number
  readonly transport: Transport
  /** Who it was for: `user@host` of To, or the credentials' user name where that is another one. */
  readonly account: string
  readonly outcome: ExchangeOutcome
  /** 0 for silence. */
  readonly status: number
  /**
   * From the first time the request was seen to its final answer; null for silence and where the request was not
   * remembered: a bare REGISTER is only where somebody registered from exactly that address and port.
   */
  readonly answeredIn: Milliseconds | null
  /** The request's User-Agent, cut short; empty where the request was not remembered or has none. */
  readonly userAgent: string
  /** For a success: the contacts that the 200 lists (RFC 3261 section 10.3), a bounded few of them. */
  readonly bindings: readonly LearntBinding[]
  readonly grade: Grade
  /** The REGISTER carried credentials. */
  readonly withCredentials: boolean
  /**
   * The credentials used a nonce that the softswitch was seen to send to this address: to no other, or to this
   * very port. Over TCP the handshake says as much. Anything else may have been made up by somebody who never got an answer.
   */
  readonly answersItsChallenge: boolean
  /** The credentials are over a nonce that was sent to exactly this address and port; over TCP on this very connection. */
  readonly nonceOfPort?: boolean
  /** They are over a nonce that the softswitch was seen to send, to whomever. */
  readonly nonceIssued?: boolean
  /**
   * False where grade `path` rests on a nonce of which nobody knows yet whether the softswitch gives it to others too:
   * whoever can ask the softswitch unseen (over TLS, by another port) may have used it under this address. Absent: certain.
   */
  readonly pathCertain?: boolean
  /**
   * For a success: the lifetime that the answer grants the REGISTER's own contact; the longest of all that it lists where
   * nobody can say which that is. 0 where bindings were removed.
   */
  readonly grantedExpires: Seconds
  /** A success that only asked for bindings: it proves the account and registers nothing, whatever the answer lists. */
  readonly isQuery?: true
  /** The softswitch's own log told of it; absent where it was seen. */
  readonly fromLog?: true
  /** Via values in the answer, which are the request's: one for a phone, more behind a proxy. One where unsaid. */
  readonly vias?: number
}

/** One Contact of a 200: where an account can be reached now, and for how long. */
export interface LearntBinding {
  /** The URI as it was written, cut short. */
  readonly contact: string
  readonly expires: Seconds
  /** The REGISTER named this very contact; absent for the account's others, and where the softswitch wrote it anew. */
  readonly own?: true
}

/** Any other SIP message, in either direction. */
export interface SipSeen {
  readonly kind: 'sip'
  readonly time: EpochMilliseconds
  readonly source: Source
}

export interface MalformedSeen {
  readonly kind: 'malformed'
  readonly time: EpochMilliseconds
  readonly source: Source
  readonly fault: SipFault
  /**
   * `register`: a REGISTER as far as it could be read. `observed`: it could be read but for its body, and was
   * observed as the message that it is besides. `oversized`: a REGISTER whose Contact is longer than any phone's,
   * observed as a REGISTER besides.
   */
  readonly what: 'register' | 'observed' | 'oversized' | 'other'
}

/**
 * How an observation was come by. `whole`: everything that arrives is seen. `sampled`: some of what arrives, so that it
 * counts for rates, as a lower bound, and for nothing else. `logged`: all that the kernel's rules let through, so that it
 * counts for everything but rates, where the sample counts.
 */
export type Sighting = 'whole' | 'sampled' | 'logged'

export type Observation = RegisterSeen | ExchangeEnded | SipSeen | MalformedSeen
