import { hashText } from '../../registrar/hash-text.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'

/** Names beyond that are not told apart any more: `names` then says this many, which is over every threshold. */
export const MOST_NAMES = 64

/** None, one, or some hashes, which are never changed in place. Most sources of a flood have one: they cost no list. */
type Names = readonly number[] | number | undefined

/**
 * Events of late and the different names among them, in two halves of a span: the current one and the one before. So
 * it reaches back between half the span and all of it, everything in it goes with time, and it never grows beyond
 * 128 numbers. Two names of one hash count as one, which only makes their maker look smaller.
 */
export class RecentNames {
  readonly #half: number
  #began = Number.NEGATIVE_INFINITY
  #events = 0
  #names: Names
  #eventsBefore = 0
  #namesBefore: Names

  constructor(span: Seconds) {
    this.#half = (span * 1000) / 2
  }

  add(name: string, at: EpochMilliseconds): void {
    this.#advance(at)
    this.#events++
    this.#names = including(this.#names, smallHash(name))
  }

  events(now: EpochMilliseconds): number {
    this.#advance(now)
    return this.#events + this.#eventsBefore
  }

  /** Different names, up to `MOST_NAMES`. */
  names(now: EpochMilliseconds): number {
    this.#advance(now)
    const current = this.#names
    const before = this.#namesBefore
    if (before === undefined) return sizeOf(current)
    if (typeof before === 'number')
      return Math.min(MOST_NAMES, sizeOf(current) + (has(current, before) ? 0 : 1))
    let names = sizeOf(current)
    for (const name of before) if (!has(current, name)) names++
    return Math.min(names, MOST_NAMES)
  }

  /** Whether this name was among them; of more than `MOST_NAMES` nobody knows, so each may be. */
  has(name: string, now: EpochMilliseconds): boolean {
    if (this.names(now) >= MOST_NAMES) return true
    const value = smallHash(name)
    return has(this.#names, value) || has(this.#namesBefore, value)
  }

  clear(): void {
    this.#events = 0
    this.#names = undefined
    this.#eventsBefore = 0
    this.#namesBefore = undefined
  }

  /** The same once more, to be counted on by itself. */
  copy(): RecentNames {
    const other = new RecentNames((this.#half * 2) / 1000)
    other.#began = this.#began
    other.#events = this.#events
    other.#names = this.#names
    other.#eventsBefore = this.#eventsBefore
    other.#namesBefore = this.#namesBefore
    return other
  }

  /** A clock that steps back (captures can) counts into the current half. */
  #advance(at: EpochMilliseconds): void {
    if (this.#events === 0 && this.#eventsBefore === 0) {
      this.#began = at
      return
    }
    const halves = Math.floor((at - this.#began) / this.#half)
    if (halves <= 0) return
    const isNext = halves === 1
    this.#eventsBefore = isNext ? this.#events : 0
    this.#namesBefore = isNext ? this.#names : undefined
    this.#events = 0
    this.#names = undefined
    this.#began += halves * this.#half
  }
}

/** Signed, since V8 keeps those in place and makes an object of every larger number. */
function smallHash(text: string): number {
  return hashText(text) | 0
}

/** A list of exactly so many: one that is pushed to has room for 17 from its first entry on. */
function including(names: Names, name: number): Names {
  if (names === undefined) return name
  if (typeof names === 'number') return names === name ? names : [names, name]
  return names.length >= MOST_NAMES || names.includes(name) ? names : names.concat(name)
}

function has(names: Names, name: number): boolean {
  return typeof names === 'number' ? names === name : (names?.includes(name) ?? false)
}

function sizeOf(names: Names): number {
  return typeof names === 'number' ? 1 : (names?.length ?? 0)
}

/** `12`, or `64 or more`. */
export function sayNames(names: number): string {
  return names >= MOST_NAMES ? `${MOST_NAMES} or more` : String(names)
}
