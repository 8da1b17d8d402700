import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { MOST_RECORDED } from '../observe/bindings.ts'
import type { ExchangeEnded, ExchangeOutcome, LearntBinding } from '../observe/observation.ts'
import { ownCopy } from '../observe/own-copy.ts'
import { HOUR, MINUTE, type RecordedExchange } from '../observe/recorded.ts'

/** Rows that wait to be told. Beyond it exchanges are only counted. */
const MOST_WAITING = 20_000
/** Rows told at once: what the daemon writes within some 20 ms. */
const MOST_TOLD = 1_000
/** Accounts at sources that lately failed or unregistered. */
const MOST_UNSTEADY = 10_000
const LONGEST_ACCOUNT = 128
const LONGEST_AGENT = 80
const LONGEST_CONTACT = 256
/** What decides something; a challenge is the normal first half of a registration. */
const RECORDED: ReadonlySet<ExchangeOutcome> = new Set(['success', 'failure', 'stale', 'refused'])

type Row = { -readonly [Key in keyof RecordedExchange]: RecordedExchange[Key] }

/**
 * Puts exchanges that repeat together: by the minute, and by the hour for phones that register again and again
 * without a failure between. So a day of ten thousand phones is ten thousand rows an hour, however often they come.
 */
export class ExchangeTally {
  readonly #most: number
  #waiting = new Map<string, Row>()
  /** When an account at a source last failed or unregistered: the order of what follows matters for an hour. */
  readonly #unsteady = new BoundedMap<string, EpochMilliseconds>({ capacity: MOST_UNSTEADY })
  #letGo = 0

  constructor({ most = MOST_WAITING }: { readonly most?: number } = {}) {
    this.#most = most
  }

  add(ended: ExchangeEnded): void {
    // A success that only asked renews nothing, and in a row with one that did it would seem to.
    if (!RECORDED.has(ended.outcome) || ended.isQuery) return
    const { time, source, transport, outcome, grade, grantedExpires } = ended
    const account = ended.account.slice(0, LONGEST_ACCOUNT)
    const whose = `${source.address} ${source.port} ${account}`
    const unregisters = outcome === 'success' && grantedExpires === 0
    if (unregisters || outcome === 'failure' || outcome === 'refused') this.#unsteady.set(whose, time)
    const slot = beginOf(time, this.#isSteady(whose, time) ? HOUR : MINUTE)
    const proof = outcome === 'failure' ? proofOf(ended) : {}
    const how = outcome === 'failure' ? JSON.stringify(proof) : unregisters ? 'removal' : ''
    const key = `${slot} ${outcome} ${how} ${grade} ${transport} ${whose}`
    const known = this.#waiting.get(key)
    if (!known && this.#waiting.size >= this.#most) {
      this.#letGo++
      return
    }
    const said = {
      last: time,
      serverPort: ended.serverPort,
      status: ended.status,
      withCredentials: ended.withCredentials,
      answersItsChallenge: ended.answersItsChallenge || (known?.answersItsChallenge ?? false),
      grantedExpires,
      userAgent: ownCopy(ended.userAgent ?? '', LONGEST_AGENT),
      bindings: fewOf(ended.bindings ?? []).map(boundedBinding),
    }
    if (known) Object.assign(known, said, { count: known.count + 1 })
    else
      this.#waiting.set(key, {
        slot,
        first: time,
        count: 1,
        source,
        transport,
        account: ownCopy(account, LONGEST_ACCOUNT),
        outcome,
        grade,
        ...proof,
        ...said,
      })
  }

  /** What waits, as much of it as is told at once, and how many exchanges found no room since the last call. */
  take(): { readonly exchanges: readonly RecordedExchange[]; readonly letGo: number } {
    const letGo = this.#letGo
    this.#letGo = 0
    if (this.#waiting.size <= MOST_TOLD) {
      const exchanges = [...this.#waiting.values()]
      this.#waiting = new Map()
      return { exchanges, letGo }
    }
    const exchanges: RecordedExchange[] = []
    for (const [key, row] of this.#waiting) {
      if (exchanges.length >= MOST_TOLD) break
      exchanges.push(row)
      this.#waiting.delete(key)
    }
    return { exchanges, letGo }
  }

  #isSteady(whose: string, time: EpochMilliseconds): boolean {
    const since = this.#unsteady.get(whose)
    return since === undefined || time - since > HOUR
  }
}

export function beginOf(time: EpochMilliseconds, span: Milliseconds): EpochMilliseconds {
  return Math.floor(time / span) * span
}

/** The REGISTER's own first: who it was that registered is worth more than who else did. */
function fewOf(bindings: readonly LearntBinding[]): readonly LearntBinding[] {
  const few = bindings.slice(0, MOST_RECORDED)
  const own = bindings.find(({ own }) => own)
  return own === undefined || few.includes(own) ? few : [own, ...few.slice(0, MOST_RECORDED - 1)]
}

function boundedBinding(binding: LearntBinding): LearntBinding {
  return { ...binding, contact: ownCopy(binding.contact, LONGEST_CONTACT) }
}

/** What decides how far a failure is believed: put together, one of a forger would pass for one of the port. */
function proofOf({
  nonceOfPort = false,
  nonceIssued = false,
  pathCertain = true,
}: ExchangeEnded): Required<Pick<RecordedExchange, 'nonceOfPort' | 'nonceIssued' | 'pathCertain'>> {
  return { nonceOfPort, nonceIssued, pathCertain }
}
