/** One port, one device: what fails for so many accounts from there is no phone with a wrong password. */
export const FEWEST_ACCOUNTS = 3
/** A phone that fails has an account and a port, and another port once it was started again. */
export const PORTS_A_PHONE = 2
/** So many phones of one place may have wrong passwords while nobody good is known there … */
const FAILING_PHONES = 8
/** … so many more where somebody registered within days … */
const MORE_WHERE_KNOWN = 8
/** … and so many more for each account that registered within a day. */
const MORE_FOR_EACH_GOOD = 2

/** What fails at one place: an address, or a site of several. */
export interface FailingShape {
  readonly accounts: number
  /** Ports (over TCP: connections that were cut; of a site: its networks) that failed. */
  readonly ports: number
  /** Some port failed on three accounts or more. */
  readonly severalFromPort: boolean
  /** Accounts that registered there within a day. */
  readonly good: number
  /** Nobody registered there within days. */
  readonly stranger: boolean
}

/**
 * Whether this is what phones with wrong passwords do: few ports, each of which sticks to its account. Those are
 * suspended one by one, and their neighbours must not pay for them. Who guesses needs several accounts at a port, new
 * ports for an account whose port was suspended, or more ports than a place has failing phones.
 */
export function looksLikePhones({ accounts, ports, severalFromPort, good, stranger }: FailingShape): boolean {
  const most = FAILING_PHONES + (stranger ? 0 : MORE_WHERE_KNOWN) + MORE_FOR_EACH_GOOD * good
  return !severalFromPort && ports <= PORTS_A_PHONE * accounts && Math.max(ports, accounts) <= most
}
