import {
  type AccountView,
  type AllowView,
  type BindingView,
  type BlockOrder,
  type ControlPlane,
  type DecisionView,
  type LiveSnapshot,
  OrderRefused,
  type SourceStory,
  type StatusSnapshot,
  type TargetOrder,
} from '../../dashboard/api/control-plane.ts'
import { readAddress, readTarget as readNormalTarget } from '../../dashboard/api/target.ts'
import {
  type Address,
  type Prefix,
  parsePrefix,
  parseSource,
  showPrefix,
  showSource,
  splitPrefix,
} from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { KernelError } from '../../rules/kernel.ts'
import type { AuditEntry, Decision } from '../journal/entries.ts'
import { CounterReader } from './kernel-counters.ts'
import type { DaemonParts } from './parts.ts'
import { tellStory } from './source-story.ts'
import { decisionView, showPrefixes, showTarget } from './views.ts'

const LIVE_INTERVAL: Milliseconds = 500
const LIVE_BLOCKED = 200
/** Longer blocks are written without an end. */
const LONGEST_BLOCK_SECONDS = 10 * 365 * 86_400

/** The orders and questions of the dashboard and the command line, answered from the parts of the daemon. */
export class AgentControlPlane implements ControlPlane {
  readonly #o: DaemonParts
  readonly #startedAt: EpochMilliseconds
  readonly #counters: CounterReader
  readonly #listeners = new Set<(snapshot: LiveSnapshot) => void>()
  #liveTimer: NodeJS.Timeout | undefined
  #off = false

