import { hashText } from '../../registrar/hash-text.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import { RecentNames } from './recent-names.ts'

/** So many suspended ports of one source within this time: it changes its port to go on guessing. */
export const HOPPING_PORTS = 3
const HOPPING_WITHIN: Milliseconds = 600_000
/** Where the address as a whole was suspended so lately, it is for longer the next time. */
const ESCALATES_WITHIN: Milliseconds = 7_200_000

/** What failed lately at one source, over all of its ports. */
export class FailingAddress {
  readonly accounts: RecentNames
  readonly ports: RecentNames
  #hoppingSince: EpochMilliseconds
  #hopped: number[] = []
  #suspendedTimes = 0
  #lastSuspended: EpochMilliseconds = Number.NEGATIVE_INFINITY

  /** `within`: how long a failure counts. */
  constructor({ within, now }: { readonly within: Seconds; readonly now: EpochMilliseconds }) {
    this.accounts = new RecentNames(within)
    this.ports = new RecentNames(within)
    this.#hoppingSince = now
  }

  /**
   * One port more is to be suspended: whether that is now one of several. In IPv6 a guesser may as well change his
   * address within his /64.
   */
  hops(source: Source, now: EpochMilliseconds): boolean {
    if (now - this.#hoppingSince > HOPPING_WITHIN) {
      this.#hoppingSince = now
      this.#hopped = []
    }
    const key = hashText(portKey(source))
    if (this.#hopped.length < HOPPING_PORTS && !this.#hopped.includes(key)) this.#hopped.push(key)
    return this.#hopped.length >= HOPPING_PORTS
  }

  /** The address as a whole is suspended now. Gives how many times it was of late, before this one. */
  suspended(now: EpochMilliseconds): number {
    if (now - this.#lastSuspended > ESCALATES_WITHIN) this.#suspendedTimes = 0
    this.#lastSuspended = now
    return this.#suspendedTimes++
  }
}

/** What tells one address and port from another. */
export function portKey({ address, port }: Source): string {
  return `${address} ${port}`
}
