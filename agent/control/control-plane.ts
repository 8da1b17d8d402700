import { setTimeout as pause } from 'node:timers/promises'
import type { AccountView, BindingView } from '../../dashboard/api/accounts.ts'
import type { BacktestOrder, ComparisonView } from '../../dashboard/api/comparison.ts'
import {
  type BlockOrder,
  type ControlPlane,
  type Noted,
  OrderRefused,
  type TargetOrder,
} from '../../dashboard/api/control-plane.ts'
import type { AllowedView, AllowView, DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import type { LiveSnapshot, StatusSnapshot } from '../../dashboard/api/status.ts'
import type { StrictView } from '../../dashboard/api/weather.ts'
import type {
  AppliedView,
  ApplyOrder,
  CandidateText,
  PlanView,
  TraceOrder,
  TraceView,
} from '../../dashboard/api/what-if.ts'
import type { Milliseconds } from '../../registrar/net/time.ts'
import { checkDesiredState } from '../../rules/check-desired-state.ts'
import type { RulesEngine } from '../../rules/engine.ts'
import type { SensorSummary } from '../sensor/messages.ts'
import { warnOfAbsentInterfaces } from './absent-interfaces.ts'
import { Backtests } from './backtest-candidate.ts'
import { CandidateConfiguration } from './candidate.ts'
import { learntBindingView } from './learnt-bindings.ts'
import { failureSentence } from './notice.ts'
import { Orders } from './orders.ts'
import type { DaemonParts } from './parts.ts'
import { planConfiguration } from './plan-configuration.ts'
import { Questions } from './questions.ts'
import { traceImagined } from './trace-imagined.ts'

const LIVE_INTERVAL: Milliseconds = 500
/** A limit that changes counts for a second before it decides; a kernel that takes longer is not waited for. */
const DECIDED_WITHIN: Milliseconds = 5_000
const LOOK_EVERY: Milliseconds = 50

/** The orders and questions of the dashboard and the command line, answered from the parts of the daemon. */
export class AgentControlPlane implements ControlPlane {
  readonly #o: DaemonParts
  readonly #orders: Orders
  readonly #questions: Questions
  readonly #candidate: CandidateConfiguration
  readonly #backtests: Backtests
  readonly #listeners = new Set<(snapshot: LiveSnapshot) => void>()
  #liveTimer: NodeJS.Timeout | undefined

  constructor(options: DaemonParts) {
    this.#o = options
    const { clock, engine, configFile, log } = options
    const onChange = () => this.changed()
    this.#candidate = new CandidateConfiguration({
      clock,
      log,
      configFile,
      config: options.config,
      reconfigure: options.reconfigure,
      warnings: (config) => warnOfAbsentInterfaces(config, options.hostInterfaces()),
      refusals: (config) => checkDesiredState(options.desiredUnder(config)),
      settled: () => untilDecided(engine),
      failure: () => {
        const { state, lastError } = engine.status()
        return state === 'failing' ? failureSentence(lastError) : null
      },
      onChange,
    })
    this.#questions = new Questions({
      ...options,
      startedAt: clock(),
      power: () => this.#orders.power,
      trial: () => this.#candidate.view(clock()),
    })
    this.#backtests = new Backtests(options)
    this.#orders = new Orders({
      ...options,
      viewsOf: (decisions) => this.#questions.viewsOf(decisions),
      refreshCounters: () => this.refreshCounters(),
      onChange,
    })
  }

  status(): Promise<StatusSnapshot> {
    return this.#questions.status()
  }

  blocked(): Promise<readonly DecisionView[]> {
    return this.#questions.blocked()
  }

  async allowed(): Promise<readonly AllowView[]> {
    return this.#questions.allowed()
  }

  explain(address: string): Promise<SourceStory> {
    return this.#questions.explain(address)
  }

  block(order: BlockOrder): Promise<DecisionView & Noted> {
    return this.#orders.block(order)
  }

  unblock(order: TargetOrder): Promise<{ readonly removed: readonly DecisionView[] }> {
    return this.#orders.unblock(order)
  }

  allow(order: TargetOrder & { readonly reason?: string }): Promise<AllowedView> {
    return this.#orders.allow(order)
  }

  disallow(order: TargetOrder): Promise<{ readonly removed: readonly AllowView[] }> {
    return this.#orders.disallow(order)
  }

  enforceSip(order: {
    readonly enforced: boolean
    readonly by: string
  }): Promise<{ readonly enforced: boolean } & Noted> {
    return this.#orders.enforceSip(order)
  }

  strict(order: { readonly order: StrictView['order']; readonly by: string }): Promise<StrictView & Noted> {
    return this.#orders.strict(order)
  }

  off(order: { readonly by: string }): Promise<{ readonly removed: readonly string[] }> {
    return this.#orders.off(order)
  }

  on(order: { readonly by: string }): Promise<Noted> {
    return this.#orders.on(order)
  }

  async apply(order: ApplyOrder): Promise<AppliedView> {
    const applied = await this.#candidate.apply(order)
    this.#orders.audit(order.by, applied.state === 'trial' ? 'apply on trial' : 'apply', order.file)
    return { ...applied, notice: this.#orders.notice }
  }

  async confirm(order: { readonly by: string }): Promise<AppliedView> {
    const confirmed = await this.#candidate.confirm(order.by)
    this.#orders.audit(order.by, 'confirm', confirmed.file)
    return { ...confirmed, notice: this.#orders.notice }
  }

  async revert(order: { readonly by: string }): Promise<{ readonly reverted: string }> {
    const taken = await this.#candidate.revert(order.by)
    this.#orders.audit(order.by, 'revert', taken.reverted)
    return taken
  }

  plan(candidate?: CandidateText): Promise<PlanView> {
    return planConfiguration(candidate, { ...this.#o, isOff: this.#orders.isOff })
  }

  backtest(order: BacktestOrder): Promise<ComparisonView> {
    return this.#backtests.run(order)
  }

  trace(packet: TraceOrder): Promise<TraceView> {
    return traceImagined(packet, { ...this.#o, notice: this.#questions.notInForce })
  }

  accounts(): Promise<readonly AccountView[]> {
    return this.#o.registrar.accounts()
  }

  addAccount(order: {
    readonly aor: string
    readonly password: string
    readonly by: string
  }): Promise<AccountView> {
    return this.#orders.addAccount(order)
  }

  removeAccount(order: { readonly aor: string; readonly by: string }): Promise<AccountView> {
    return this.#orders.removeAccount(order)
  }

  async bindings(): Promise<readonly BindingView[]> {
    if (this.#o.registrar.status().state !== 'off') return this.#o.registrar.bindings()
    const learnt = await this.#o.learntBindings()
    if (learnt === undefined)
      throw new OrderRefused('unavailable', 'The sensor does not answer; look at the log.')
    const { proven } = this.#o.lanes()
    if (learnt.length === 0 && proven > 0)
      throw new OrderRefused(
        'unavailable',
        `Nobody was seen to register since the sensor started; ${proven} addresses and ports are registered from before, and are listed as their phones register again.`,
      )
    const now = this.#o.clock()
    return learnt.map((binding) => learntBindingView(binding, now))
  }

  watch(listener: (snapshot: LiveSnapshot) => void): () => void {
    this.#listeners.add(listener)
    this.changed()
    return () => this.#listeners.delete(listener)
  }

  /** A second of traffic, as the sensor counted it. */
  summarised(summary: SensorSummary): void {
    this.#questions.pathWatch.summarised(summary)
  }

  /** Why the configuration file must not be read again now, in a sentence; null where it may. */
  get refusalOfReload(): string | null {
    return this.#candidate.refusal()
  }

  /** Something that a page shows has changed; watchers hear of it, at most twice a second. */
  changed(): void {
    if (this.#listeners.size === 0 || this.#liveTimer) return
    this.#liveTimer = setTimeout(async () => {
      await this.refreshCounters()
      this.#liveTimer = undefined
      const snapshot = this.#questions.snapshot()
      for (const listener of this.#listeners) listener(snapshot)
    }, LIVE_INTERVAL)
  }

  /** Reads the kernel's counters unless that was done a moment ago. */
  refreshCounters(): Promise<void> {
    return this.#questions.refreshCounters()
  }

  /** Takes back what is on trial, while the kernel can still be told, and tells nobody anything any more. */
  async close(): Promise<void> {
    await this.#candidate.close()
    clearTimeout(this.#liveTimer)
    this.#listeners.clear()
  }
}

/** Waits until the kernel holds what is desired, or refused it. */
async function untilDecided(engine: RulesEngine): Promise<void> {
  const deadline = performance.now() + DECIDED_WITHIN
  for (;;) {
    await engine.settled()
    if (engine.status().state !== 'pending' || performance.now() > deadline) return
    await pause(LOOK_EVERY)
  }
}
