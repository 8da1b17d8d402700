import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { BacktestOrder, ComparisonView } from './comparison.ts'
import type {
  AppliedView,
  ApplyOrder,
  CandidateText,
  PlanView,
  SomeOf,
  TraceOrder,
  TraceView,
  TrialView,
} from './what-if.ts'

/**
 * What the dashboard and the command line may see and do. Plain JSON values only: the agent implements this, the
 * API serves it, and neither knows how the other is built.
 */
export interface ControlPlane {
  status(): Promise<StatusSnapshot>
  /** Blocks and suspensions that stand now, newest first. */
  blocked(): Promise<readonly DecisionView[]>
  /** Blocks an address or prefix with scope `sip`, by the operator's word. */
  block(order: BlockOrder): Promise<DecisionView & Noted>
  /** Takes back every block and suspension of exactly this target. */
  unblock(order: TargetOrder): Promise<{ readonly removed: readonly DecisionView[] }>
  /** Puts a target on the operator's allowlist, and takes back what stands against nothing but addresses in it. */
  allow(order: TargetOrder & { readonly reason?: string }): Promise<AllowedView>
  disallow(order: TargetOrder): Promise<{ readonly removed: readonly AllowView[] }>
  allowed(): Promise<readonly AllowView[]>
  explain(address: string): Promise<SourceStory>
  /** From observing the SIP limit to dropping by it, and back. Survives a restart. */
  enforceSip(order: {
    readonly enforced: boolean
    readonly by: string
  }): Promise<{ readonly enforced: boolean } & Noted>
  /** Takes every rule and set out of the kernel and keeps them out until `on` or a restart. */
  off(order: { readonly by: string }): Promise<{ readonly removed: readonly string[] }>
  on(order: { readonly by: string }): Promise<Noted>
  /** Has the strict limits decide, or not, or as the attack asks for it. Survives a restart. */
  strict(order: { readonly order: StrictView['order']; readonly by: string }): Promise<StrictView & Noted>
  /** Brings a candidate configuration in: for good, or on trial until `confirm`. A bad one changes nothing. */
  apply(order: ApplyOrder): Promise<AppliedView>
  /** Keeps the configuration that is on trial: it is written over the configuration file. */
  confirm(order: { readonly by: string }): Promise<AppliedView>
  /** Takes the configuration that is on trial back before its time. */
  revert(order: { readonly by: string }): Promise<{ readonly reverted: string }>
  /** What a configuration would change; without a candidate, the configuration file as it is on disk. */
  plan(candidate?: CandidateText): Promise<PlanView>
  /** What a configuration would have decided otherwise about the traffic of late, and which phones that touches. */
  backtest(order: BacktestOrder): Promise<ComparisonView>
  /** What the rules would do with an imaginary packet. */
  trace(packet: TraceOrder): Promise<TraceView>
  /** The registrar's accounts; empty where it is off. */
  accounts(): Promise<readonly AccountView[]>
  addAccount(order: {
    readonly aor: string
    readonly password: string
    readonly by: string
  }): Promise<AccountView>
  removeAccount(order: { readonly aor: string; readonly by: string }): Promise<AccountView>
  /** Those of the registrar; where it is off, those that the softswitch's answers told of. A bounded number. */
  bindings(): Promise<readonly BindingView[]>
  /** Calls the listener when the picture changes, at most twice a second. Returns how to stop it. */
  watch(listener: (snapshot: LiveSnapshot) => void): () => void
}

/**
 * A refused order: bad input or an impossible wish. The message is one sentence that says what to do; of a bad
 * configuration a line a problem.
 */
export class OrderRefused extends Error {
  readonly code: 'bad-input' | 'bad-config' | 'not-found' | 'conflict' | 'unavailable'
  constructor(code: OrderRefused['code'], message: string) {
    super(message)
    this.name = 'OrderRefused'
    this.code = code
  }
}

/** An order that was taken while nothing can come of it says so here, as a sentence; else null. */
export interface Noted {
  readonly notice: string | null
}

export interface TargetOrder {
  /** An address or prefix as a person writes it. */
  readonly target: string
  /** Who says so, for the audit trail: `admin@dashboard`, `root@cli`. */
  readonly by: string
}

export interface BlockOrder extends TargetOrder {
  /** Without it the block stands until it is taken back. */
  readonly seconds?: Seconds
  readonly reason?: string
}

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

export interface AccountView {
  readonly aor: string
  readonly origin: 'configuration' | 'added'
  readonly bindings: number
}

