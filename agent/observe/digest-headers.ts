import type { SipMessage, SipRequest, SipResponse } from '../../registrar/sip/message.ts'
import { readChallenge, readCredentials } from '../../registrar/sip/read-authorization.ts'
import { readLooseParameters } from './loose-parameters.ts'

/** More Authorization headers than anybody has realms; a softswitch looks for its own among all of them. */
const MOST_CREDENTIALS = 16
/** Nonces that one header of credentials names, where it names several. */
const MOST_NONCES = 4

/** What a request says to prove who it is. */
export interface Answer {
  /** Empty where it cannot be read: an attempt all the same. */
  readonly nonce: string
  readonly username: string
  readonly realm: string
  /** The header as written, to tell one attempt from a retransmission of another. */
  readonly written: string
}

/**
 * The credentials of a request. Those that cannot be read as the RFC has them count too: softswitches read most of them,
 * so a guesser must not hide behind a parameter that comes twice. An empty nonce (as IMS phones send first) answers
 * nothing.
 */
export function readAnswers(request: SipRequest): Answer[] {
  return headersOf(request, 'authorization', 'proxy-authorization').flatMap(readAnswer)
}

/** The answers that one header of credentials makes. */
function readAnswer(written: string): readonly Answer[] {
  const credentials = readCredentials(written)
  if (!credentials.ok) return readLoosely(written)
  if (credentials.value.kind !== 'digest' || credentials.value.nonce === '') return []
  const { nonce, username, realm } = credentials.value
  return [{ nonce, username, realm, written }]
}

/** Nobody knows which of several nonces, names and realms the softswitch takes (Kamailio the last): each nonce is an answer. */
function readLoosely(written: string): readonly Answer[] {
  const said = readLooseParameters(written)
  const last = (name: string) => said.findLast((parameter) => parameter.name === name)?.value ?? ''
  const [username, realm] = [last('username'), last('realm')]
  const nonces = said.filter(({ name }) => name === 'nonce').map(({ value }) => value)
  const distinct = [...new Set(nonces)].slice(-MOST_NONCES)
  if (distinct.length === 0) distinct.push('')
  return distinct.map((nonce) => ({ nonce, username, realm, written }))
}

/** A challenge of an answer. */
export interface Issued {
  readonly nonce: string
  readonly stale: boolean
  readonly realm: string
}

/** The challenges that an answer carries. */
export function readIssued(response: SipResponse): Issued[] {
  const issued: Issued[] = []
  for (const value of headersOf(response, 'www-authenticate', 'proxy-authenticate')) {
    const challenge = readChallenge(value)
    if (challenge.ok && challenge.value.kind === 'digest' && challenge.value.nonce !== '') {
      const { nonce, stale, realm } = challenge.value
      issued.push({ nonce, stale, realm })
    }
  }
  return issued
}

function headersOf(message: SipMessage, ...names: readonly [string, string]): readonly string[] {
  const [own, proxy] = names
  const values = message.all(own)
  const others = message.all(proxy)
  return (others.length === 0 ? values : [...values, ...others]).slice(0, MOST_CREDENTIALS)
}
