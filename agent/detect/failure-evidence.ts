import type { FailureGrade } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'

/** Whether its port is a connection whose other end is proven to be there. */
export function isConnection({ transport }: ExchangeEnded, grade: FailureGrade): boolean {
  return transport === 'tcp' && grade === 'path'
}

/** Whether it is known that the softswitch gives nonces to one source each. A handshake needs no nonce. */
export function isCertain({ pathCertain, transport }: ExchangeEnded): boolean {
  return transport === 'tcp' || pathCertain !== false
}

/** Over UDP: the nonce went to exactly this address and port. Over TCP nobody else writes into a connection. */
export function isOfVeryPort({ transport, nonceOfPort }: ExchangeEnded): boolean {
  return transport === 'tcp' || nonceOfPort === true
}

/** Credentials over a nonce that the softswitch gave to somebody: nobody made it up. */
export function isOverIssuedNonce(ended: ExchangeEnded): boolean {
  return isOverSentNonce(ended) || (ended.outcome === 'failure' && ended.nonceIssued === true)
}

/** Credentials over a nonce that went to this source and no other, or to this very address and port. */
export function isOverSentNonce({ outcome, answersItsChallenge }: ExchangeEnded): boolean {
  return outcome === 'failure' && answersItsChallenge
}
