import type { Address, Prefix, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Totals } from '../detect/detector.ts'
import type { DetectionPolicy, Verdict } from '../detect/verdict.ts'
import type { LogPaths } from '../logs/log-event.ts'
import type { FollowedLog } from '../logs/log-evidence.ts'
import type { Binding, BoundPort } from '../observe/bindings.ts'
import type { NonceSharing } from '../observe/nonce-sharing.ts'
import type { EndpointCounts, EndpointSeen, EndpointState } from '../observe/online-check.ts'
import type { RecordBatch, RecordedExchange } from '../observe/recorded.ts'
import type { PortSight } from '../observe/sight.ts'
import type { AnswersSummary } from './answer-figures.ts'
import type { SilenceSummary } from './asked-in-vain.ts'
import type { LaneReport } from './lane-batch.ts'
import type { SeenExchange } from './last-exchanges.ts'

/** Bindings that one answer of the sensor lists. */
export const MOST_BINDINGS_TOLD = 10_000

/** A binding, and whether its endpoint answers the softswitch's own OPTIONS. */
export interface ToldBinding extends Binding {
  readonly online: EndpointState
}

/** Of the softswitch's own OPTIONS; `unseen`: the answers are not captured now (under a flood, or by the engine used). */
export interface OnlineCheckSummary extends EndpointCounts {
  readonly state: 'seen' | 'unseen'
}

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
  /** The softswitch's own logs, for ports that cannot be seen. */
  readonly logs: LogPaths
  /** Sources that registered before: their moment, and until when that lasts. */
  readonly known: readonly KnownSuccess[]
  readonly lanes: LaneSettings
  readonly sampling: SamplingSettings
  /** Who was registered with the softswitch before; absent where nobody knows. */
  readonly registered?: RegisteredBefore
  /** What was learnt of the softswitch's nonces before; absent where nothing was. */
  readonly nonces?: readonly NonceSharing[]
}

/** The kernel's log that requests are read from under a flood: its group, or why there is none. */
export type SamplingSettings =
  | { readonly group: number; readonly samplesPerSecond: number }
  | { readonly group: null; readonly whyNot: string; readonly samplesPerSecond: number }

/** What the kernel's limits say about sources; may change while the sensor runs. */
export interface LaneSettings {
  /** REGISTERs a second of one unknown source that the kernel lets through. */
  readonly unknownPerSecond: number
  /** REGISTERs a second of one proven port that it lets through; an aggregator's has twenty times that. */
  readonly provenPerSecond: number
  /** The allowlist and the gateways: never unknown. */
  readonly trusted: readonly Prefix[]
}

export interface KnownSuccess {
  readonly source: Prefix
  readonly at: EpochMilliseconds
  readonly until: EpochMilliseconds
  /** About so many accounts registered there, where that is known. */
  readonly accounts?: number
}

/** Who is registered, as it was known before the sensor started. */
export interface RegisteredBefore {
  /** Accounts at addresses and ports over UDP that the kernel serves as proven; `account` is empty where nobody knows. */
  readonly ports: readonly {
    readonly source: Source
    readonly account: string
    readonly until: EpochMilliseconds
  }[]
  /** What was recorded of their registrations, in the order in which they were made. */
  readonly registrations: readonly RecordedExchange[]
}

export type ToSensor =
  | { readonly type: 'start'; readonly settings: SensorSettings }
  | { readonly type: 'explain'; readonly id: number; readonly address: Address }
  | { readonly type: 'bindings'; readonly id: number }
  | { readonly type: 'pardon'; readonly address: Address }
  | { readonly type: 'lanes'; readonly lanes: LaneSettings }
  /** What the rules counted lately: packets over UDP to protected ports. */
  | { readonly type: 'arrivals'; readonly perSecond: number }
  /** Other thresholds than at the start, but for the window of `flood`. */
  | { readonly type: 'policy'; readonly policy: DetectionPolicy }

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
  /** An SBC or proxy brings the accounts of others from there. */
  readonly aggregator: boolean
  /** Accounts that registered from there within about a day, counted up to 64. */
  readonly accountsBehind: number
  /** The last of them, newest first; empty for a source that never sent credentials. */
  readonly exchanges?: readonly SeenExchange[]
  /** Sources whose exchanges had to be forgotten for lack of room; this may be one of them. */
  readonly exchangesLetGo?: number
  /** Who is registered there now (IPv6: in the /64), over which transport and until when. */
  readonly bound?: readonly BoundPort[]
  /** Endpoints there that the softswitch asked by OPTIONS, those that it asked last first. */
  readonly endpoints?: readonly EndpointSeen[]
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
  /** REGISTERs to ports whose answers are not seen: they say nothing about the share of successes. */
  readonly unseenRegisters: number
  readonly answers: AnswersSummary
  /** Whether registered phones wait for any answer at all. */
  readonly silence: SilenceSummary
  /** How far each protected port can be read. */
  readonly sight: readonly PortSight[]
  /** What is known of the nonces of each softswitch that was seen to challenge. */
  readonly nonces: readonly NonceSharing[]
  /** Bindings that were learnt from the softswitch's answers, and those let go for lack of room. */
  readonly bindings: number
  readonly bindingsLetGo: number
  /** Datagrams since the start that two captures of this host showed, and that were counted once. */
  readonly duplicates: number
  readonly notRead: NotRead
  readonly onlineCheck: OnlineCheckSummary
  readonly captures: readonly CaptureSummary[]
  readonly sampling: SamplingSummary
  /** Not all that came was seen: what is counted here is so much or more. */
  readonly lowerBounds: boolean
  readonly logs: readonly FollowedLog[]
}

/** What came since the start and could not be taken as it came: made to mislead, or lost on the way to the sensor. */
export interface NotRead {
  /** Over UDP, with a wrong checksum: the kernel lets nobody receive them. */
  readonly datagrams: number
  /** Of TCP, that the softswitch cannot have taken. */
  readonly segments: number
  /** Pieces of TCP that were missing, or had to go for lack of room. */
  readonly gaps: number
  /** Connections of which nobody can tell what they sent. */
  readonly connections: number
  /** Let go for lack of room before their time. */
  readonly transactions: number
}

/** How requests are read: `quiet`, all of them; `loud`, by the kernel's log; `off`: there is none, all of them always. */
export interface SamplingSummary {
  readonly state: 'off' | 'quiet' | 'loud'
  /** The group of the kernel's log; null where none is used. */
  readonly group: number | null
  readonly since: EpochMilliseconds
  /** Why it is not used, or what is wrong with it. */
  readonly detail: string
}

export interface CaptureSummary {
  readonly name: string
  readonly engine: string
  readonly state: 'running' | 'waiting' | 'failed'
  readonly detail: string
  /** How often since the start it broke off, and why the last time. */
  readonly interruptions?: { readonly count: number; readonly detail: string }
}

/** Summaries only: no packet ever becomes a message. */
export type FromSensor =
  | { readonly type: 'verdict'; readonly verdict: Verdict }
  | { readonly type: 'summary'; readonly summary: SensorSummary }
  | ({ readonly type: 'lanes' } & LaneReport)
  | { readonly type: 'successes'; readonly successes: readonly KnownSuccess[] }
  /** At most once a second: what is kept so that another policy can be tried on it. */
  | { readonly type: 'record'; readonly batch: RecordBatch }
  /** At most `MOST_BINDINGS_TOLD` of them. */
  | { readonly type: 'bindings'; readonly id: number; readonly bindings: readonly ToldBinding[] }
  | { readonly type: 'explained'; readonly id: number; readonly knowledge: SourceKnowledge | null }
