import type { Prefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../registrar/net/time.ts'
import type { Block, Suspension } from './desired-state.ts'

/** How the kernel stands to what is desired. A plain value, cheap to make. */
export interface RulesStatus {
  /**
   * `applied`: the kernel holds what is desired. `pending`: a change is on its way. `failing`: the last attempt
   * failed and another follows. `contested`: another program keeps changing what is ours, and repairs are made but
   * seldom now. `off`: rules and sets were removed and stay away until `on`, or nothing was desired yet.
   */
  readonly state: 'applied' | 'pending' | 'failing' | 'contested' | 'off'
  readonly backend: string
  readonly lastAppliedAt: EpochMilliseconds | null
  /** Set elements and chains that the kernel does not hold yet. */
  readonly pendingChanges: number
  readonly lastError: RulesFailure | null
  /** Sets and tables that take nothing new, each as a sentence that says what that means. */
  readonly full: readonly string[]
  readonly repairs: {
    /** How many times something foreign had changed what is ours, and was put right. */
    readonly count: number
    readonly lastAt: EpochMilliseconds | null
    /** What was found, e.g. `IPv4: the jump from PREROUTING was gone`. */
    readonly last: string | null
    /** While another program keeps at it: when the next repair is tried. */
    readonly contestedUntil: EpochMilliseconds | null
  }
}

export interface RulesFailure {
  readonly at: EpochMilliseconds
  readonly message: string
  /** The line that the kernel refused, where one is to blame. */
  readonly line: string | null
  /** Attempts that failed one after the other. */
  readonly attempts: number
  readonly nextAttemptAt: EpochMilliseconds
}

export interface Counted {
  readonly packets: number
  readonly bytes: number
}

/** What the kernel counted. Of a block or suspension that the kernel does not hold (yet), nothing is listed. */
export interface KernelCounters {
  /** Packets dropped by each desired block; `remaining` is null for one without an end. */
  readonly blocks: readonly ({ readonly block: Block; readonly remaining: Seconds | null } & Counted)[]
  readonly suspensions: readonly ({
    readonly suspension: Suspension
    readonly remaining: Seconds | null
  } & Counted)[]
  /** Sources over `limits.sip` in the last ten minutes, the busiest first, with the packets over it. */
  readonly wouldLimit: readonly ({ readonly source: Prefix } & Counted)[]
  /** Packets to protected ports since the engine began: what entered the chains. */
  readonly judged: { readonly udp: number; readonly tcp: number }
  /** Packets dropped since the engine began, by what dropped them. */
  readonly dropped: Readonly<Record<DropCause, number>>
}

/**
 * What drops a packet. `blocks`: the operator's and verdicts' blocks. `suspensions`. `registerLimit`: a lane's limit
 * of REGISTERs, unknown lane included. `firstPackets`: under attack, the first packet of an address and port.
 * `sipLimit`: `limits.sip`, while enforced. `rest`: keepalives and responses that nobody asked for. `gateways`: a CPS
 * limit. `ceiling`: the ceiling of something trusted. `connections`: new TCP connections over a limit. `full`: a table
 * of buckets that took nothing new.
 */
export type DropCause =
  | 'blocks'
  | 'suspensions'
  | 'registerLimit'
  | 'firstPackets'
  | 'sipLimit'
  | 'rest'
  | 'gateways'
  | 'ceiling'
  | 'connections'
  | 'full'
