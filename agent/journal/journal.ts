import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type {
  AllowEntry,
  AuditEntry,
  BaselineEntry,
  Decision,
  KnownSource,
  NewDecision,
  ProvenEntry,
  ReturningEntry,
  StandingTarget,
  VerdictEntry,
  WeatherEntry,
} from './entries.ts'

/**
 * What the daemon remembers over a restart. Every method is synchronous, bounded in time (a locked database is
 * waited for half a second), and throws a `JournalError` where the world is broken (disk full, locked, damaged):
 * callers count it and go on.
 */
export interface Journal {
  recordDecision(decision: NewDecision): Decision
  /** A new end for a decision. Undefined where none has that number or it was taken back. */
  extendDecision(id: number, until: EpochMilliseconds | null): Decision | undefined
  /** Takes a decision back. Undefined where none has that number or it was taken back before. */
  endDecision(id: number, end: { readonly at: EpochMilliseconds; readonly by: string }): Decision | undefined
  /** Neither taken back nor run out at `now`; newest first. */
  standingDecisions(now: EpochMilliseconds): readonly Decision[]
  /** What of them the kernel has to know, in no order: a third of the cost where there are a hundred thousand. */
  standingTargets(now: EpochMilliseconds): readonly StandingTarget[]
  /** Every decision about the address, one of its ports, or a prefix that holds it; newest first. */
  decisionsOf(address: Address, options: { readonly limit: number }): readonly Decision[]

  /** Written at once, or in a burst together with others: see `flush`. */
  recordVerdict(verdict: VerdictEntry): void
  /** Newest first. */
  verdictsOf(source: Prefix, options: { readonly limit: number }): readonly VerdictEntry[]

  /** Adds a target to the operator's allowlist; one that is there gets the new reason. */
  addAllow(entry: AllowEntry): void
  /** What was removed, or undefined where the target was not on the list. */
  removeAllow(target: Prefix): AllowEntry | undefined
  /** Oldest first. */
  listAllow(): readonly AllowEntry[]

  setting(name: string): string | undefined
  putSetting(name: string, value: string): void

  audit(entry: AuditEntry): void
  /** Newest first. */
  listAudit(options: { readonly limit: number }): readonly AuditEntry[]

  /** Held back and written in batches: by `flush`, `tidy`, `close`, or when 1,000 wait. */
  rememberSuccess(
    source: Prefix,
    success: { readonly at: EpochMilliseconds; readonly until: EpochMilliseconds },
  ): void
  /** Sources with a success at or after `since`, newest first, those still held back included. */
  knownSources(since: EpochMilliseconds): readonly KnownSource[]

  /** Held back and written in batches, as the other changes of lanes. */
  rememberProven(entry: ProvenEntry): void
  forgetProven(entry: Omit<ProvenEntry, 'until'>): void
  /** Those that last beyond `now`; what ends first comes first. */
  provenEntries(now: EpochMilliseconds): readonly ProvenEntry[]
  /** Those of a few addresses that last beyond `now`, at most `limit` of them. */
  provenAt(
    addresses: readonly Address[],
    options: { readonly now: EpochMilliseconds; readonly limit: number },
  ): readonly ProvenEntry[]
  rememberReturning(entry: ReturningEntry): void
  /** Returning sources with a success at or after `since`, oldest first. */
  returningEntries(since: EpochMilliseconds): readonly ReturningEntry[]

  /** What was usual in an hour; one that is there is replaced. */
  recordBaseline(entry: BaselineEntry): void
  /** The hours that began at or after `since`, oldest first. */
  baseline(since: EpochMilliseconds): readonly BaselineEntry[]
  recordWeather(entry: WeatherEntry): void
  /** Other figures for a change that was recorded with this time. */
  amendWeather(entry: WeatherEntry): void
  /** Newest first. */
  listWeather(options: { readonly limit: number }): readonly WeatherEntry[]

  /** Writes what is held back. */
  flush(): void
  /** Flushes and lets the oldest go where a table is over its bounds. To be called every minute or so. */
  tidy(now: EpochMilliseconds): { readonly removed: number }
  /** Flushes and closes. Later calls throw. */
  close(): void
}

export type JournalFault = 'full' | 'locked' | 'damaged' | 'too-new' | 'unavailable' | 'closed'

/** The database could not do what was asked. The message says what was being done, to which file, and what to do. */
export class JournalError extends Error {
  readonly fault: JournalFault
  /** The method that was called. */
  readonly doing: string
  constructor(fault: JournalFault, doing: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'JournalError'
    this.fault = fault
    this.doing = doing
  }
}
