import type { EpochMilliseconds, Milliseconds } from './net/time.ts'

export interface NonceUse {
  readonly nonce: string
  readonly issuedAt: EpochMilliseconds
  /** The nonce count; 0 for credentials without one, whose nonce is good for a single request. */
  readonly count: number
}

/**
 * Which counts of which nonces were used (RFC 7616 section 5.5), so that credentials seen on the wire cannot be sent
 * again. Counts may arrive out of order within `SPAN` below the highest. The table is bounded: when a nonce has to
 * be let go, every nonce issued up to that moment that is not in the table counts as used. Its owner gets a fresh
 * one (`stale`) and goes on; forgetting it would have opened it to replay.
 */
export class NonceWindow {
  readonly #lifetime: Milliseconds
  readonly #capacity: number
  /** By nonce, in order of first use. */
  readonly #used = new Map<string, Counts>()
  #floor: EpochMilliseconds = Number.NEGATIVE_INFINITY
  #letGo = 0

  constructor({ lifetime, capacity }: { lifetime: Milliseconds; capacity: number }) {
    this.#lifetime = lifetime
    this.#capacity = capacity
  }

  /** Nonces remembered now, and how many had to be let go early. */
  get stats(): { readonly size: number; readonly letGo: number } {
    return { size: this.#used.size, letGo: this.#letGo }
  }

  /** Marks a use; false where this count of this nonce was used before, or is too far behind to know. */
  use({ nonce, issuedAt, count }: NonceUse, now: EpochMilliseconds): boolean {
    const known = this.#used.get(nonce)
    if (known) return known.single || count === 0 ? false : advance(known, count)
    if (issuedAt <= this.#floor) return false
    this.#makeRoom(now)
    this.#used.set(nonce, { issuedAt, highest: count, below: 0, single: count === 0 })
    return true
  }

  #makeRoom(now: EpochMilliseconds): void {
    for (const [nonce, counts] of this.#used) {
      const over = now - counts.issuedAt > this.#lifetime
      if (!over && this.#used.size < this.#capacity) return
      this.#used.delete(nonce)
      if (over) continue
      this.#letGo++
      this.#floor = Math.max(this.#floor, counts.issuedAt)
    }
  }
}

/** How far behind the highest count a late one may be: the bits of a small integer without its sign. */
const SPAN = 30

interface Counts {
  readonly issuedAt: EpochMilliseconds
  highest: number
  /** Bit n: count `highest - 1 - n` was used. */
  below: number
  readonly single: boolean
}

function advance(counts: Counts, count: number): boolean {
  const ahead = count - counts.highest
  if (ahead > 0) {
    const kept = ahead > SPAN ? 0 : (counts.below << ahead) | (1 << (ahead - 1))
    counts.below = kept & ((1 << SPAN) - 1)
    counts.highest = count
    return true
  }
  if (ahead === 0) return false
  const bit = -ahead - 1
  if (bit >= SPAN || (counts.below >> bit) & 1) return false
  counts.below |= 1 << bit
  return true
}
