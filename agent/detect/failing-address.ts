import { hashText } from '../../registrar/hash-text.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Transport } from '../observe/observation.ts'
import { type FailingShape, looksLikePhones } from './looks-like-phones.ts'
import { RecentNames } from './recent-names.ts'

/** So many suspended ports of one source within this time: it changes its port to go on guessing. */
export const HOPPING_PORTS = 3
const HOPPING_WITHIN: Milliseconds = 600_000
/** Suspended ports that are told apart; more are no phones whatever else is known. */
const MOST_SUSPENDED = 32
/** Where the address as a whole was suspended so lately, it is for longer the next time. */
const ESCALATES_WITHIN: Milliseconds = 7_200_000

/** What failed lately at one source, over all of its ports. */
export class FailingAddress {
  readonly accounts: RecentNames
  /** The same of what nobody can have forged (grade path). */
  readonly path: RecentNames
  /** Ports that failed and are not registered, over TCP one for each connection. */
  readonly ports: RecentNames
  /** Those over UDP: a phone keeps its port, and over TCP may have a new one for each try. */
  readonly #udpPorts: RecentNames
  readonly #within: Milliseconds
  #severalFromPortAt: EpochMilliseconds = Number.NEGATIVE_INFINITY
  /** Ports that were suspended and connections that were cut, oldest first. */
  readonly #suspended: { readonly at: EpochMilliseconds; readonly port: number }[] = []
  readonly #escalation = new Escalation()

  /** `within`: how long a failure counts. */
  constructor({ within }: { readonly within: Seconds }) {
    this.accounts = new RecentNames(within)
    this.path = new RecentNames(within)
    this.ports = new RecentNames(within)
    this.#udpPorts = new RecentNames(within)
    this.#within = within * 1_000
  }

  notePort(source: Source, transport: Transport, now: EpochMilliseconds): void {
    const port = portKey(source)
    this.ports.add(port, now)
    if (transport === 'udp') this.#udpPorts.add(port, now)
  }

  /** What fails here, over all that is known of who is good. */
  looksLikePhones(now: EpochMilliseconds, known: Pick<FailingShape, 'good' | 'stranger'>): boolean {
    return looksLikePhones({
      ...known,
      accounts: this.accounts.names(now),
      ports: Math.max(this.#udpPorts.names(now), this.suspendedPorts(now)),
      severalFromPort: now - this.#severalFromPortAt <= this.#within,
    })
  }

  /** More accounts failed from one port than a phone has. */
  noteSeveralFromPort(now: EpochMilliseconds): void {
    this.#severalFromPortAt = now
  }

  /** One port more is to be suspended, or one connection to be cut. */
  noteSuspended(source: Source, now: EpochMilliseconds): void {
    const port = hashText(portKey(source))
    const known = this.#suspended.findIndex((other) => other.port === port)
    if (known >= 0) this.#suspended.splice(known, 1)
    this.#suspended.push({ at: now, port })
    if (this.#suspended.length > MOST_SUSPENDED) this.#suspended.shift()
  }

  /**
   * Different ports that were suspended of late, each with its address: in IPv6 a guesser may as well change his
   * address within his /64.
   */
  suspendedPorts(now: EpochMilliseconds): number {
    while (this.#suspended[0] && now - this.#suspended[0].at > HOPPING_WITHIN) this.#suspended.shift()
    return this.#suspended.length
  }

  /** The address as a whole is suspended now. Gives how many times it was of late, before this one. */
  suspended(now: EpochMilliseconds): number {
    return this.#escalation.next(now)
  }

  /** What was counted has led to a measure against all of the address. */
  clear(): void {
    this.accounts.clear()
    this.path.clear()
  }
}

/** How often the same measure was taken of late. */
export class Escalation {
  #times = 0
  #last: EpochMilliseconds = Number.NEGATIVE_INFINITY

  /** It is taken now. Gives how many times it was of late, before this one. */
  next(now: EpochMilliseconds): number {
    if (now - this.#last > ESCALATES_WITHIN) this.#times = 0
    this.#last = now
    return this.#times++
  }
}

/** Twice as long each time, between the time of the first and the longest. */
export function escalated(
  times: number,
  {
    registerSuspendTime,
    block,
  }: { readonly registerSuspendTime: Seconds; readonly block: { readonly for: Seconds } },
): Seconds {
  return Math.max(registerSuspendTime, Math.min(block.for, registerSuspendTime * 2 ** Math.min(times, 20)))
}

/** What tells one address and port from another. */
export function portKey({ address, port }: Source): string {
  return `${address} ${port}`
}
