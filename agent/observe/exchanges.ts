import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { SipMessage, SipRequest, SipResponse } from '../../registrar/sip/message.ts'
import { BareRegisters } from './bare-registers.ts'
import { readAnswers, readIssued } from './digest-headers.ts'
import { readGranted } from './granted.ts'
import { areOfOne, type Credentials, judgedBy, keptOf } from './judged-credentials.ts'
import { IssuedNonces, type NonceUser } from './nonces.ts'
import type { ExchangeEnded, ExchangeOutcome, Grade, Observation, Transport } from './observation.ts'
import { OtherLogins } from './other-logins.ts'
import { ownCopy, ownKey } from './own-copy.ts'
import { readAccount, readTransaction, readWrittenContact, removesBindings } from './register-fields.ts'
import { SeenRegister } from './seen-register.ts'
import { SentNonces } from './sent-nonces.ts'
import { Sight } from './sight.ts'
import { accountOf, attemptOf, keyOf, silence, type Transaction, userAgentOf } from './transaction.ts'
import { Transactions } from './transactions.ts'
import { answerPort, countVias } from './vias.ts'

/** A transaction is over after 32 s (64 × T1, RFC 3261 section 17.1.2.2). */
const TRANSACTION_LIFETIME: Milliseconds = 32_000
const MOST_TRANSACTIONS = 65_536
/** What is kept of a To header, of a user name and of a Contact. */
const LONGEST_FIELD = 256
/** How often transactions are looked through for those that are over, by the clock of the messages. */
const LOOK_EVERY: Milliseconds = 250

const NO_ANSWER = {
  answersOwnNonce: false,
  answersChallenge: false,
  answersSentNonce: false,
  answersUnseen: false,
}
/** The same on a port whose answers are not seen. */
const NO_ANSWER_UNSEEN = { ...NO_ANSWER, answersUnseen: true }
/** In a flood nearly every packet finds that nothing is over: that must not cost a list. */
const NOBODY: readonly ExchangeEnded[] = []

