import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
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
}

/**
 * How an exchange ended. `challenge`: the normal first half of a registration. `stale`: credentials over a nonce
 * that is too old, which is no failure. `failure`: credentials refused. `refused`: 403 or 404 without a challenge.
 */
export type ExchangeOutcome =
  | 'challenge'
  | 'success'
  | 'failure'
  | 'stale'
  | 'refused'
  | 'redirect'
  | 'overload'
  | 'other'

/** A REGISTER with the final answer that the softswitch gave it. */
export interface ExchangeEnded {
  readonly kind: 'exchange'
  readonly time: EpochMilliseconds
  readonly source: Source
  /** The softswitch's port that answered. */
  readonly serverPort: number
  readonly transport: Transport
  /** Who it was for: `user@host` of To, or the credentials' user name where that is another one. */
  readonly account: string
  readonly outcome: ExchangeOutcome
  readonly status: number
  readonly grade: Grade
  /** The REGISTER carried credentials. */
  readonly withCredentials: boolean
  /**
   * The credentials used a nonce that the softswitch was seen to send to this address: to no other, or last to this
   * very port. Over TCP the handshake says as much. Anything else may have been made up by somebody who never got an answer.
   */
  readonly answersItsChallenge: boolean
  /** For a success: the longest lifetime that the answer grants; 0 where bindings were removed. */
  readonly grantedExpires: Seconds
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
   * observed as the message that it is besides.
   */
  readonly what: 'register' | 'observed' | 'other'
}

export type Observation = RegisterSeen | ExchangeEnded | SipSeen | MalformedSeen
