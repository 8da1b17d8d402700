import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { SomeOf } from './what-if.ts'

/** A block or suspension that stands, or stood. */
export interface DecisionView {
  readonly id: number
  readonly kind: 'block' | 'suspend'
  /** Address or prefix, for people: a single address without its length; a suspension as `address:port`. */
  readonly target: string
  readonly scope: 'register' | 'sip'
  readonly since: EpochMilliseconds
  /** Null: stands until it is taken back. */
  readonly until: EpochMilliseconds | null
  readonly secondsLeft: Seconds | null
  /** When it was taken back before its time, and by whom; absent where it stands or ran out. */
  readonly endedAt?: EpochMilliseconds
  readonly endedBy?: string
  /** `operator`, or the verdict's name. */
  readonly by: string
  readonly grade: 'packet' | 'path' | 'account' | null
  readonly reason: string
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
  /** Packets and bytes that the kernel dropped for it; null where the kernel is not asked (observe mode). */
  readonly packetsDropped: number | null
  readonly bytesDropped: number | null
  /** The prefix of the allowlist that holds the whole target, which comes first: nothing is dropped for it. */
  readonly allowedBy?: string
}

/** An entry of the allowlist. */
export interface AllowView {
  readonly target: string
  readonly since: EpochMilliseconds
  /** `operator`, or `configuration` for the entries of the configuration file. */
  readonly by: string
  readonly reason: string
}

/** What came of putting a target on the allowlist. Targets as `DecisionView` shows them. */
export interface AllowedView extends AllowView {
  /** Blocks and suspensions that lay wholly inside it: taken back. */
  readonly lifted: SomeOf
  /** Blocks and suspensions of more than it: they stand for the rest of theirs. */
  readonly wider: SomeOf
}