export interface ExchangesOptions {
  readonly mostTransactions?: number
  /**
   * Whether somebody is registered from exactly this address and port. Asked for every bare REGISTER: only those of
   * registered ports are remembered, so that a flood of forged ones costs nothing.
   */
  readonly isBound?: (source: Source, at: EpochMilliseconds) => boolean
  /** Whether the capture lost nothing since then: else a missing answer may just not have been seen. */
  readonly sawAllSince?: (time: EpochMilliseconds) => boolean
  readonly sight?: Sight
}

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
  readonly #logins = new OtherLogins({ nonces: this.nonces, sent: this.#sent })
  readonly sight: Sight
  readonly #transactions: Transactions
  readonly #bare = new BareRegisters()
  readonly #isBound: NonNullable<ExchangesOptions['isBound']>
  readonly #sawAllSince: NonNullable<ExchangesOptions['sawAllSince']>
  #lookedAt: EpochMilliseconds = Number.NEGATIVE_INFINITY

  constructor(options: ExchangesOptions = {}) {
    this.#transactions = new Transactions({ capacity: options.mostTransactions ?? MOST_TRANSACTIONS })
    this.#isBound = options.isBound ?? (() => false)
    this.#sawAllSince = options.sawAllSince ?? (() => true)
    this.sight = options.sight ?? new Sight()
  }

  get pending(): number {
    return this.#transactions.size
  }

  get letGo(): number {
    return this.#transactions.letGo
  }

  /** What one message means, and which requests nobody has answered by now. Other methods than REGISTER are plain SIP. */
  observe(seen: SeenMessage): Observation[] {
    const silent = this.#silent(seen.time)
    const observations = this.#message(seen)
    return silent.length === 0 ? observations : [...silent, ...observations]
  }

  #message(seen: SeenMessage): Observation[] {
    const { message, time, source } = seen
    if (message.kind === 'request') {
      if (message.method === 'REGISTER') return [this.#request(seen, message)]
      this.#seeRequest(seen, message)
      return [{ kind: 'sip', time, source }]
    }
    this.sight.answer(source.port, seen.transport, time)
    const ended = this.#response(seen, message)
    return ended ? [{ kind: 'sip', time, source }, ended] : [{ kind: 'sip', time, source }]
  }

  #seeRequest(seen: SeenMessage, request: SipRequest): void {
    const { time, transport, destination } = seen
    // A tag in To was given by whoever answered before (RFC 3261 section 12.2.1.1).
    const inDialog =
      this.sight.needsProof(destination.port, transport) && (request.first('to') ?? '').includes(';tag=')
    this.sight.request(destination.port, transport, time, inDialog ? 'dialog' : 'none')
    this.#logins.asked(seen, request)
  }

  /**
   * Only a REGISTER with credentials is remembered, and a bare one of a registered port: what any other bare one's
   * answer means can be read off the answer, and a flood from forged addresses is made of bare ones.
   */
  #request(seen: SeenMessage, request: SipRequest): Observation {
    const { source, time, transport, destination } = seen
    const answers = readAnswers(request)
    if (answers.length === 0) {
      const unseen = this.sight.request(destination.port, transport, time, 'none')
      if (this.#isBound(source, time)) this.#askedBare(seen, request)
      return new SeenRegister(seen, request, unseen ? NO_ANSWER_UNSEEN : NO_ANSWER)
    }
    const credentials = keptOf(answers)
    const nonces = credentials.map(({ nonce }) => nonce)
    const wasChallengedUnseen = nonces.some((nonce) => nonce !== '' && !this.nonces.isKnown(nonce))
    const answersUnseen = this.sight.request(
      destination.port,
      transport,
      time,
      wasChallengedUnseen ? 'nonce' : 'none',
    )
    const answersOwnNonce = nonces.some((nonce) => this.nonces.provesPath(nonce, source.address))
    const answersChallenge = nonces.some((nonce) => this.nonces.wasIssuedTo(nonce, source.address))
    const answersSentNonce = nonces.some((nonce) => this.#sent.wasSentTo(nonce, source, transport))
    const transaction = readTransaction(request)
    if (transaction) {
      const key = keyOf(transport, source, transaction)
      const attempt = attemptOf(answers)
      // Other credentials under a known Call-ID and CSeq are no retransmission but the next attempt.
      if (!this.#transactions.hasAttempt(key, attempt)) {
        const port = transport === 'udp' ? answerPort(request) : undefined
        const alias =
          port === undefined ? undefined : keyOf(transport, { address: source.address, port }, transaction)
        const begun = transactionOf(seen, {
          askedAt: time,
          to: request.first('to') ?? '',
          userAgent: userAgentOf(request),
          contact: readWrittenContact(request),
          client: source,
          serverPort: destination.port,
          credentials,
          attempt,
          answersOwnNonce,
          isCertain: nonces.some((nonce) => this.nonces.isCertain(nonce)),
          answersSentNonce,
          nonceIssued: nonces.some((nonce) => this.nonces.isKnown(nonce)),
          removes: removesBindings(request),
        })
        this.#transactions.begin(key, begun, alias)
      }
    }
    return new SeenRegister(seen, request, {
      answersOwnNonce,
      answersChallenge,
      answersSentNonce,
      answersUnseen,
    })
  }

  #askedBare({ time, transport, source, destination }: SeenMessage, request: SipRequest): void {
    if (this.#bare.isCrowded(source)) return
    const transaction = readTransaction(request)
    // Of one that is answered elsewhere nothing follows when no answer is seen here.
    if (!transaction || (transport === 'udp' && (answerPort(request) ?? source.port) !== source.port)) return
    this.#bare.asked({
      key: keyOf(transport, source, transaction),
      at: time,
      source,
      transport,
      serverPort: destination.port,
      to: ownCopy(request.first('to') ?? '', LONGEST_FIELD),
      userAgent: userAgentOf(request),
    })
  }

  /**
   * Lets transactions go that are over, and says which of them the softswitch owed an answer. A REGISTER that our own
   * rules dropped is not its silence: the kernel serves whoever is registered from that very port, before all others.
   */
  #silent(now: EpochMilliseconds): readonly ExchangeEnded[] {
    const since = now - this.#lookedAt
    return since >= 0 && since < LOOK_EVERY ? NOBODY : this.#look(now)
  }

  #look(now: EpochMilliseconds): readonly ExchangeEnded[] {
    this.#lookedAt = now
    const silent: ExchangeEnded[] = []
    const mayBeSaid = (of: Pick<Transaction, 'source' | 'serverPort' | 'transport'>, at: EpochMilliseconds) =>
      this.sight.seesAnswers(of.serverPort, of.transport) &&
      this.#sawAllSince(at) &&
      this.#isBound(of.source, at)
    for (const known of this.#transactions.takeOver(now, TRANSACTION_LIFETIME)) {
      // Credentials over a nonce that was not sent to this port could be anybody's.
      const isDue = known.askedAt !== undefined && known.answersItsChallenge
      if (isDue && mayBeSaid(known, known.startedAt))
        silent.push({
          ...silence(now, known),
          account: accountOf(known, known.credentials),
          withCredentials: true,
        })
    }
    for (const bare of this.#bare.takeSilent(now, TRANSACTION_LIFETIME)) {
      if (mayBeSaid(bare, bare.at))
        silent.push({ ...silence(now, bare), account: readAccount(bare.to), withCredentials: false })
    }
    return silent
  }

  #response(seen: SeenMessage, response: SipResponse): Observation | undefined {
    const transaction = readTransaction(response)
    if (!transaction) return undefined
    const client = seen.destination
    const isOfRegister = transaction.method === 'REGISTER'
    const challenges = response.status === 401 || response.status === 407 ? readIssued(response) : []
    for (const challenge of challenges) {
      const nonce = ownKey(challenge.nonce)
      // Of any request: what the softswitch gave somebody for an INVITE he can use for a REGISTER, under any address.
      this.nonces.issued(nonce, {
        to: client.address,
        at: seen.time,
        server: seen.source,
        callId: transaction.callId,
      })
      this.#sent.sent(nonce, client, seen.transport)
    }
    const login = isOfRegister
      ? undefined
      : this.#logins.answered(seen, response, { transaction, challenges })
    if (login || response.status < 200) return login
    const key = keyOf(seen.transport, client, transaction)
    // Softswitches take a REGISTER for one whatever its CSeq says. Of those only a refusal is believed: another request
    // with the same fields may be what was answered otherwise.
    if (!isOfRegister && !(this.#transactions.has(key) && isRefusal(response.status))) return undefined
    const bare = this.#bare.answered(client, key)
    const asked = this.#transactions.answer(key)
    if (asked === 'answered') return undefined
    if (!asked) this.#transactions.noteAnswer(key, seen.time)
    const known =
      asked ??
      transactionOf(seen, {
        askedAt: bare?.at,
        to: response.first('to') ?? '',
        userAgent: bare?.userAgent ?? '',
        contact: '',
        client,
        serverPort: seen.source.port,
        credentials: [],
        attempt: '',
        answersOwnNonce: false,
        isCertain: false,
        answersSentNonce: false,
        nonceIssued: false,
        removes: false,
      })
    known.ended = true
    const stale = challenges.some((challenge) => challenge.stale)
    const judged = judgedBy(known.credentials, challenges)
    const account = accountOf(known, judged)
    const user = { account, address: known.source.address }
    const outcome = this.#outcome(judged, response.status, { stale, user })
    let grade: Grade = known.provesPath ? 'path' : 'packet'
    let grantedExpires: Seconds = 0
    let bindings: ExchangeEnded['bindings'] = []
    let isQuery = false
    if (outcome === 'success') {
      // The answer to a removal lists the bindings of the account's other phones.
      const granted = readGranted(response, { own: known.contact, source: known.source })
      grantedExpires = known.removes ? 0 : granted.expires
      isQuery = granted.isQuery
      bindings = granted.bindings
      if (areOfOne(judged)) for (const { nonce } of judged) this.nonces.succeeded(nonce, user)
      if (known.provesPath && judged.length > 0) grade = 'account'
    }
    const { source, transport, askedAt, userAgent } = known
    return {
      kind: 'exchange',
      time: seen.time,
      source,
      serverPort: seen.source.port,
      transport,
      account,
      outcome,
      status: response.status,
      answeredIn: askedAt === undefined ? null : Math.max(0, seen.time - askedAt),
      userAgent,
      bindings,
      grade,
      withCredentials: judged.length > 0,
      answersItsChallenge: known.answersItsChallenge,
      nonceOfPort: known.nonceOfPort,
      nonceIssued: known.nonceIssued,
      ...(grade === 'path' && !known.pathCertain ? { pathCertain: false } : {}),
      grantedExpires,
      ...(isQuery ? { isQuery: true as const } : {}),
      ...(outcome === 'success' ? { vias: countVias(response) } : {}),
    }
  }

  #outcome(
    judged: readonly Credentials[],
    status: number,
    { stale, user }: { stale: boolean; user: NonceUser },
  ): ExchangeOutcome {
    const bare = judged.length === 0
    if (status < 300) return 'success'
    if (status < 400) return 'redirect'
    if (status === 401 || status === 407) {
      if (bare) return 'challenge'
      // Many softswitches do not say stale: a nonce that was good once and is refused now went stale.
      const wasGood = judged.every(({ nonce }) => this.nonces.wasGoodFor(nonce, user))
      return stale || wasGood ? 'stale' : 'failure'
    }
    if (status === 403 || status === 404) return bare ? 'refused' : 'failure'
    if (status >= 500 && status < 600) return 'overload'
    return 'other'
  }
}

