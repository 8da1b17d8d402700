import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { SipRequest, SipResponse } from '../../registrar/sip/message.ts'
import { type Issued, readAnswers } from './digest-headers.ts'
import type { SeenMessage } from './exchanges.ts'
import { type Credentials, keptOf } from './judged-credentials.ts'
import type { IssuedNonces, NonceUser } from './nonces.ts'
import type { ExchangeEnded } from './observation.ts'
import { ownCopy } from './own-copy.ts'
import { readTransaction, type TransactionFields } from './register-fields.ts'
import type { SentNonces } from './sent-nonces.ts'
import { accountOf, keyOf, userAgentOf } from './transaction.ts'

/** As for a REGISTER; who rings for longer was accepted by then. */
const TRANSACTION_LIFETIME: Milliseconds = 32_000
const MOST_REQUESTS = 16_384
const MOST_GOOD = 16_384
const LONGEST_FIELD = 256
/** Nobody answers an ACK, and a CANCEL is not challenged (RFC 3261 section 22.1). */
const NEVER_CHALLENGED: ReadonlySet<string> = new Set(['ACK', 'CANCEL', 'REGISTER'])

interface Login {
  readonly askedAt: EpochMilliseconds
  readonly from: string
  readonly userAgent: string
  readonly credentials: readonly Credentials[]
}

/**
 * Credentials in requests other than REGISTER: who guesses passwords by INVITE is told apart from who calls.
 *
 * Less is believed than of a REGISTER, since a measure that follows reaches calls: a refusal counts only where the
 * nonce was certainly sent to this address and to no other (or over TCP), where it was never good for that account there,
 * and where the answer asks again for the very realm that was answered: a 401 of another hop is a challenge. A 403 or
 * 404 is of the number that was dialled as often as of the password, and counts for nothing.
 */
export class OtherLogins {
  readonly #nonces: IssuedNonces
  readonly #sent: SentNonces
  readonly #requests = new BoundedMap<string, Login>({ capacity: MOST_REQUESTS })
  /** Apart from those of REGISTERs: a softswitch that challenges no INVITE accepts whatever credentials are in it. */
  readonly #good = new BoundedMap<string, true>({ capacity: MOST_GOOD })

  constructor({ nonces, sent }: { readonly nonces: IssuedNonces; readonly sent: SentNonces }) {
    this.#nonces = nonces
    this.#sent = sent
  }

  get size(): number {
    return this.#requests.size + this.#good.size
  }

  asked({ time, transport, source }: SeenMessage, request: SipRequest): void {
    if (NEVER_CHALLENGED.has(request.method)) return
    const answers = readAnswers(request)
    if (answers.length === 0) return
    const transaction = readTransaction(request)
    if (!transaction) return
    this.#requests.sweep(({ askedAt }) => time - askedAt > TRANSACTION_LIFETIME)
    this.#requests.set(keyOf(transport, source, transaction), {
      askedAt: time,
      from: ownCopy(request.first('from') ?? '', LONGEST_FIELD),
      userAgent: userAgentOf(request),
      credentials: keptOf(answers),
    })
  }

  /** A refusal as the failure that it is; undefined for every other answer. */
  answered(
    { time, transport, source: server, destination: client, maybeForged = false }: SeenMessage,
    response: SipResponse,
    { transaction, challenges }: { transaction: TransactionFields; challenges: readonly Issued[] },
  ): ExchangeEnded | undefined {
    // A 100 is of the next hop, which has not asked for anything yet.
    if (this.#requests.size === 0 || response.status === 100) return undefined
    const key = keyOf(transport, client, transaction)
    const login = this.#requests.get(key)
    if (!login) return undefined
    const { status } = response
    if (status !== 401 && status !== 407) {
      if (status === 403 || status >= 500) return undefined
      // Somebody rings, is busy or unknown: the caller himself was let through.
      for (const { nonce, username } of login.credentials)
        this.#good.set(goodKey(nonce, { account: username, address: client.address }), true)
      return undefined
    }
    this.#requests.delete(key)
    if (challenges.some(({ stale }) => stale)) return undefined
    const judged = login.credentials.filter(({ realm }) => challenges.some((asked) => asked.realm === realm))
    const account = accountOf({ to: login.from, toAccount: undefined }, judged)
    const fails = ({ nonce, username }: Credentials) =>
      this.#nonces.isKnown(nonce) &&
      !this.#nonces.wasGoodFor(nonce, { account, address: client.address }) &&
      !this.#good.has(goodKey(nonce, { account: username, address: client.address }))
    if (judged.length === 0 || !judged.every(fails)) return undefined
    const overTcp = transport === 'tcp' && !maybeForged
    const isCertain = ({ nonce }: Credentials) =>
      this.#nonces.provesPath(nonce, client.address) && this.#nonces.isCertain(nonce)
    if (!overTcp && !judged.every(isCertain)) return undefined
    return {
      kind: 'exchange',
      method: ownCopy(transaction.method, 16),
      time,
      source: client,
      serverPort: server.port,
      transport,
      account,
      outcome: 'failure',
      status,
      answeredIn: Math.max(0, time - login.askedAt),
      userAgent: login.userAgent,
      bindings: [],
      grade: 'path',
      nonceOfPort: judged.some(({ nonce }) => this.#sent.wasSentTo(nonce, client, transport)),
      nonceIssued: true,
      withCredentials: true,
      answersItsChallenge: true,
      grantedExpires: 0,
    }
  }
}

function goodKey(nonce: string, { account, address }: NonceUser): string {
  return `${address} ${nonce} ${ownCopy(account, 128)}`
}
