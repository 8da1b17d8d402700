import type { EpochMilliseconds } from './net/time.ts'

/** Something that wants to be looked at when its second comes. */
export interface Timed {
  /** The second it is noted under; undefined while it is noted nowhere. */
  dueSecond: number | undefined
}

/**
 * What is due when, in buckets of a second. Each thing is noted at most once, so that refreshing a binding a thousand
 * times notes nothing a thousand times: it is noted under its earliest time, looked at then, and noted again.
 */
export class ExpiryWheel<T extends Timed> {
  readonly #buckets = new Map<number, Set<T>>()
  #turned: number | undefined

  /** Notes a thing unless it is noted for an earlier second already. */
  note(thing: T, due: EpochMilliseconds): void {
    const second = Math.max(Math.ceil(due / 1000), (this.#turned ?? Number.NEGATIVE_INFINITY) + 1)
    if (thing.dueSecond !== undefined) {
      if (thing.dueSecond <= second) return
      this.drop(thing)
    }
    thing.dueSecond = second
    const bucket = this.#buckets.get(second)
    if (bucket) bucket.add(thing)
    else this.#buckets.set(second, new Set([thing]))
  }

  drop(thing: T): void {
    if (thing.dueSecond === undefined) return
    const bucket = this.#buckets.get(thing.dueSecond)
    bucket?.delete(thing)
    if (bucket?.size === 0) this.#buckets.delete(thing.dueSecond)
    thing.dueSecond = undefined
  }

  /** Takes out whatever is due. After a long sleep it walks over the buckets there are, not over the seconds. */
  turn(now: EpochMilliseconds): T[] {
    const second = Math.floor(now / 1000)
    const due: T[] = []
    const from = this.#turned
    this.#turned = second
    if (from !== undefined && second - from <= this.#buckets.size) {
      for (let at = from + 1; at <= second; at++) this.#take(at, due)
    } else {
      for (const at of [...this.#buckets.keys()]) if (at <= second) this.#take(at, due)
    }
    return due
  }

  #take(second: number, into: T[]): void {
    const bucket = this.#buckets.get(second)
    if (!bucket) return
    this.#buckets.delete(second)
    for (const thing of bucket) {
      thing.dueSecond = undefined
      into.push(thing)
    }
  }
}
