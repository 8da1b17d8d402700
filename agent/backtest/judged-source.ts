import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Verdict } from '../detect/verdict.ts'

/** Measures of one source that are remembered with their ends. */
const MOST_MEASURES = 2_048
/** For one that ran out, before it is said that there is no room. */
const MOST_LOOKS = 8

/** A block or suspension that verdicts asked for, from its beginning to its end. */
export interface Measure {
  readonly verdict: Verdict
  readonly from: EpochMilliseconds
  until: EpochMilliseconds
}

/** All that one rule does to a source, over its ports. */
export interface Deed {
  /** The first of its verdicts. */
  readonly verdict: Verdict
  readonly first: EpochMilliseconds
  /** How often it began anew; what only prolongs does not count. */
  count: number
  /** Ports, or one for the source as a whole. */
  targets: number
  /** How long it stood in all, within the time that counts. */
  lasted: Milliseconds
}

/**
 * What a verdict came to. `begun-apart`: there was no room to remember its end, so it counts as one of its own, and it
 * is not known whom it meets later.
 */
export type Noted = 'begun' | 'prolonged' | 'begun-apart'

/** What a policy does to one source: summed up for comparison, and one by one for the phones that it meets. */
export class JudgedSource {
  /** By rule, action and scope, of which there are a few. */
  readonly deeds = new Map<string, Deed>()
  /** Registered phones there that it cuts off. */
  phonesTouched = 0
  /** By `measureKey`. Those that began or were prolonged last are at the end. */
  readonly #measures = new Map<string, Measure>()

  /** Adds a verdict. What stood before `counted` does not add to how long it lasted. */
  note(verdict: Verdict, counted: EpochMilliseconds): Noted {
    const { time, name, action, scope, duration } = verdict
    const informs = action === 'limit' || action === 'alert'
    const until = informs ? time : time + duration * 1_000
    const key = measureKey(verdict)
    const known = this.#measures.get(key)
    const stands = known !== undefined && known.until > time
    const from = stands ? known.until : Math.max(time, counted)
    const whose = `${name} ${action} ${scope}`
    let deed = this.deeds.get(whose)
    if (!deed) {
      deed = { verdict, first: time, count: 0, targets: 0, lasted: 0 }
      this.deeds.set(whose, deed)
    }
    deed.lasted += Math.max(0, until - from)
    if (stands) {
      this.#remember(key, known, Math.max(known.until, until))
      return 'prolonged'
    }
    deed.count++
    if (!known && !this.#makeRoom(time)) {
      deed.targets++
      return 'begun-apart'
    }
    if (!known) deed.targets++
    this.#remember(key, { verdict: known?.verdict ?? verdict, from: time, until }, until)
    return 'begun'
  }

  /** Measures against the source as a whole, and against exactly this address and port. */
  *measuresThat({ address, port }: Source): Iterable<Measure> {
    for (const rule of this.deeds.values()) {
      const { name, action, scope } = rule.verdict
      if (action === 'limit' || action === 'alert') continue
      for (const where of [WHOLE, `${address} ${port}`]) {
        const measure = this.#measures.get(`${name} ${action} ${scope} ${where}`)
        if (measure) yield measure
      }
    }
  }

  #remember(key: string, measure: Measure, until: EpochMilliseconds): void {
    measure.until = until
    this.#measures.delete(key)
    this.#measures.set(key, measure)
  }

  /** What ran out makes room. Whether there is some now. */
  #makeRoom(now: EpochMilliseconds): boolean {
    if (this.#measures.size < MOST_MEASURES) return true
    let looks = MOST_LOOKS
    for (const [key, measure] of this.#measures) {
      this.#measures.delete(key)
      if (measure.until <= now) return true
      // One long block at the front must not keep the room of all that ran out behind it.
      this.#measures.set(key, measure)
      if (--looks === 0) break
    }
    return false
  }
}

const WHOLE = 'all'

function measureKey({ name, action, scope, port, address }: Verdict): string {
  return `${name} ${action} ${scope} ${port === null ? WHOLE : `${address} ${port}`}`
}
