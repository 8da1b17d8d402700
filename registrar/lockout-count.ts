import { BoundedMap } from './bounded-map.ts'
import { hashText } from './hash-text.ts'
import type { Prefix } from './net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from './net/time.ts'

export interface LockoutEvidence {
  readonly failures: number
  readonly accounts: number
  readonly goodAccounts: number
  readonly sinceMs: Milliseconds
}

/**
 * Failures and good accounts of each source, for the brute-force lockout. An address behind which most accounts are
 * good is spared, since a lockout would cut off the phones of an office for one guesser among them; it takes two
 * good accounts, or a guesser who has one of his own would spare himself. Suspension by account still stops him, and
 * stops whoever fails on fewer than `FEWEST_ACCOUNTS`.
 */
export class LockoutCount {
  readonly #failing: BoundedMap<Prefix, FailingSource>
  readonly #good: BoundedMap<Prefix, BoundedMap<number, EpochMilliseconds>>

  constructor({ capacity }: { capacity: number }) {
    this.#failing = new BoundedMap({ capacity })
    this.#good = new BoundedMap({ capacity })
  }

  get size(): number {
    return this.#failing.size + this.#good.size
  }

  get letGo(): number {
    return this.#failing.letGo + this.#good.letGo
  }

  /** The evidence for a lockout where this failure completes it; the count then starts over. */
  noteFailure(
    prefix: Prefix,
    account: string,
    at: EpochMilliseconds,
    limit: { readonly failures: number; readonly within: Seconds },
  ): LockoutEvidence | undefined {
    const from = at - limit.within * 1000
    const { times, accounts: names } = this.#failing.get(prefix) ?? NONE
    let gone = Math.max(0, times.length + 1 - limit.failures)
    while (gone < times.length && times[gone]! <= from) gone++
    const source = {
      times: [...times.slice(gone), at],
      accounts: [...names.slice(gone), hashText(account) | 0],
    }
    this.#failing.set(prefix, source)
    if (source.times.length < limit.failures) return undefined

    const accounts = new Set(source.accounts).size
    const goodAccounts = this.goodAccounts(prefix, at)
    if (accounts < FEWEST_ACCOUNTS) return undefined
    if (goodAccounts >= 2 && goodAccounts >= accounts) return undefined
    this.#failing.delete(prefix)
    return { failures: source.times.length, accounts, goodAccounts, sinceMs: at - source.times[0]! }
  }

  noteSuccess(prefix: Prefix, account: string, at: EpochMilliseconds): void {
    const good = this.#good.get(prefix) ?? new BoundedMap({ capacity: GOOD_KEPT })
    good.set(hashText(account), at)
    this.#good.set(prefix, good)
  }

  /** Accounts that succeeded from there within the last hour, counted up to `GOOD_KEPT`. */
  goodAccounts(prefix: Prefix, now: EpochMilliseconds): number {
    const good = this.#good.get(prefix)
    if (!good) return 0
    good.sweep((at) => now - at > GOOD_FOR)
    return good.size
  }

  forget(prefix: Prefix): void {
    this.#failing.delete(prefix)
  }
}

/** A phone with a wrong password fails on its one account all day: that is suspended, and never a lockout. */
const FEWEST_ACCOUNTS = 3

interface FailingSource {
  /** Oldest first, never more than the limit: two plain lists of numbers, since a flood makes thousands of them. */
  readonly times: readonly EpochMilliseconds[]
  /** The hash of each failure's account. */
  readonly accounts: readonly number[]
}

const NONE: FailingSource = { times: [], accounts: [] }

/** The longest registration that is granted by default: after it, a silent account is gone. */
const GOOD_FOR: Milliseconds = 3_600_000
const GOOD_KEPT = 64
