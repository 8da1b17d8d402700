import { createHash } from 'node:crypto'
import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Address, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { SipMessage, SipRequest, SipResponse } from '../../registrar/sip/message.ts'
import { IssuedNonces, type NonceUser } from './nonces.ts'
import type { ExchangeOutcome, Grade, Observation, Transport } from './observation.ts'
import { ownCopy, ownKey } from './own-copy.ts'
import {
  type Answer,
  readAccount,
  readAnswers,
  readGrantedExpires,
  readIssued,
  readTransaction,
  removesBindings,
  type TransactionFields,
} from './register-fields.ts'
import { SeenRegister } from './seen-register.ts'
import { SentNonces } from './sent-nonces.ts'

/** A transaction is over after 32 s (64 × T1, RFC 3261 section 17.1.2.2). */
const TRANSACTION_LIFETIME: Milliseconds = 32_000
const MOST_TRANSACTIONS = 65_536
/** Longer keys are hashed, so that a long Call-ID costs no more memory than a short one. */
const LONGEST_KEY = 160
const LONGEST_NAME = 128
/** What is kept of a To header and of a user name. */
const LONGEST_FIELD = 256

interface Transaction {
  readonly startedAt: EpochMilliseconds
  readonly source: Source
  readonly transport: Transport
  /** The To header: whom it speaks for is read only when an answer comes. */
  readonly to: string
  /** What a To header says that is too long to be kept; undefined for others. */
  readonly toAccount: string | undefined
  /** Of its credentials; empty where it has none. */
  readonly username: string
  /** Tells its credentials from others. */
  readonly attempt: string
  /** The nonces that its credentials use; empty for a bare REGISTER. */
  readonly nonces: readonly string[]
  readonly provesPath: boolean
  /** As `provesPath`, or over the nonce that was sent last to this very port. */
  readonly answersItsChallenge: boolean
  readonly removes: boolean
  ended: boolean
}

const NO_ANSWER = { answersOwnNonce: false, answersChallenge: false, answersSentNonce: false }

/** A SIP message as it was seen between two ends. */
export interface SeenMessage {
  readonly time: EpochMilliseconds
  readonly transport: Transport
  readonly source: Source
  readonly destination: Source
  readonly message: SipMessage
  /** Over TCP: its answers may be somebody else's, so that the handshake proves nothing. */
  readonly maybeForged?: boolean
}

/**
 * Matches each REGISTER with its final answer (transport, client's address, Call-ID, CSeq and Via branch), counts an
 * exchange once however often either is retransmitted, and says how the exchange ended and how far its source is proven.
 */
export class Exchanges {
  readonly nonces = new IssuedNonces()
  readonly #sent = new SentNonces()
  readonly #transactions: BoundedMap<string, Transaction>

  constructor({ mostTransactions = MOST_TRANSACTIONS }: { mostTransactions?: number } = {}) {
    this.#transactions = new BoundedMap({ capacity: mostTransactions })
  }

  get pending(): number {
    return this.#transactions.size
  }

  get letGo(): number {
    return this.#transactions.letGo
  }