export interface BindingView {
  readonly aor: string
  readonly contact: string
  /** Address and port that registered it; empty where nobody was seen to. */
  readonly source: string
  readonly transport: 'udp' | 'tcp'
  readonly userAgent: string
  readonly registeredAt: EpochMilliseconds
  readonly secondsLeft: Seconds
  /** Learnt from the softswitch's answers, not made by the registrar. */
  readonly learnt?: boolean
}

/** How far one protected port can be read. */
export interface SightView {
  readonly port: number
  readonly transport: 'udp' | 'tcp'
  readonly state: 'quiet' | 'sighted' | 'half-sighted' | 'blind'
  readonly since: EpochMilliseconds
  /** What was seen, and what follows from it. */
  readonly detail: string
}

/** Whether one softswitch gives a nonce to several addresses. */
export interface NonceView {
  /** Its address and port. */
  readonly server: string
  readonly state: 'unknown' | 'unique' | 'shared'
  readonly since: EpochMilliseconds
  /** Nonces seen going to a second address, and the signs since then that each goes to one only. */
  readonly shared: number
  readonly unique: number
  /** What follows, and the setting that mends it. */
  readonly detail: string
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
  /** Percent of all cores. */
  readonly cpu: number
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

/**
 * `quiet`: every request is captured. `loud`: so much comes that requests are read from the kernel's log of those that
 * pass, with a sample of all. `off`: there is no such log, and every request is captured always.
 */
export interface SamplingView {
  readonly state: 'off' | 'quiet' | 'loud'
  /** Of the kernel's log; null where none is used. */
  readonly group: number | null
  readonly since: EpochMilliseconds
  /** Why it is not used, or what is wrong with it; empty where nothing is. */
  readonly detail: string
}

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
    readonly sourcesTracked: number
    /** Bindings learnt from the softswitch's answers. */
    readonly learntBindings: number
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
    readonly sip: { readonly perSecond: number; readonly burst: number; readonly enforced: boolean }
    /** Sources over the SIP limit: they are limited while it is enforced, and would be if it were. */
    readonly sipWouldLimit: readonly { readonly address: string; readonly packets: number }[]
  }
  readonly host: { readonly cpu: number; readonly memoryUsed: number; readonly memoryTotal: number }
  readonly counts: { readonly blocks: number; readonly suspensions: number; readonly allowed: number }
  readonly registrar: {
    readonly state: 'off' | 'starting' | 'running' | 'failed'
    readonly accounts: number
    readonly bindings: number
    readonly detail: string
  }
}

/** A log of the softswitch's own. Counts are since the sensor began. */
export interface LogView {
  readonly log: 'asterisk' | 'freeswitch' | 'vos3000'
  readonly path: string
  readonly state: 'following' | 'waiting' | 'failed'
  /** Why it is not followed; empty while it is. */
  readonly reason: string
  readonly linesRead: number
  /** Lines that said something of a registration. */
  readonly linesUnderstood: number
  /** Lines that were too long, too many in a second, or cut off. */
  readonly linesLetGo: number
  /** Lines that a client may have written himself, so that nothing is read from them. */
  readonly linesDoubtful: number
  /** What was taken as evidence: of ports that the sensor does not see itself. */
  readonly eventsUsed: number
}

/** Which limits decide about unknown sources. */
export interface StrictView {
  readonly state: 'peace' | 'strict'
  readonly since: EpochMilliseconds
  /** In one sentence. */
  readonly why: string
  /** What the operator ordered; `auto` leaves it to the detector. */
  readonly order: 'auto' | 'on' | 'off'
}

/** Whether there is an attack, or phones come back after an outage; and what that is judged by. */
export interface WeatherView {
  readonly state: 'peace' | 'attack' | 'recovery'
  readonly since: EpochMilliseconds
  /** In one sentence, with the figures. */
  readonly why: string
  /** What is usual at this hour of the week. While it is learnt, it decides nothing. */
  readonly baseline: {
    readonly state: 'learning' | 'learnt'
    /** Hours of the last weeks that are known, and how many are needed. */
    readonly hours: number
    readonly hoursNeeded: number
    /** Rates a second, new sources a minute; null where nothing is known yet. */
    readonly usual: {
      readonly registers: number | null
      readonly successes: number | null
      /** Successes of REGISTERs, 0 to 1. */
      readonly share: number | null
      readonly endpoints: number | null
      readonly newSources: number | null
    } | null
    /** REGISTERs a second from which on it is far more than usual. */
    readonly bound: number | null
  }
  /** REGISTERs a second that the softswitch can answer, and how that is known. */
  readonly capacity: {
    readonly perSecond: number | null
    readonly how: 'configured' | 'measured' | 'at-least' | 'unknown'
    readonly why: string
    /** What all unknown sources may send for it; null where `limits.total` is a number. */
    readonly leftForUnknown: number | null
  }
  /** What is not usual now, each as a sentence. */
  readonly anomalies: readonly { readonly since: EpochMilliseconds; readonly sentence: string }[]
  /** What holds now, under attack the tighter one. */
  readonly policy: { readonly registerRetry: number; readonly registerSuspendTime: Seconds }
  /** The last changes of state, newest first, with the figures that they were decided from. */
  readonly changes: readonly {
    readonly time: EpochMilliseconds
    readonly what: 'weather' | 'strict' | 'anomaly'
    readonly state: string
    readonly why: string
    readonly figures: Readonly<Record<string, string | number | boolean | null>>
  }[]
}

