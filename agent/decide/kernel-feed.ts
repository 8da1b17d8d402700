import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import type { Config } from '../config/config.ts'
import { type HostFacts, tableSizes } from '../config/kernel-sizes.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { LaneEvidence } from '../detect/lane-evidence.ts'
import type { Journal } from '../journal/journal.ts'
import {
  type AttackState,
  nextAttackState,
  peaceSince,
  type StrictOrder,
  type UnknownRate,
} from './attack.ts'
import type { DecisionRoom, Decisions } from './decisions.ts'
import { buildConfiguredState, buildDesiredState, type ConfiguredState, unknownTotals } from './desired.ts'
import { type HeldLanes, NOTHING_HELD } from './held-lanes.ts'
import { type LaneCounts, Lanes } from './lanes.ts'
import type { ProvenBounds } from './proven-ports.ts'

const TICK: Milliseconds = 1_000
/** Between two states that are handed on for changes that may wait: at least so long, and at most. */
const SHORTEST_PAUSE: Milliseconds = 5
const LONGEST_PAUSE: Milliseconds = 25
/** A pause is so many times as long as handing on the last state took. */
const PAUSES_A_STATE = 4

/** What a restart must not forget is written so soon; where that is slow (a locked journal), not more often than this. */
const REMEMBER_WITHIN: Milliseconds = 100
const SLOW_TO_REMEMBER: Milliseconds = 50
const REMEMBER_SELDOM: Milliseconds = 1_000

const SIP_ENFORCED = 'enforce-sip'
const STRICT_ORDER = 'strict'

/** A source that registered; `until` is 0 where none of its ports is proven. */
export interface RegisteredSource {
  readonly source: Prefix
  readonly until: EpochMilliseconds
  readonly accounts: number
}

export interface KernelFeedOptions {
  readonly config: () => Config
  readonly host: HostFacts
  readonly journal: Journal
  readonly clock: Clock
  readonly decisions: Pick<Decisions, 'allowedPrefixes' | 'blocks' | 'suspensions'>
  /** Takes a state over at once. */
  readonly hand: (state: DesiredState) => void
  /** The strict limits began or ended to decide. */
  readonly onAttack: (attack: AttackState) => void
  /** An account registered from a source that had registered before. */
  readonly onReturned?: (account: string) => void
  /** REGISTERs a second that the known phones leave of the softswitch's capacity. */
  readonly leftForUnknown?: () => number
  /** Runs what is only remembered, and may fail without harm. */
  readonly keep: (write: () => void) => void
}

/**
 * Hands the kernel's engine what it should hold, whenever that changes: decisions at once, lanes and a thousand
 * verdicts a second in steps of some milliseconds. Keeps the lanes, and whether there is an attack.
 */
export class KernelFeed {
  readonly #o: KernelFeedOptions
  readonly #lanes: Lanes
  #attack: AttackState
  /** The operator's orders. Read once: a journal that is locked must not hold up what the kernel should hold. */
  #strictOrder: StrictOrder
  #sipOrdered: boolean
  #configured:
    | {
        readonly config: Config
        readonly sipEnforced: boolean
        readonly leftForUnknown: number | undefined
        readonly state: ConfiguredState
      }
    | undefined
  #isStarted = false
  #pauseUntil: Milliseconds = 0
  #waiting: NodeJS.Timeout | undefined
  #tick: NodeJS.Timeout | undefined
  #remembering: NodeJS.Timeout | undefined
  #rememberAfter: Milliseconds = REMEMBER_WITHIN

  constructor(options: KernelFeedOptions) {
    this.#o = options
    this.#lanes = new Lanes(boundsOf(options.config(), options.host))
    this.#attack = peaceSince(options.clock())
    this.#strictOrder = strictOrderOf(options.journal.setting(STRICT_ORDER))
    this.#sipOrdered = options.journal.setting(SIP_ENFORCED) === 'true'
  }

