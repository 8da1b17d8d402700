import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { CandidateText } from './what-if.ts'

/*
 * What another policy would have decided over the same traffic, recorded or captured. Texts in it may be an
 * attacker's: show them as data only.
 */

export interface BacktestOrder {
  readonly candidate: CandidateText
  /** How far back. */
  readonly seconds: Seconds
}

export interface ComparisonView {
  /** The traffic that was judged twice; null where there was none. */
  readonly from: EpochMilliseconds | null
  readonly to: EpochMilliseconds | null
  readonly before: PolicySide
  readonly after: PolicySide
  readonly phones: PhonesJudged
  /**
   * By source: what only the new policy does, what only the present one does, what one does harder, and what is as hard
   * and yet not the same (other ports, another rule, other verdicts that only inform).
   */
  readonly changes: Readonly<Record<ChangeKind, ChangesOfKind>>
  /** Sources to which both do the same: as often, for as long, from the same moment on. */
  readonly same: number
  /** What this cannot know, each as a sentence. */
  readonly notes: readonly string[]
}

export type ChangeKind = 'new' | 'gone' | 'harder' | 'softer' | 'other'

export interface ChangesOfKind {
  readonly count: number
  readonly first: readonly SourceChange[]
}

export interface PolicySide {
  /** What the policy is called: the file, or `the present policy`. */
  readonly name: string
  /** How often one began; a verdict that only prolongs what stands is none more. */
  readonly blocks: number
  readonly suspensions: number
  /** Verdicts that inform alone. */
  readonly informing: number
  /** Sources with any of them. */
  readonly sources: number
  /** Registered phones that would have been cut off. */
  readonly phonesTouched: number
}

export interface PhonesJudged {
  /** Accounts at addresses and ports that registered in that time. */
  readonly registered: number
  /** Cut off by the new policy and not by the present one; and the other way round. */
  readonly touched: PhonesOfKind
  readonly relieved: PhonesOfKind
  /** Registered at a source that the new policy punishes, and served all the same: the kernel spares proven ports. */
  readonly spared: number
}

export interface PhonesOfKind {
  readonly count: number
  readonly first: readonly PhoneTouched[]
}

export interface PhoneTouched {
  readonly account: string
  /** `198.51.100.7:5060` */
  readonly source: string
  readonly time: EpochMilliseconds
  /** What would have cut it off, in words. */
  readonly by: string
}

export interface SourceChange {
  readonly source: string
  /** All that each policy does there, the hardest first; empty where it does nothing. */
  readonly before: readonly SourceJudgement[]
  readonly after: readonly SourceJudgement[]
  /** Phones there that the new policy cuts off. */
  readonly phonesTouched: number
}

/** What one rule does to a source. `count` over all sources comes to the numbers of `PolicySide`. */
export interface SourceJudgement {
  readonly verdict: string
  readonly action: 'limit' | 'alert' | 'suspend' | 'block'
  readonly scope: 'register' | 'sip'
  /** Address, /64, or address and port: the first of them. */
  readonly target: string
  /** How many ports there, or the one source. */
  readonly targets: number
  readonly first: EpochMilliseconds
  /** How often it began, and how long it would have stood in all. */
  readonly count: number
  readonly seconds: Seconds
  readonly grade: 'packet' | 'path' | 'account'
  /** Of the first. */
  readonly reason: string
}