  constructor(options: DaemonParts) {
    this.#o = options
    this.#startedAt = options.clock()
    this.#counters = new CounterReader({
      engine: options.engine,
      clock: options.clock,
      onRead: ({ dropped, at }) => options.picture.dropped(dropped, at),
    })
  }

  async status(): Promise<StatusSnapshot> {
    const { clock, engine, picture, sensor, decisions } = this.#o
    await this.refreshCounters()
    const now = clock()
    const config = this.#o.config()
    const rules = engine.status()
    const { addresses, interfaces, ports } = config.protect
    return {
      version: this.#o.version,
      time: now,
      startedAt: this.#startedAt,
      mode: config.mode,
      ...this.#state(now),
      traffic: {
        interfaces,
        udpPorts: ports.udp,
        tcpPorts: ports.tcp,
        destinations: addresses === 'local' ? ['local'] : showPrefixes(addresses),
      },
      rates: picture.latest,
      history: picture.history,
      sensor: { ...sensor },
      rules: {
        state: this.#off ? 'off' : config.mode === 'observe' ? 'observing' : rules.state,
        backend: rules.backend,
        lastAppliedAt: rules.lastAppliedAt,
        pendingChanges: rules.pendingChanges,
        lastError: rules.lastError && failureSentence(rules.lastError),
        repairs: rules.repairs.count,
        registerPacketsDropped: this.#counters.latest?.dropped ?? 0,
        wouldHaveDone: this.#o.wouldHaveDone(),
      },
      limits: {
        register: config.limits.register,
        sip: { ...pick(config.limits.sip), enforced: this.#o.sipEnforced() },
        sipWouldLimit: (this.#counters.latest?.value.wouldLimit ?? [])
          .slice(0, 50)
          .map(({ source, packets }) => ({
            address: showPrefix(source),
            packets,
          })),
      },
      host: this.#o.host(),
      counts: { ...decisions.counts, allowed: decisions.allowedPrefixes().length },
      registrar: this.#o.registrar.status(),
    }
  }

  async blocked(): Promise<readonly DecisionView[]> {
    await this.refreshCounters()
    return this.#views(this.#o.decisions.standing())
  }

  async block(order: BlockOrder): Promise<DecisionView> {
    const target = readTarget(order.target)
    if (splitPrefix(target).length === 0) {
      throw new OrderRefused(
        'bad-input',
        `${order.target} is every address there is; block smaller prefixes, like 203.0.113.0/24.`,
      )
    }
    const { seconds } = order
    if (
      seconds !== undefined &&
      (!Number.isFinite(seconds) || seconds < 1 || seconds > LONGEST_BLOCK_SECONDS)
    ) {
      throw new OrderRefused(
        'bad-input',
        'A block lasts between 1 second and 10 years; leave the time out for one without an end.',
      )
    }
    if (this.#o.decisions.allowedPrefixes().includes(target)) {
      throw new OrderRefused(
        'conflict',
        `${showPrefix(target)} is on the allowlist, which comes first; take it off with: ringfence disallow ${showPrefix(target)}`,
      )
    }
    const now = this.#o.clock()
    const decision = this.#o.decisions.order({
      target,
      until: seconds === undefined ? null : now + seconds * 1000,
      reason: order.reason ?? 'blocked by the operator',
      who: order.by,
    })
    this.#audit(order.by, 'block', showPrefix(target))
    await this.#o.engine.settled()
    this.changed()
    return decisionView(decision, this.#o.clock())
  }

  async unblock(order: TargetOrder): Promise<{ readonly removed: readonly DecisionView[] }> {
    const port = parseSource(order.target.trim())
    const target = port ?? readTarget(order.target)
    const address = typeof target === 'string' ? splitPrefix(target).address : target.address
    const shown = typeof target === 'string' ? showPrefix(target) : showSource(target)
    await this.refreshCounters()
    const lifted = this.#o.decisions.lift(target, order.by)
    if (lifted.length === 0) {
      const around = this.#o.decisions.about(address).map(showTarget)
      const hint = around.length > 0 ? `; what holds it is ${around.join(', ')}: unblock that` : ''
      throw new OrderRefused('not-found', `${shown} is not blocked or suspended${hint}.`)
    }
    this.#pardon(address)
    this.#audit(order.by, 'unblock', shown)
    const removed = this.#views(lifted)
    await this.#o.engine.settled()
    this.changed()
    return { removed }
  }

  async allow(order: TargetOrder & { readonly reason?: string }): Promise<AllowView> {
    const target = readTarget(order.target)
    if (splitPrefix(target).length === 0) {
      throw new OrderRefused(
        'bad-input',
        `${order.target} is every address there is; to stop protecting use: ringfence off`,
      )
    }
    const since = this.#o.clock()
    const entry = { target, since, who: order.by, reason: order.reason ?? 'allowed by the operator' }
    this.#o.decisions.allow(entry)
    this.#pardon(splitPrefix(target).address)
    this.#audit(order.by, 'allow', showPrefix(target))
    await this.#o.engine.settled()
    this.changed()
    return { target: showPrefix(target), since, by: 'operator', reason: entry.reason }
  }

  async disallow(order: TargetOrder): Promise<{ readonly removed: readonly AllowView[] }> {
    const target = readTarget(order.target)
    const removed = this.#o.decisions.disallow(target)
    if (!removed) {
      const configured = this.#o.decisions.configuredAllow.includes(target)
      if (configured) {
        throw new OrderRefused(
          'conflict',
          `${showPrefix(target)} is allowed by the configuration file; take it out of allow: there and reload.`,
        )
      }
      throw new OrderRefused('not-found', `${showPrefix(target)} is not on the allowlist.`)
    }
    this.#audit(order.by, 'disallow', showPrefix(target))
    await this.#o.engine.settled()
    this.changed()
    return {
      removed: [{ target: showPrefix(target), since: removed.since, by: 'operator', reason: removed.reason }],
    }
  }

  async allowed(): Promise<readonly AllowView[]> {
    const configured = this.#o.decisions.configuredAllow.map((target) => ({
      target: showPrefix(target),
      since: this.#startedAt,
      by: 'configuration',
      reason: 'in the configuration file',
    }))
    const operators = this.#o.decisions.operatorAllow.map(({ target, since, reason }) => ({
      target: showPrefix(target),
      since,
      by: 'operator',
      reason,
    }))
    return [...configured, ...operators]
  }

  async explain(text: string): Promise<SourceStory> {
    const address = readAddress(text) as Address
    return tellStory(address, { ...this.#o, drops: (await this.#counters.refreshed())?.drops })
  }

  async enforceSip(order: {
    readonly enforced: boolean
    readonly by: string
  }): Promise<{ readonly enforced: boolean }> {
    if (!order.enforced && this.#o.config().limits.sip.enforce) {
      throw new OrderRefused(
        'conflict',
        'The configuration file says limits.sip.enforce: true; change it there and reload.',
      )
    }
    this.#o.setSipEnforced(order.enforced)
    this.#audit(order.by, order.enforced ? 'enforce sip' : 'observe sip', '')
    await this.#o.engine.settled()
    this.changed()
    return { enforced: this.#o.sipEnforced() }
  }

  async off(order: { readonly by: string }): Promise<{ readonly removed: readonly string[] }> {
    this.#audit(order.by, 'off', '')
    this.#off = true
    const removed = await this.#o.removeRules().catch((error: unknown) => {
      throw error instanceof KernelError ? new OrderRefused('unavailable', error.message) : error
    })
    this.changed()
    return { removed }
  }

  async on(order: { readonly by: string }): Promise<void> {
    this.#audit(order.by, 'on', '')
    this.#off = false
    this.#o.engine.on()
    await this.#o.engine.settled()
    this.changed()
  }

  accounts(): Promise<readonly AccountView[]> {
    return this.#o.registrar.accounts()
  }

  async addAccount(order: {
    readonly aor: string
    readonly password: string
    readonly by: string
  }): Promise<AccountView> {
    const added = await this.#o.registrar.addAccount({ user: order.aor, password: order.password })
    this.#audit(order.by, 'account add', order.aor)
    return added
  }

  async removeAccount(order: { readonly aor: string; readonly by: string }): Promise<AccountView> {
    const removed = await this.#o.registrar.removeAccount(order.aor)
    if (!removed) throw new OrderRefused('not-found', `There is no account ${order.aor.slice(0, 80)}.`)
    this.#audit(order.by, 'account remove', order.aor)
    return removed
  }

  bindings(): Promise<readonly BindingView[]> {
    return this.#o.registrar.bindings()
  }

  watch(listener: (snapshot: LiveSnapshot) => void): () => void {
    this.#listeners.add(listener)
    this.changed()
    return () => this.#listeners.delete(listener)
  }

  /** Something that a page shows has changed; watchers hear of it, at most twice a second. */
  changed(): void {
    if (this.#listeners.size === 0 || this.#liveTimer) return
    this.#liveTimer = setTimeout(async () => {
      await this.refreshCounters()
      this.#liveTimer = undefined
      const snapshot = this.#snapshot()
      for (const listener of this.#listeners) listener(snapshot)
    }, LIVE_INTERVAL)
  }

  /** Reads the kernel's counters unless that was done a moment ago. */
  async refreshCounters(): Promise<void> {
    await this.#counters.refreshed()
  }

  close(): void {
    clearTimeout(this.#liveTimer)
    this.#listeners.clear()
  }

  #snapshot(): LiveSnapshot {
    const now = this.#o.clock()
    const standing = this.#o.decisions.standing()
    return {
      time: now,
      ...this.#state(now),
      rates: this.#o.picture.latest,
      blocked: this.#views(standing.slice(0, LIVE_BLOCKED)),
      blockedTotal: standing.length,
    }
  }

  #state(now: EpochMilliseconds): Pick<LiveSnapshot, 'state' | 'sentence'> {
    const faults: string[] = []
    const rules = this.#o.engine.status()
    if (rules.state === 'failing' && rules.lastError)
      faults.push(`Rules cannot be applied: ${failureSentence(rules.lastError)}.`)
    if (this.#o.sensor.state === 'failed') faults.push(`Sensor: ${this.#o.sensor.detail}.`)
    const registrar = this.#o.registrar.status()
    if (registrar.state === 'failed') faults.push(`Registrar: ${registrar.detail}.`)
    if (this.#o.decisions.journalFailures > 0) {
      faults.push(
        `The journal could not take ${this.#o.decisions.journalFailures} changes: look at the disk.`,
      )
    }
    if (this.#o.decisions.refusedFull > 0) {
      faults.push(
        `${this.#o.decisions.refusedFull} verdicts found no place among ${this.#o.decisions.size} decisions.`,
      )
    }
    return this.#o.picture.state(now, {
      mode: this.#o.config().mode,
      off: this.#off,
      faults,
      ...this.#o.decisions.counts,
    })
  }

  #views(decisions: readonly Decision[]): DecisionView[] {
    const now = this.#o.clock()
    return decisions.map((decision) => decisionView(decision, now, this.#counters.latest?.drops))
  }

  #pardon(address: Address): void {
    this.#o.pardonSource(address)
    this.#o.registrar.pardon(address)
  }

  #audit(who: string, what: AuditEntry['what'], target: string): void {
    try {
      this.#o.journal.audit({ time: this.#o.clock(), who, what, target })
    } catch {
      this.#o.decisions.journalFailures++
    }
  }
}

/** The API's own reading of what a person writes, refusals included. */
function readTarget(text: string): Prefix {
  return parsePrefix(readNormalTarget(text))!
}

function failureSentence(failure: { readonly message: string; readonly line: string | null }): string {
  return failure.line === null ? failure.message : `${failure.message} (line: ${failure.line})`
}

function pick(limit: { readonly perSecond: number; readonly burst: number }) {
  return { perSecond: limit.perSecond, burst: limit.burst }
}
