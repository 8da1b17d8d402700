import { createHash } from 'node:crypto'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SipRequest } from '../../registrar/sip/message.ts'
import type { Answer } from './digest-headers.ts'
import type { Credentials } from './judged-credentials.ts'
import type { ExchangeEnded, Transport } from './observation.ts'
import { ownCopy } from './own-copy.ts'
import { readAccount, type TransactionFields } from './register-fields.ts'

/** Longer keys are hashed, so that a long Call-ID costs no more memory than a short one. */
const LONGEST_KEY = 160
const LONGEST_NAME = 128
const LONGEST_USER_AGENT = 80

/** What is remembered of a REGISTER until its transaction is over. */
export interface Transaction {
  readonly startedAt: EpochMilliseconds
  /** When the request was first seen; undefined where only its answer was, or it was not remembered. */
  readonly askedAt: EpochMilliseconds | undefined
  readonly source: Source
  readonly serverPort: number
  readonly transport: Transport
  readonly userAgent: string
  /** The Contact that the request names, as written; empty where it is not known or there are several; undefined: none. */
  readonly contact: string | undefined
  /** The To header: whom it speaks for is read only when an answer comes. */
  readonly to: string
  /** What a To header says that is too long to be kept; undefined for others. */
  readonly toAccount: string | undefined
  /** Tells its credentials from others. */
  readonly attempt: string
  /** Empty for a bare REGISTER. */
  readonly credentials: readonly Credentials[]
  readonly provesPath: boolean
  /** Nobody else can have been given that nonce. */
  readonly pathCertain: boolean
  /** As `provesPath`, or over a nonce that was sent to this very port. */
  readonly answersItsChallenge: boolean
  /** Its credentials are over a nonce that was sent to exactly this address and port; over TCP on this connection. */
  readonly nonceOfPort: boolean
  /** They are over a nonce that the softswitch was seen to send to somebody. */
  readonly nonceIssued: boolean
  readonly removes: boolean
  ended: boolean
}

/** What is said of a request that got no final answer, but for whose it was. */
export function silence(
  now: EpochMilliseconds,
  of: Pick<Transaction, 'source' | 'serverPort' | 'transport' | 'userAgent'> &
    Partial<Pick<Transaction, 'provesPath' | 'answersItsChallenge'>>,
): Omit<ExchangeEnded, 'account' | 'withCredentials'> {
  return {
    kind: 'exchange',
    time: now,
    source: of.source,
    serverPort: of.serverPort,
    transport: of.transport,
    outcome: 'silence',
    status: 0,
    answeredIn: null,
    userAgent: of.userAgent,
    bindings: [],
    grade: of.provesPath ? 'path' : 'packet',
    answersItsChallenge: of.answersItsChallenge ?? false,
    grantedExpires: 0,
  }
}

export function userAgentOf(request: SipRequest): string {
  return ownCopy(request.first('user-agent') ?? '', LONGEST_USER_AGENT)
}

/**
 * With the transport and the port: a forger's TCP segment must not lend its grade to a UDP exchange, nor a neighbour's answer
 * end what was forged from the port of somebody else behind the same address. The method is that of CSeq, whatever
 * the request line says: an answer repeats it.
 */
export function keyOf(
  transport: Transport,
  { address, port }: Source,
  { callId, cseq, method, branch }: TransactionFields,
): string {
  const key = `${transport} ${address} ${port} ${cseq} ${method} ${branch} ${callId}`
  return key.length <= LONGEST_KEY
    ? ownCopy(key, LONGEST_KEY)
    : createHash('sha1').update(key).digest('base64')
}

/** Whose password was tried: To names whom the binding is for, and only the credentials name who claims to be there. */
export function accountOf(
  { to, toAccount }: Pick<Transaction, 'to' | 'toAccount'>,
  judged: readonly Credentials[],
): string {
  const account = toAccount ?? readAccount(to)
  const username = judged[0]?.username ?? ''
  return username === '' || account.startsWith(`${username}@`) ? account : username.slice(0, LONGEST_NAME)
}

export function attemptOf(answers: readonly Answer[]): string {
  const text = answers.map(({ written }) => written).join('\n')
  return createHash('sha1').update(text).digest('base64')
}
