import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'

const SLICES = 10

/**
 * Events of the last `seconds`, counted in ten slices: at any moment the window reaches back between nine and
 * ten slices, so it never counts more than the span that it names.
 */
export class SlidingCount {
  readonly #slice: Milliseconds
  /** Made when a second slice counts: most sources of a flood are seen in one and never again. */
  #counts: number[] | undefined
  #newest = 0
  #total = 0

  constructor(seconds: Seconds) {
    this.#slice = (seconds * 1000) / SLICES
  }

  get seconds(): Seconds {
    return (this.#slice * SLICES) / 1000
  }

  add(at: EpochMilliseconds, amount = 1): void {
    this.#advance(at)
    if (this.#counts) {
      const slot = this.#newest % SLICES
      this.#counts[slot] = this.#counts[slot]! + amount
    }
    this.#total += amount
  }

  total(now: EpochMilliseconds): number {
    this.#advance(now)
    return this.#total
  }

  clear(): void {
    this.#counts?.fill(0)
    this.#total = 0
  }

  /** A clock that steps back (captures can) counts into the newest slice. */
  #advance(at: EpochMilliseconds): void {
    const slice = Math.floor(at / this.#slice)
    if (slice <= this.#newest) return
    const steps = Math.min(slice - this.#newest, SLICES)
    if (!this.#counts && this.#total > 0 && steps < SLICES) {
      this.#counts = new Array<number>(SLICES).fill(0)
      // What was counted until now was all in one slice.
      this.#counts[this.#newest % SLICES] = this.#total
    }
    if (!this.#counts) {
      this.#total = 0
      this.#newest = slice
      return
    }
    for (let step = 1; step <= steps; step++) {
      const slot = (slice - steps + step) % SLICES
      this.#total -= this.#counts[slot]!
      this.#counts[slot] = 0
    }
    this.#newest = slice
  }
}
