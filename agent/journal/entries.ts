import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Evidence } from '../detect/verdict.ts'
import type { Grade } from '../observe/observation.ts'

export type { Evidence } from '../detect/verdict.ts'
export type { Grade } from '../observe/observation.ts'
export type Scope = 'register' | 'sip'

/** What a decision is about: a prefix (a single address is /32 or /128), or one port of an address. */
export type DecisionTarget =
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  | { readonly kind: 'source'; readonly address: Address; readonly port: number }

/** A block or suspension that somebody ordered or a verdict asked for. */
export interface NewDecision {
  readonly kind: 'block' | 'suspend'
  readonly target: DecisionTarget
  readonly scope: Scope
  readonly since: EpochMilliseconds
  /** Null: stands until it is taken back. */
  readonly until: EpochMilliseconds | null
  /** `operator`, or the name of the verdict. */
  readonly by: string
  /** The person behind `operator`, like `root@cli`. */
  readonly who: string | null
  readonly grade: Grade | null
  readonly reason: string
  readonly evidence: Evidence
}

export interface Decision extends NewDecision {
  readonly id: number
  /** When it was taken back before its time; null while it stands or when it ran out. */
  readonly endedAt: EpochMilliseconds | null
  readonly endedBy: string | null
}

/** What of a decision matters to the kernel. */
export type StandingTarget = Pick<NewDecision, 'kind' | 'target' | 'scope' | 'until' | 'by'>

export interface VerdictEntry {
  readonly time: EpochMilliseconds
  /** What was judged: an IPv4 /32, an IPv6 /64. */
  readonly source: Prefix
  readonly port: number | null
  /** The rule that spoke; missing in what was written before names were kept. */
  readonly name?: string
  readonly action: 'limit' | 'alert' | 'suspend' | 'block'
  readonly scope: Scope
  readonly grade: Grade
  readonly reason: string
  readonly evidence: Evidence
}

export interface AllowEntry {
  readonly target: Prefix
  readonly since: EpochMilliseconds
  readonly who: string
  readonly reason: string
}

export interface AuditEntry {
  readonly time: EpochMilliseconds
  readonly who: string
  /** The order: `block`, `unblock`, `off` … */
  readonly what: string
  readonly target: string
}

/** A source that registered successfully: at the moment `at`, with a binding until `until`. */
export interface KnownSource {
  readonly source: Prefix
  readonly at: EpochMilliseconds
  readonly until: EpochMilliseconds
}

/** An account that is registered from an address and port, over UDP, until a moment. */
export interface ProvenEntry {
  readonly account: string
  readonly address: Address
  readonly port: number
  readonly until: EpochMilliseconds
}

/** A source from which so many accounts registered within the last days, last at the moment `at`. */
export interface ReturningEntry {
  readonly source: Prefix
  readonly at: EpochMilliseconds
  readonly accounts: number
}

/** One hour of which it is known what was usual; null where answers were not seen. */
export interface BaselineEntry {
  /** When it began (UTC). */
  readonly hour: EpochMilliseconds
  /** Minutes of it that were counted. */
  readonly minutes: number
  readonly registers: number
  readonly successes: number | null
  readonly share: number | null
  readonly endpoints: number
  readonly newSources: number
}

/** A change of state, or an anomaly that began or ended. */
export interface WeatherEntry {
  readonly time: EpochMilliseconds
  readonly what: 'weather' | 'strict' | 'anomaly' | 'outage'
  /** What it was from then on. */
  readonly state: string
  readonly why: string
  /** What it was decided from, and the most that came while it stood. */
  readonly figures: Evidence
}