  /**
   * Puts back who was in which lane before the daemon ended, and hands the first state on. `held`: what the kernel still
   * holds, which may be more than the journal knows.
   */
  start({ held = NOTHING_HELD }: { readonly held?: HeldLanes } = {}): void {
    const { journal, clock, keep } = this.#o
    const now = clock()
    let kept: Parameters<Lanes['restore']>[0] = { proven: [], returning: [] }
    keep(() => {
      const returning = journal.returningEntries(now - RETURNING_FOR)
      kept = { proven: journal.provenEntries(now), returning }
    })
    this.#lanes.restore({ ...kept, held }, now)
    this.#isStarted = true
    this.#weigh()
    this.desire('now')
    this.#tick = setInterval(() => this.#second(), TICK)
  }

  close(): void {
    // What came last is for the kernel too, and a timer would come too late.
    if (this.#isStarted && this.#lanes.hasChanged) this.#handOn()
    this.#isStarted = false
    clearInterval(this.#tick)
    clearTimeout(this.#waiting)
    this.#remember()
  }

  /** Something that the kernel should hold has changed. */
  desire(when: 'now' | 'soon'): void {
    if (!this.#isStarted) return
    const wait = this.#pauseUntil - performance.now()
    if (when === 'now' || wait <= 0) this.#handOn()
    else this.#waiting ??= setTimeout(() => this.#handOn(), wait)
  }

  /** What the kernel should hold now. */
  desired(): DesiredState {
    return this.desiredUnder(this.#o.config())
  }

  /** What it should hold under another configuration. */
  desiredUnder(config: Config): DesiredState {
    const { host, decisions } = this.#o
    return buildDesiredState({
      config,
      host,
      decisions,
      sipEnforced: this.#isSipEnforced(config),
      strictUntil: this.#attack.strictUntil,
      members: this.#lanes.parts(),
      configured: this.#configuredBy(config),
    })
  }

  /** The configuration is another one. */
  reconfigured(): void {
    this.#lanes.configure(boundsOf(this.#o.config(), this.#o.host))
    this.#weigh()
    this.desire('now')
  }

  /** `dropped`: evidence that the sensor had no room for. */
  take({
    evidence,
    dropped,
  }: {
    readonly evidence: readonly LaneEvidence[]
    readonly dropped: number
  }): void {
    const now = this.#o.clock()
    this.#lanes.evidenceDropped += dropped
    for (const each of evidence) {
      if (each.kind === 'registered' && this.#lanes.returns(each.source.address))
        this.#o.onReturned?.(each.account)
      this.#lanes.take(each, now)
    }
    if (!this.#lanes.hasChanged) return
    this.desire('soon')
    this.#remembering ??= setTimeout(() => this.#rememberNow(), this.#rememberAfter)
  }

  summarised(rate: UnknownRate): void {
    this.#weigh(rate)
  }

  /** What is left for unknown sources has changed. */
  metered(): void {
    this.#weigh()
    this.desire('now')
  }

  lanes(): LaneCounts {
    return this.#lanes.counts()
  }

  strict(): Pick<AttackState, 'state' | 'since' | 'why'> & { readonly order: StrictOrder } {
    const { state, since, why } = this.#attack
    return { state, since, why, order: this.#strictOrder }
  }

  /** The operator's order, which is kept over a restart. */
  setStrict(order: StrictOrder): void {
    this.#o.journal.putSetting(STRICT_ORDER, order)
    this.#strictOrder = order
    this.#weigh()
    this.desire('now')
  }

  /** The sources that registered within the last days, and until when a port of theirs is proven: for a sensor that starts. */
  registered(): readonly RegisteredSource[] {
    const sources = new Map<Prefix, RegisteredSource>()
    for (const member of this.#lanes.parts().flat()) {
      if (member.lane === 'answered' || member.lane === 'ignoring') continue
      const source = 'source' in member ? member.source : sourcePrefixOf(member.address)
      const { until, accounts } = sources.get(source) ?? { until: 0, accounts: 1 }
      const isPort = 'port' in member
      sources.set(source, {
        source,
        until: isPort ? Math.max(until, member.until) : until,
        accounts: isPort ? accounts : member.accounts,
      })
    }
    return [...sources.values()]
  }

  /** Whether the SIP limit drops. */
  get sipEnforced(): boolean {
    return this.#isSipEnforced(this.#o.config())
  }

  setSipEnforced(enforced: boolean): void {
    this.#o.journal.putSetting(SIP_ENFORCED, String(enforced))
    this.#sipOrdered = enforced
    this.desire('now')
  }

  /** The same objects for as long as the same configuration is in force. */
  #configuredBy(config: Config): ConfiguredState {
    const sipEnforced = this.#isSipEnforced(config)
    const last = this.#configured
    const leftForUnknown = this.#o.leftForUnknown?.()
    if (last?.config === config && last.sipEnforced === sipEnforced && last.leftForUnknown === leftForUnknown)
      return last.state
    const { host } = this.#o
    const left = leftForUnknown === undefined ? {} : { leftForUnknown }
    const state = buildConfiguredState({ config, host, sipEnforced, ...left })
    if (config === this.#o.config()) this.#configured = { config, sipEnforced, leftForUnknown, state }
    return state
  }

  #isSipEnforced({ limits }: Config): boolean {
    return limits.sip.enforce || this.#sipOrdered
  }

  #weigh(rate?: UnknownRate): void {
    const { limits } = this.#o.config()
    const before = this.#attack
    const { total } = unknownTotals({ limits }, this.#o.leftForUnknown?.())
    const settings = { order: this.#strictOrder, when: limits.strict.when, total: total.perSecond }
    const now = this.#o.clock()
    this.#attack = nextAttackState(before, settings, rate ? { now, rate } : { now })
    if (this.#attack.strictUntil !== before.strictUntil) this.desire('now')
    if (this.#attack.state !== before.state) this.#o.onAttack(this.#attack)
  }

  #second(): void {
    this.#weigh()
    this.#lanes.sweep(this.#o.clock())
    if (this.#lanes.hasChanged) this.desire('soon')
    this.#remember()
  }

  #remember(): void {
    clearTimeout(this.#remembering)
    this.#remembering = undefined
    const { proven, unproven, returning } = this.#lanes.takeChanges()
    const { journal, keep } = this.#o
    keep(() => {
      for (const entry of unproven) journal.forgetProven(entry)
      for (const entry of proven) journal.rememberProven(entry)
      for (const entry of returning) journal.rememberReturning(entry)
    })
  }

  #rememberNow(): void {
    this.#remembering = undefined
    const begun = performance.now()
    this.#remember()
    const { journal, keep } = this.#o
    keep(() => journal.flush())
    const isSlow = performance.now() - begun > SLOW_TO_REMEMBER
    this.#rememberAfter = isSlow ? REMEMBER_SELDOM : REMEMBER_WITHIN
  }

  #handOn(): void {
    clearTimeout(this.#waiting)
    this.#waiting = undefined
    const begun = performance.now()
    this.#o.hand(this.desired())
    const took = performance.now() - begun
    this.#pauseUntil =
      performance.now() + Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, took * PAUSES_A_STATE))
  }
}

function boundsOf({ kernel, registrar }: Config, { memoryBytes }: HostFacts): ProvenBounds {
  return { maxBindings: registrar.maxBindings, capacity: tableSizes(kernel, memoryBytes).elements }
}

/**
 * As many stand at once as the kernel's sets hold. All verdicts could mean one and the same set; they stay below what
 * counts as full, since the kernel may still hold elements whose time is over.
 */
export function mostDecisions({ kernel }: Config, { memoryBytes }: HostFacts): DecisionRoom {
  const { elements } = tableSizes(kernel, memoryBytes)
  return { verdicts: Math.floor(elements * 0.9), orders: elements }
}

function strictOrderOf(setting: string | undefined): StrictOrder {
  return setting === 'on' || setting === 'off' ? setting : 'auto'
}
