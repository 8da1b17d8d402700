/** With so many good accounts behind it an address is an office, whose ports are suspended one by one for ever. */
export const OFFICE = 16

/** What is known of the source that failed. */
export interface FailingSource {
  /** Somebody at this source is registered right now. */
  readonly liveBinding: boolean
  /** Where a live binding is known from before a restart, nobody knows its port. How many accounts there were; else 0. */
  readonly restored: number
  /** No success within the last days, nor known from before a restart. */
  readonly stranger: boolean
  /** Accounts that registered from there within about a day, up to some dozens, those of before a restart with them. */
  readonly goodAccounts: number
  /** Those that were seen to do so. */
  readonly seenGood: number
  /** An SBC or proxy is there, which brings many accounts. */
  readonly isAggregator: boolean
  /** This very account registered at this address within a day. */
  readonly isKnownHere: boolean
}
