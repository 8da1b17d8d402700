import { hashText } from '../../registrar/hash-text.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { FailureGrade } from '../../registrar/policy.ts'
import type { ExchangeEnded, Transport } from '../observe/observation.ts'
import { FailingSpread } from './failing-spread.ts'
import { type FailingShape, looksLikePhones } from './looks-like-phones.ts'
import { portKey } from './port-key.ts'
import { RecentNames } from './recent-names.ts'

/** So many suspended ports of one source within this time: it changes its port to go on guessing. */
export const HOPPING_PORTS = 3
const HOPPING_WITHIN: Milliseconds = 600_000
/** Suspended ports that are told apart; more are no phones whatever else is known. */
const MOST_SUSPENDED = 32
/** Where the address as a whole was suspended so lately, it is for longer the next time. */
const ESCALATES_WITHIN: Milliseconds = 7_200_000
/** What was on its way while the kernel was told is no guess more. */
const SETTLES_WITHIN: Milliseconds = 10_000

interface SuspendedPort {
  readonly at: EpochMilliseconds
  /** Hashes of the port with its address, and of the account that failed last. */
  readonly port: number
  readonly account: number
}

/**
 * What failed lately at one source, over all of its ports. A flood makes thousands of these, so that what would hold the
 * same names is one object until it differs.
 */
export class FailingAddress {
  readonly accounts: RecentNames
  /** Ports that failed and are not registered, over TCP one for each connection. */
  readonly ports: RecentNames
  readonly #within: Seconds
  #path: RecentNames
  #udpPorts: RecentNames
  #severalFromPortAt: EpochMilliseconds | undefined
  /** Ports that were suspended and connections that were cut, oldest first. */
  #suspended: SuspendedPort[] | undefined
  #escalation: Escalation | undefined
  #spread: Partial<Record<FailureGrade, FailingSpread>> | undefined
  #slowedUntil: EpochMilliseconds | undefined

  /** `within`: how long a failure counts. */
  constructor({ within }: { readonly within: Seconds }) {
    this.accounts = new RecentNames(within)
    this.#path = this.accounts
    this.ports = new RecentNames(within)
    this.#udpPorts = this.ports
    this.#within = within
  }

  /** Accounts of failures that nobody can have forged (grade path). */
  get path(): RecentNames {
    return this.#path
  }

  noteFailure(account: string, grade: FailureGrade, now: EpochMilliseconds): void {
    if (grade !== 'path' && this.#path === this.accounts) this.#path = this.accounts.copy()
    this.accounts.add(account, now)
    if (grade === 'path' && this.#path !== this.accounts) this.#path.add(account, now)
  }

  /** A phone keeps its port over UDP, and over TCP may have a new one for each try. */
  notePort(source: Source, transport: Transport, now: EpochMilliseconds): void {
    const port = portKey(source)
    if (transport !== 'udp' && this.#udpPorts === this.ports) this.#udpPorts = this.ports.copy()
    this.ports.add(port, now)
    if (transport === 'udp' && this.#udpPorts !== this.ports) this.#udpPorts.add(port, now)
  }

  /** How far what failed at its unregistered ports spreads, by grade: what can be forged must not add to what cannot. */
  spread(grade: FailureGrade): FailingSpread {
    this.#spread ??= {}
    this.#spread[grade] ??= new FailingSpread(this.#within)
    return this.#spread[grade]
  }

  /** Until when its unregistered ports have the smallest bucket; 0 where they were never told to. */
  get slowedUntil(): EpochMilliseconds {
    return this.#slowedUntil ?? 0
  }

  slow(until: EpochMilliseconds): void {
    this.#slowedUntil = until
  }

  /** What fails here, over all that is known of who is good. */
  looksLikePhones(now: EpochMilliseconds, known: Pick<FailingShape, 'good' | 'stranger'>): boolean {
    return looksLikePhones({
      ...known,
      // A port is remembered for longer than what failed there: so is its account.
      accounts: Math.max(this.accounts.names(now), this.#suspendedAccounts(now)),
      ports: Math.max(this.#udpPorts.names(now), this.suspendedPorts(now)),
      severalFromPort:
        this.#severalFromPortAt !== undefined && now - this.#severalFromPortAt <= this.#within * 1_000,
    })
  }

  /** More accounts failed from one port than a phone has. */
  noteSeveralFromPort(now: EpochMilliseconds): void {
    this.#severalFromPortAt = now
  }

  /** One port more is to be suspended, or one connection to be cut. */
  noteSuspended(
    { source, account }: Pick<ExchangeEnded, 'source' | 'account'>,
    now: EpochMilliseconds,
  ): void {
    const port = hashText(portKey(source))
    this.#suspended ??= []
    const suspended = this.#suspended
    const known = suspended.findIndex((other) => other.port === port)
    if (known >= 0) suspended.splice(known, 1)
    suspended.push({ at: now, port, account: hashText(account) | 0 })
    if (suspended.length > MOST_SUSPENDED) suspended.shift()
  }

  /**
   * Different ports that were suspended of late, each with its address: in IPv6 a guesser may as well change his
   * address within his /64.
   */
  suspendedPorts(now: EpochMilliseconds): number {
    const suspended = this.#suspended
    if (!suspended) return 0
    while (suspended[0] && now - suspended[0].at > HOPPING_WITHIN) suspended.shift()
    return suspended.length
  }

  #suspendedAccounts(now: EpochMilliseconds): number {
    return this.suspendedPorts(now) === 0 ? 0 : new Set(this.#suspended?.map(({ account }) => account)).size
  }

  /** The address as a whole is suspended now. Gives how many times it was of late, before this one. */
  suspended(now: EpochMilliseconds): number {
    this.#escalation ??= new Escalation()
    return this.#escalation.next(now)
  }

  /** What was counted has led to a measure against all of the address. */
  clear(): void {
    this.accounts.clear()
    this.#path.clear()
  }
}

/** How often the same measure was taken of late. */
export class Escalation {
  #times = 0
  #last: EpochMilliseconds = Number.NEGATIVE_INFINITY

  /** It is taken now. Gives how many times it was of late, before this one. */
  next(now: EpochMilliseconds): number {
    if (now - this.#last > ESCALATES_WITHIN) this.#times = 0
    else if (now - this.#last < SETTLES_WITHIN) return this.#times - 1
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
