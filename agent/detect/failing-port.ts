import { hashText } from '../../registrar/hash-text.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import { RecentNames } from './recent-names.ts'

/** A phone with a wrong password tries 192 times in ten minutes (baresip: 16 in 6 ms, then quiet for 50 s). */
export const TRIES_OF_A_PHONE = 200
/** Accounts whose failures in a row are counted: who fails on more at once is found by their number. */
const MOST_ROWS = 32
/** A failure an hour ago says nothing about the one of now. */
const FORGOTTEN_AFTER: Milliseconds = 3_600_000

/** Failures in a row of one account, all of them from this very port. */
interface Row {
  readonly account: number
  readonly firstAt: EpochMilliseconds
  lastAt: EpochMilliseconds
  failures: number
}

/** Passwords that were refused lately at one address and port. */
export class FailingPort {
  /** Since the last measure against it. */
  #accounts: RecentNames
  /** Measures or not: the same object until there was one. */
  readonly #all: RecentNames
  #rows: readonly Row[] = NO_ROWS
  readonly #within: Seconds

  constructor(within: Seconds) {
    this.#all = new RecentNames(within)
    this.#accounts = this.#all
    this.#within = within
  }

  get accounts(): RecentNames {
    return this.#accounts
  }

  add(account: string, now: EpochMilliseconds): void {
    this.#all.add(account, now)
    if (this.#accounts !== this.#all) this.#accounts.add(account, now)
  }

  /** Counts a failure that nobody can have forged. Gives how often this account failed here in a row, and since when. */
  addToRow(account: string, now: EpochMilliseconds): Pick<Row, 'failures' | 'firstAt'> {
    const name = hashText(account) | 0
    const known = this.#rows.find((row) => row.account === name)
    if (known && now - known.lastAt <= FORGOTTEN_AFTER) {
      known.failures++
      known.lastAt = now
      return known
    }
    const row = { account: name, firstAt: now, lastAt: now, failures: 1 }
    this.#rows = [row, ...this.#rows.filter((other) => other.account !== name)].slice(0, MOST_ROWS)
    return row
  }

  /** A success ends the row of its own account. */
  succeeded(account: string): void {
    const name = hashText(account) | 0
    if (this.#rows.length > 0) this.#rows = this.#rows.filter((row) => row.account !== name)
  }

  /** What was counted has led to a measure; `account`: because of its row. */
  measured(account: string): void {
    this.#accounts = new RecentNames(this.#within)
    this.succeeded(account)
  }

  /** Accounts that failed here within the span, whatever was done about it. */
  allAccounts(now: EpochMilliseconds): number {
    return this.#all.names(now)
  }

  allFailures(now: EpochMilliseconds): number {
    return this.#all.events(now)
  }

  /** More tries than phones with wrong passwords make for so many accounts. */
  isTooFast(now: EpochMilliseconds): boolean {
    return this.#all.events(now) > TRIES_OF_A_PHONE * Math.max(1, this.#all.names(now))
  }
}

const NO_ROWS: readonly Row[] = []
