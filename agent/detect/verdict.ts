import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Grade } from '../observe/observation.ts'

/** Facts a verdict rests on, as they were when it was made. Texts in it may be hostile: show them as data only. */
export type Evidence = Readonly<Record<string, string | number | boolean | null>>

/**
 * What the evidence asks for. `limit` informs: the kernel's limits already hold this source, and a harder measure
 * would hit somebody honest behind it.
 */
export interface Verdict {
  readonly time: EpochMilliseconds
  /** A stable name for the rule that spoke: `register-flood`, `retry-limit`, `lockout` … */
  readonly name: VerdictName
  readonly address: Address
  /** The port that is meant; null means the whole source (IPv4 address, IPv6 /64). */
  readonly port: number | null
  readonly action: 'limit' | 'suspend' | 'block'
  readonly scope: 'register' | 'sip'
  readonly grade: Grade
  /** In words an admin can act on. */
  readonly reason: string
  readonly evidence: Evidence
  /** How long the measure should stand. */
  readonly duration: Seconds
}

export type VerdictName = 'register-flood' | 'retry-limit' | 'lockout'

/** The thresholds that verdicts follow. All spans in seconds. */
export interface DetectionPolicy {
  readonly registerRetry: number
  readonly registerSuspend: boolean
  readonly registerSuspendTime: Seconds
  readonly flood: { readonly registers: number; readonly within: Seconds; readonly for: Seconds }
  readonly block: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
}
