import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import { RecentNames } from './recent-names.ts'

/** A phone with a wrong password tries 192 times in ten minutes (baresip: 16 in 6 ms, then quiet for 50 s). */
export const TRIES_OF_A_PHONE = 200

/** Passwords that were refused lately at one address and port. */
export class FailingPort {
  /** Since the last measure against it. */
  readonly accounts: RecentNames
  /** Measures or not. */
  readonly #all: RecentNames

  constructor(within: Seconds) {
    this.accounts = new RecentNames(within)
    this.#all = new RecentNames(within)
  }

  add(account: string, now: EpochMilliseconds): void {
    this.accounts.add(account, now)
    this.#all.add(account, now)
  }

  /** Accounts that failed here within the span, whatever was done about it. */
  allAccounts(now: EpochMilliseconds): number {
    return this.#all.names(now)
  }

  /** More tries than phones with wrong passwords make for so many accounts. */
  isTooFast(now: EpochMilliseconds): boolean {
    return this.#all.events(now) > TRIES_OF_A_PHONE * Math.max(1, this.#all.names(now))
  }
}
