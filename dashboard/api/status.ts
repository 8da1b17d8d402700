import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DecisionView } from './decisions.ts'
import type { LogView, NonceView, OnlineCheckView, SamplingView, SightView } from './sight.ts'
import type { StrictView, WeatherView } from './weather.ts'
import type { TrialView } from './what-if.ts'

/** Datagrams with a wrong checksum; TCP segments that the softswitch cannot have taken, missing pieces, unreadable connections; transactions let go. */
export interface NotReadView {
  readonly datagrams: number
  readonly segments: number
  readonly gaps: number
  readonly connections: number
  readonly transactions: number
}

/** How things stand: what `ringfence status` prints, and what the page begins with. */
export interface StatusSnapshot {
  readonly version: string
  readonly time: EpochMilliseconds
  readonly startedAt: EpochMilliseconds
  readonly mode: 'enforce' | 'observe'
  readonly state: LiveSnapshot['state']
  readonly sentence: string
  readonly traffic: {
    readonly interfaces: readonly string[]
    readonly udpPorts: readonly number[]
    readonly tcpPorts: readonly number[]
    readonly destinations: readonly string[]
  }
  readonly rates: RatePoint
  /** The last minutes, one point a second, oldest first. */
  readonly history: readonly RatePoint[]
  readonly sensor: {
    readonly state: 'running' | 'starting' | 'failed'
    readonly engine: string
    readonly framesSeen: number
    /** Frames that the kernel could not hand over in time. */
    readonly framesLost: number
    /** How requests over UDP are read; absent before the sensor's first second. */
    readonly sampling?: SamplingView
    /** Not all that comes is seen: the rates say so much or more. `rules.judged` counts all of it. */
    readonly lowerBounds?: boolean
    readonly malformed: number
    /** What could not be taken as it came, since the start; absent before the sensor's first second. */
    readonly notRead?: NotReadView
    readonly sourcesTracked: number
    /** Bindings learnt from the softswitch's answers. */
    readonly learntBindings: number
    /** Endpoints that the softswitch asked by OPTIONS; absent before the sensor's first second. */
    readonly onlineCheck?: OnlineCheckView
    readonly detail: string
  }
  readonly rules: {
    readonly state: 'applied' | 'pending' | 'observing' | 'off' | 'failing' | 'contested'
    readonly backend: string
    readonly lastAppliedAt: EpochMilliseconds | null
    readonly pendingChanges: number
    readonly lastError: string | null
    /** Foreign changes (a flush, a deleted set) that were put right. */
    readonly repairs: number
    /** What was found last, e.g. `IPv4: the jump from PREROUTING was gone`; null where nothing ever was. */
    readonly lastRepair: string | null
    /** While another program keeps changing what is ours: when the next repair is tried. */
    readonly contestedUntil: EpochMilliseconds | null
    /** Sets and tables that take nothing new, each as a sentence that says what that means. */
    readonly full: readonly string[]
    /** Since when REGISTERs are seen and no rule counts them, as a sentence with likely causes; null where all is well. */
    readonly notInPath: string | null
    /** Packets to protected ports since the daemon began. */
    readonly judged: { readonly udp: number; readonly tcp: number }
    /** Packets dropped since the daemon began, by what dropped them (`DropCause` of the rules); causes without any too. */
    readonly dropped: Readonly<Record<string, number>>
    readonly registerPacketsDropped: number
    /** When the kernel's counters were read that are shown here; null before the first time. */
    readonly countedAt?: EpochMilliseconds | null
    /** What would have been done, newest last (observe mode). */
    readonly wouldHaveDone: readonly string[]
  }
  /** The softswitch's own logs that are followed; empty where none is configured. */
  readonly logs: readonly LogView[]
  readonly strict: StrictView
  /** How far each protected port can be read. */
  readonly sight: readonly SightView[]
  readonly nonces: readonly NonceView[]
  readonly lanes: LanesView
  readonly weather: WeatherView
  readonly gateways: readonly GatewayView[]
  /** The configuration that is on trial; null where none is. */
  readonly trial: TrialView | null
  readonly limits: {
    readonly register: { readonly perSecond: number; readonly burst: number }
    /** A source's, a prefix's and that of all unknown sources; of requests inside calls five times as many. */
    readonly sip: {
      readonly perSecond: number
      readonly burst: number
      readonly prefix: { readonly perSecond: number; readonly burst: number }
      readonly total: { readonly perSecond: number; readonly burst: number }
      readonly enforced: boolean
    }
    /** Sources over the SIP limit: they are limited while it is enforced, and would be if it were. */
    readonly sipWouldLimit: readonly { readonly address: string; readonly packets: number }[]
  }
  readonly host: { readonly cpu: number; readonly memoryUsed: number; readonly memoryTotal: number }
  readonly counts: { readonly blocks: number; readonly suspensions: number; readonly allowed: number }
  /** Alerts of the last hour, and guessers that are only limited: how many, and the latest of them. */
  readonly looks: { readonly count: number; readonly first: readonly LookView[] }
  readonly registrar: {
    readonly state: 'off' | 'starting' | 'running' | 'failed'
    readonly accounts: number
    readonly bindings: number
    readonly detail: string
  }
}

/** A verdict that does nothing to anybody, and that somebody should look at. The reason may hold hostile text. */
export interface LookView {
  /** Of the latest. */
  readonly time: EpochMilliseconds
  /** An address, or an address and port. */
  readonly source: string
  /** The rule that spoke. */
  readonly name: string
  readonly action: 'alert' | 'limit'
  /** How often within the hour. */
  readonly times: number
  /** At most 300 characters. */
  readonly reason: string
}

/** What the page shows and keeps showing. */
export interface LiveSnapshot {
  readonly time: EpochMilliseconds
  readonly state: 'peace' | 'attack' | 'recovery' | 'observing' | 'off' | 'degraded'
  /** The state in one sentence. */
  readonly sentence: string
  readonly rates: RatePoint
  readonly blocked: readonly DecisionView[]
  readonly blockedTotal: number
  /** The configuration that is on trial; null where none is. */
  readonly trial: TrialView | null
}

/** One second of traffic as the sensor counted it. */
export interface RatePoint {
  readonly time: EpochMilliseconds
  readonly registers: number
  readonly sipMessages: number
  readonly successes: number
  readonly failures: number
  /** Not all that came was seen: the counts say so much or more. */
  readonly atLeast?: true
  /** With `atLeast`: all packets over UDP to SIP ports, as the kernel counted them; absent where it told nothing lately. */
  readonly arrivals?: number
  /** Percent of all cores. */
  readonly cpu: number
}

/** How many addresses and ports are proven and answered, how many sources returning and ignoring. */
export interface LanesView {
  readonly proven: number
  readonly answered: number
  readonly returning: number
  readonly ignoring: number
  /** Members that had to go because a bound was reached, by which. */
  readonly letGo: Readonly<Record<string, number>>
  /** When the last of them went, seen within some seconds; nothing of those that never went. */
  readonly letGoLast?: Readonly<Record<string, EpochMilliseconds>>
}

export interface GatewayView {
  readonly name: string
  readonly prefixes: readonly string[]
  /** INVITEs and REGISTERs a second, and at once. */
  readonly cps: number
  readonly burst: number
}