  /** What one message means. Requests other than REGISTER and answers to them are plain SIP. */
  observe(seen: SeenMessage): Observation[] {
    const { message, time, source } = seen
    if (message.kind === 'request') {
      return message.method === 'REGISTER' ? [this.#request(seen, message)] : [{ kind: 'sip', time, source }]
    }
    const ended = this.#response(seen, message)
    return ended ? [{ kind: 'sip', time, source }, ended] : [{ kind: 'sip', time, source }]
  }

  /**
   * Only a REGISTER with credentials is remembered: what a bare one's answer means can be read off the answer, and a
   * flood from forged addresses is made of bare ones.
   */
  #request(seen: SeenMessage, request: SipRequest): Observation {
    const { source } = seen
    const answers = readAnswers(request)
    if (answers.length === 0) return new SeenRegister(seen, request, NO_ANSWER)
    const nonces = answers.map(({ nonce }) => ownKey(nonce))
    const answersOwnNonce = nonces.some((nonce) => this.nonces.provesPath(nonce, source.address))
    const answersChallenge = nonces.some((nonce) => this.nonces.wasIssuedTo(nonce, source.address))
    const answersSentNonce = nonces.some((nonce) => this.#sent.wasSentTo(nonce, source))
    const transaction = readTransaction(request)
    if (transaction) {
      const key = keyOf(seen.transport, source.address, transaction)
      const attempt = attemptOf(answers)
      // Other credentials under a known Call-ID and CSeq are no retransmission but the next attempt.
      if (this.#transactions.get(key)?.attempt !== attempt) {
        this.#begin(key, seen, {
          to: request.first('to') ?? '',
          username: ownCopy(answers[0]?.username ?? '', LONGEST_FIELD),
          client: source,
          nonces,
          attempt,
          answersOwnNonce,
          answersSentNonce,
          removes: removesBindings(request),
        })
      }
    }
    return new SeenRegister(seen, request, { answersOwnNonce, answersChallenge, answersSentNonce })
  }

  #begin(
    key: string,
    { time, transport, maybeForged = false }: SeenMessage,
    of: Pick<Transaction, 'to' | 'username' | 'nonces' | 'attempt' | 'removes'> & {
      client: Source
      answersOwnNonce: boolean
      answersSentNonce: boolean
    },
  ): Transaction {
    this.#transactions.sweep((known) => time - known.startedAt > TRANSACTION_LIFETIME)
    // A TCP handshake needs the answers to arrive, which a forger's never do.
    const provesPath = (transport === 'tcp' && !maybeForged) || of.answersOwnNonce
    const transaction: Transaction = {
      startedAt: time,
      source: of.client,
      transport,
      to: of.to.length > LONGEST_FIELD ? '' : ownCopy(of.to, LONGEST_FIELD),
      toAccount: of.to.length > LONGEST_FIELD ? ownCopy(readAccount(of.to), LONGEST_FIELD) : undefined,
      username: of.username,
      nonces: of.nonces,
      attempt: of.attempt,
      provesPath,
      answersItsChallenge: provesPath || of.answersSentNonce,
      removes: of.removes,
      ended: false,
    }
    this.#transactions.set(key, transaction)
    return transaction
  }

  #response(seen: SeenMessage, response: SipResponse): Observation | undefined {
    const transaction = readTransaction(response)
    if (transaction?.method !== 'REGISTER') return undefined
    const client = seen.destination
    const challenges = response.status === 401 || response.status === 407 ? readIssued(response) : []
    for (const challenge of challenges) {
      const nonce = ownKey(challenge.nonce)
      this.nonces.issued(nonce, client.address, seen.time)
      this.#sent.sent(nonce, client)
    }
    if (response.status < 200) return undefined
    const key = keyOf(seen.transport, client.address, transaction)
    const known =
      this.#transactions.get(key) ??
      this.#begin(key, seen, {
        to: response.first('to') ?? '',
        username: '',
        client,
        nonces: [],
        attempt: '',
        answersOwnNonce: false,
        answersSentNonce: false,
        removes: false,
      })
    if (known.ended) return undefined
    known.ended = true
    const stale = challenges.some((challenge) => challenge.stale)
    const account = accountOf(known)
    const user = { account, address: known.source.address }
    const outcome = this.#outcome(known, response.status, { stale, user })
    let grade: Grade = known.provesPath ? 'path' : 'packet'
    let grantedExpires: Seconds = 0
    if (outcome === 'success') {
      // The answer to a removal lists the bindings of the account's other phones.
      grantedExpires = known.removes ? 0 : readGrantedExpires(response)
      for (const nonce of known.nonces) this.nonces.succeeded(nonce, user)
      if (known.provesPath && known.nonces.length > 0) grade = 'account'
    }
    const { source, transport } = known
    return {
      kind: 'exchange',
      time: seen.time,
      source,
      serverPort: seen.source.port,
      transport,
      account,
      outcome,
      status: response.status,
      grade,
      withCredentials: known.nonces.length > 0,
      answersItsChallenge: known.answersItsChallenge,
      grantedExpires,
    }
  }

  #outcome(
    known: Transaction,
    status: number,
    { stale, user }: { stale: boolean; user: NonceUser },
  ): ExchangeOutcome {
    const bare = known.nonces.length === 0
    if (status < 300) return 'success'
    if (status < 400) return 'redirect'
    if (status === 401 || status === 407) {
      if (bare) return 'challenge'
      // Many softswitches do not say stale: a nonce that was good once and is refused now went stale.
      const wasGood = known.nonces.some((nonce) => this.nonces.wasGoodFor(nonce, user))
      return stale || wasGood ? 'stale' : 'failure'
    }
    if (status === 403 || status === 404) return bare ? 'refused' : 'failure'
    if (status >= 500 && status < 600) return 'overload'
    return 'other'
  }
}

/** With the transport: a forger's TCP segment must not lend its grade to a UDP exchange. */
function keyOf(transport: Transport, client: Address, { callId, cseq, branch }: TransactionFields): string {
  const key = `${transport} ${client} ${cseq} ${branch} ${callId}`
  return key.length <= LONGEST_KEY
    ? ownCopy(key, LONGEST_KEY)
    : createHash('sha1').update(key).digest('base64')
}

/** Whose password was tried: To names whom the binding is for, and only the credentials name who claims to be there. */
function accountOf({ to, toAccount, username }: Transaction): string {
  const account = toAccount ?? readAccount(to)
  return username === '' || account.startsWith(`${username}@`) ? account : username.slice(0, LONGEST_NAME)
}

function attemptOf(answers: readonly Answer[]): string {
  const text = answers.map(({ written }) => written).join('\n')
  return createHash('sha1').update(text).digest('base64')
}
