import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Grade } from '../observe/observation.ts'

/** Facts a verdict rests on, as they were when it was made. Texts in it may be hostile: show them as data only. */
export type Evidence = Readonly<Record<string, string | number | boolean | null>>

/**
 * What the evidence asks for. `limit` informs: the kernel's limits already hold this source, and a harder measure
 * would hit somebody honest behind it. A `block` of a port
 * is of a TCP connection: the kernel drops all its packets. `alert` informs too: somebody should look, and nothing is to be done to anybody.
 */
export interface Verdict {
  readonly time: EpochMilliseconds
  /** A stable name for the rule that spoke: `register-flood`, `retry-limit`, `lockout` … */
  readonly name: VerdictName
  readonly address: Address
  /** The port that is meant; null means the whole source (IPv4 address, IPv6 /64). */
  readonly port: number | null
  /** What is meant where that is more than one source: an IPv6 site (/56) that holds `address`. `port` is null then. */
  readonly prefix?: Prefix
  readonly action: 'limit' | 'alert' | 'suspend' | 'block'
  readonly scope: 'register' | 'sip'
  readonly grade: Grade
  /** In words an admin can act on. */
  readonly reason: string
  readonly evidence: Evidence
  /** How long the measure should stand. */
  readonly duration: Seconds
}

export type VerdictName =
  /** Too many REGISTERs of one source. */
  | 'register-flood'
  /** `policy.registerRetry` failures in a row. */
  | 'retry-limit'
  /** `policy.block` failures within its window, over several accounts. */
  | 'lockout'
  /** Failures that stay under every short window and add up over hours. */
  | 'slow-guessing'
  /** One account tried from many sources: for people, since its owner may be among them. */
  | 'account-guessed'
  /** A success that follows guesses, from a source that never had one. */
  | 'guessed-right'
  /** Many accounts asked for that never registered here. */
  | 'account-scan'
  /** REGISTERs that cannot be read, or are far larger than any phone's. */
  | 'malformed'
  /** The softswitch refuses those whom it knew: its fault, and nobody's failure. */
  | 'refused-all'
  /** A live binding replaced from another network by another device, while the old contact still answers. */
  | 'hijack'

/** So much of something within a span, and for how long the measure stands. */
export interface Threshold {
  readonly within: Seconds
  readonly for: Seconds
}

/** The thresholds that verdicts follow. All spans in seconds. */
export interface DetectionPolicy {
  readonly registerRetry: number
  readonly registerSuspend: boolean
  readonly registerSuspendTime: Seconds
  readonly flood: {
    readonly registers: number
    readonly within: Seconds
    readonly for: Seconds
    /** Nobody is blocked for a rate: after an outage phones come back all at once. */
    readonly informs?: boolean
  }
  readonly block: { readonly failures: number; readonly within: Seconds; readonly for: Seconds }
  /** Guessing that stays under the lockout: so many failures over three or more accounts. */
  readonly slowGuessing?: Threshold & { readonly failures: number }
  /** So many accounts that never registered here, asked for by a source without a success. */
  readonly scan?: Threshold & { readonly accounts: number }
  /** So many REGISTERs that cannot be read or are far too large. */
  readonly malformed?: Threshold & { readonly registers: number }
  /** An account that fails from so many sources raises an alert. */
  readonly accountGuessed?: { readonly sources: number; readonly within: Seconds }
}

/** What holds where the configuration says nothing. */
export const DEFAULT_SLOW_GUESSING = { failures: 60, within: 86_400, for: 14_400 } as const
export const DEFAULT_SCAN = { accounts: 10, within: 600, for: 600 } as const
export const DEFAULT_MALFORMED = { registers: 10, within: 60, for: 600 } as const
export const DEFAULT_ACCOUNT_GUESSED = { sources: 10, within: 86_400 } as const
