import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'

/*
 * What is asked and answered about a configuration that does not stand yet, and about a packet that nobody sent.
 * Only the socket's door serves these: a candidate holds passwords.
 */

/** A configuration that is not the daemon's: its text, and the name it has for people. */
export interface CandidateText {
  readonly text: string
  readonly file: string
}

export interface ApplyOrder extends CandidateText {
  /** Without it the configuration is kept at once; else it is taken back unless confirmed within so many seconds. */
  readonly confirmWithin?: Seconds
  readonly by: string
}

export interface TrialView {
  /** The name of the candidate, as whoever ordered it wrote it. */
  readonly file: string
  readonly by: string
  readonly until: EpochMilliseconds
  readonly secondsLeft: Seconds
}

export interface AppliedView {
  /** `trial`: in force until it is confirmed or its time is over. `kept`: written over the configuration file. */
  readonly state: 'trial' | 'kept'
  readonly trial: TrialView | null
  /** The configuration file. */
  readonly file: string
  /** Where the configuration before lies; null where nothing was written. */
  readonly previous: string | null
  readonly warnings: readonly string[]
  readonly notice: string | null
}

/** What a configuration would change in the kernel, and whom it would touch. */
export interface PlanView {
  /** What was planned: the candidate's name or the configuration file. */
  readonly file: string
  /** Whether nothing at all would change. */
  readonly same: boolean
  /** Keys that take effect only after a restart. */
  readonly needsRestart: readonly string[]
  /** Limits, as `limits.register: 5/s burst 10 → 7/s burst 10`. */
  readonly limits: readonly string[]
  /** Whether the buckets of changed limits are filled by real traffic before they decide. */
  readonly warmed: boolean
  /** Chains whose rules differ. */
  readonly chains: readonly ChainDiff[]
  /** `rf-pvn4: 65536 → 200000 elements`. */
  readonly sets: readonly string[]
  readonly elements: { readonly added: SomeOf; readonly removed: SomeOf }
  readonly phones: PhonesTouched
  readonly warnings: readonly string[]
  /** What makes the plan less than the whole truth, e.g. that the rules are off. */
  readonly notes: readonly string[]
}

export interface ChainDiff {
  readonly family: 4 | 6
  readonly chain: string
  /** Rules in order: those that go and those that come, as `iptables-save` prints them. */
  readonly removed: readonly string[]
  readonly added: readonly string[]
}

/** How many there are, and the first of them. */
export interface SomeOf {
  readonly count: number
  readonly first: readonly string[]
}

/** Proven addresses and ports whose REGISTERs would fare worse. */
export interface PhonesTouched {
  /** How many are proven now, and of how many of them a REGISTER was traced. */
  readonly proven: number
  readonly traced: number
  readonly worse: number
  readonly first: readonly { readonly source: string; readonly says: string }[]
}

export interface TraceOrder {
  /** An address, or an address with a port (IPv6 in brackets); without one, port 5060. */
  readonly source: string
  /** An address, or an address with a port; without it, a protected address and port. */
  readonly destination?: string
  readonly protocol?: 'udp' | 'tcp'
  readonly method?: string
  /** UDP payload in base64, instead of a message of `method`. */
  readonly payload?: string
  readonly interface?: string
}

export interface TraceView {
  /** What was imagined, in words. */
  readonly packet: string
  readonly verdict: 'pass' | 'drop' | 'not-ours'
  readonly says: string
  /** Why the kernel may not do so now, e.g. that the rules are off; null where it does. */
  readonly notice: string | null
  readonly lane: string
  /** The rule that decides; null where none does. */
  readonly rule: string | null
  readonly steps: readonly { readonly rule: string; readonly says: string }[]
  /** What was assumed of sets that the kernel fills by itself. */
  readonly assumptions: readonly string[]
}