/** How many addresses and ports are proven and answered, how many sources returning and ignoring. */
export interface LanesView {
  readonly proven: number
  readonly answered: number
  readonly returning: number
  readonly ignoring: number
  /** Members that had to go because a bound was reached, by which. */
  readonly letGo: Readonly<Record<string, number>>
}

export interface GatewayView {
  readonly name: string
  readonly prefixes: readonly string[]
  /** INVITEs and REGISTERs a second, and at once. */
  readonly cps: number
  readonly burst: number
}

export interface VerdictView {
  readonly time: EpochMilliseconds
  /** The rule that spoke; missing for verdicts of older versions. */
  readonly name?: string
  /** `limit` and `alert` only inform. */
  readonly action: 'limit' | 'alert' | 'suspend' | 'block'
  readonly scope: 'register' | 'sip'
  readonly grade: 'packet' | 'path' | 'account'
  readonly reason: string
  readonly evidence: Readonly<Record<string, string | number | boolean | null>>
}

export interface GradeEvidence {
  readonly grade: 'packet' | 'path' | 'account'
  /** Whether there is such evidence now. */
  readonly holds: boolean
  readonly says: string
}

/** A REGISTER and how it ended. */
export interface ExchangeView {
  readonly time: EpochMilliseconds
  /** `198.51.100.7:5060` */
  readonly source: string
  readonly transport: 'udp' | 'tcp'
  readonly account: string
  /** `success`, `failure`, `challenge`, `stale`, `refused` … */
  readonly outcome: string
  readonly status: number
  readonly grade: 'packet' | 'path' | 'account'
}

export interface RegisteredPort {
  readonly source: string
  /** A few of those that are registered from there; the kernel knows a port for longer than the journal its accounts. */
  readonly accounts: readonly string[]
  readonly secondsLeft: Seconds
}

/** What is known of one source. */
export interface SourceStory {
  readonly address: string
  /** IPv6 is judged by /64. */
  readonly source: string
  readonly lane:
    | 'allowed'
    | 'blocked'
    | 'suspended'
    | 'gateway'
    | 'proven'
    | 'answered'
    | 'returning'
    | 'ignoring'
    | 'unknown'
  /** Why it is in that lane, in words. */
  readonly laneReason: string
  /** Why the kernel may not do so now, e.g. that the rules are off; null where it does. */
  readonly notice: string | null
  /** Packets of its source over the SIP limit in the last ten minutes; null where it is not on that list. */
  readonly overSipLimit: { readonly packets: number; readonly limited: boolean } | null
  readonly firstSeen: EpochMilliseconds | null
  readonly lastSeen: EpochMilliseconds | null
  readonly registers: number
  readonly challenges: number
  readonly successes: number
  readonly failures: number
  readonly registersInWindow: number
  readonly accounts: readonly string[]
  readonly userAgents: readonly string[]
  /** An SBC or proxy brings the accounts of others from there: never punished as an address. */
  readonly aggregator?: boolean
  /** Accounts that registered from there within about a day, counted up to 64. */
  readonly accountsBehind?: number
  /** What is proven of it, grade by grade. */
  readonly evidence?: readonly GradeEvidence[]
  /** Its last exchanges, newest first; none of a source that never sent credentials. */
  readonly exchanges?: readonly ExchangeView[]
  /** Sources whose exchanges had to be forgotten for lack of room. */
  readonly exchangesLetGo?: number
  /** Addresses and ports there (IPv6: of the /64) that are registered over UDP now. */
  readonly registeredPorts?: { readonly count: number; readonly first: readonly RegisteredPort[] }
  /** What would put it in another lane, or take something off it, each as a sentence. */
  readonly wouldChange?: readonly string[]
  readonly decisions: readonly DecisionView[]
  readonly verdicts: readonly VerdictView[]
  readonly pastDecisions: readonly DecisionView[]
}
