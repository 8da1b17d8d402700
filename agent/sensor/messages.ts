import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Totals } from '../detect/detector.ts'
import type { DetectionPolicy, Verdict } from '../detect/verdict.ts'
import type { LaneReport } from './lane-batch.ts'

/** What the sensor is told at its start. */
export interface SensorSettings {
  readonly interfaces: readonly string[]
  readonly engine: 'auto' | 'pcap' | 'cap' | 'tcpdump'
  readonly udpPorts: readonly number[]
  readonly tcpPorts: readonly number[]
  /** REGISTERs to these count; `local` is whatever address this host has at the moment. */
  readonly destinations: 'local' | readonly Prefix[]
  readonly policy: DetectionPolicy
  /** Ports of Ringfence's own registrar, which judges failures itself. */
  readonly registrarPorts: readonly number[]
  /** Sources that registered before: their moment, and until when that lasts. */
  readonly known: readonly KnownSuccess[]
  readonly lanes: LaneSettings
}

/** What the kernel's limits say about sources; may change while the sensor runs. */
export interface LaneSettings {
  /** REGISTERs a second of one unknown source that the kernel lets through. */
  readonly unknownPerSecond: number
  /** The allowlist and the gateways: never unknown. */
  readonly trusted: readonly Prefix[]
}

export interface KnownSuccess {
  readonly source: Prefix
  readonly at: EpochMilliseconds
  readonly until: EpochMilliseconds
}

export type ToSensor =
  | { readonly type: 'start'; readonly settings: SensorSettings }
  | { readonly type: 'explain'; readonly id: number; readonly address: Address }
  | { readonly type: 'pardon'; readonly address: Address }
  | { readonly type: 'lanes'; readonly lanes: LaneSettings }

/** What the sensor knows of one source. */
export interface SourceKnowledge {
  readonly source: Prefix
  readonly firstSeen: EpochMilliseconds
  readonly lastSeen: EpochMilliseconds
  readonly registers: number
  readonly challenges: number
  readonly successes: number
  readonly failures: number
  readonly registersInWindow: number
  readonly lastSuccess: EpochMilliseconds
  readonly lastOwnNonce: EpochMilliseconds
  readonly provenUntil: EpochMilliseconds
  readonly accounts: readonly string[]
  readonly userAgents: readonly string[]
}

/** About one second of traffic. Counts are of that second, not since the start. */
export interface SensorSummary extends Totals {
  readonly time: EpochMilliseconds
  readonly seconds: number
  readonly frames: number
  /** Frames since the start that the kernel could not hand over. */
  readonly framesLost: number
  readonly sourcesTracked: number
  readonly sourcesLetGo: number
  /**
   * REGISTERs (and what the kernel cannot tell from one) of sources that are in no lane of their own, each source
   * counted up to its own limit.
   */
  readonly unknownRegisters: number
  readonly captures: readonly CaptureSummary[]
}

export interface CaptureSummary {
  readonly name: string
  readonly engine: string
  readonly state: 'running' | 'waiting' | 'failed'
  readonly detail: string
}

/** Summaries only: no packet ever becomes a message. */
export type FromSensor =
  | { readonly type: 'verdict'; readonly verdict: Verdict }
  | { readonly type: 'summary'; readonly summary: SensorSummary }
  | ({ readonly type: 'lanes' } & LaneReport)
  | { readonly type: 'successes'; readonly successes: readonly KnownSuccess[] }
  | { readonly type: 'explained'; readonly id: number; readonly knowledge: SourceKnowledge | null }