interface Asked
  extends Pick<
    Transaction,
    'askedAt' | 'serverPort' | 'to' | 'userAgent' | 'contact' | 'credentials' | 'attempt' | 'removes'
  > {
  readonly client: Source
  readonly answersOwnNonce: boolean
  readonly isCertain: boolean
  readonly answersSentNonce: boolean
  readonly nonceIssued: boolean
}

function transactionOf({ time, transport, maybeForged = false }: SeenMessage, of: Asked): Transaction {
  // A TCP handshake needs the answers to arrive, which a forger's never do.
  const overTcp = transport === 'tcp' && !maybeForged
  const provesPath = overTcp || of.answersOwnNonce
  return {
    startedAt: time,
    askedAt: of.askedAt,
    source: of.client,
    serverPort: of.serverPort,
    transport,
    userAgent: of.userAgent,
    contact: of.contact,
    to: of.to.length > LONGEST_FIELD ? '' : ownCopy(of.to, LONGEST_FIELD),
    toAccount: of.to.length > LONGEST_FIELD ? ownCopy(readAccount(of.to), LONGEST_FIELD) : undefined,
    credentials: of.credentials,
    attempt: of.attempt,
    provesPath,
    pathCertain: overTcp || of.isCertain,
    answersItsChallenge: provesPath || of.answersSentNonce,
    nonceOfPort: of.answersSentNonce,
    nonceIssued: of.nonceIssued,
    removes: of.removes,
    ended: false,
  }
}

function isRefusal(status: number): boolean {
  return status === 401 || status === 403 || status === 404 || status === 407
}
