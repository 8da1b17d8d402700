import type { AllowView, DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import type { LiveSnapshot, StatusSnapshot } from '../../dashboard/api/status.ts'
import { readAddressOrPort } from '../../dashboard/api/target.ts'
import type { TrialView } from '../../dashboard/api/what-if.ts'
import { type Address, parseSource, showPrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Decision } from '../journal/entries.ts'
import { FaultWatch } from './fault-watch.ts'
import { type Fault, listFaults, NOT_IN_PATH } from './faults.ts'
import { CounterReader } from './kernel-counters.ts'
import { LetGoWatch } from './let-go-watch.ts'
import { failureSentence, whyNotInForce } from './notice.ts'
import { leftBehindOf, type Power } from './orders.ts'
import type { DaemonParts } from './parts.ts'
import { PathWatch } from './path-watch.ts'
import { tellStory } from './source-story.ts'
import { decisionView, showPrefixes } from './views.ts'

const LIVE_BLOCKED = 200
const MOST_OVER_LIMIT = 50

export interface QuestionsOptions extends DaemonParts {
  readonly startedAt: EpochMilliseconds
  readonly power: () => Power
  readonly trial: () => TrialView | null
}

/** What may be asked about the daemon: how it stands, what is blocked, and why. */
export class Questions {
  readonly #o: QuestionsOptions
  readonly #counters: CounterReader
  readonly pathWatch: PathWatch
  readonly #faultWatch: FaultWatch
  readonly #letGo = new LetGoWatch()
  #judgedUdp: { readonly packets: number; readonly at: EpochMilliseconds } | undefined

  constructor(options: QuestionsOptions) {
    this.#o = options
    this.pathWatch = new PathWatch({ log: options.log, protect: () => options.config().protect })
    this.#faultWatch = new FaultWatch(options)
    this.#counters = new CounterReader({
      engine: options.engine,
      clock: options.clock,
      onRead: ({ value, suspicious, at }) => {
        options.picture.dropped(suspicious, at)
        const { udp, tcp } = value.judged
        this.#tellArrivals(udp, at)
        this.pathWatch.read(at, this.#standsInKernel() ? udp + tcp : undefined)
      },
    })
  }

  /** The sensor sees only some of a flood; the rules count all of it. */
  #tellArrivals(udp: number, at: EpochMilliseconds): void {
    const before = this.#judgedUdp
    this.#judgedUdp = { packets: udp, at }
    if (before && at > before.at && udp >= before.packets)
      this.#o.arrivals(((udp - before.packets) * 1_000) / (at - before.at))
  }

  async status(): Promise<StatusSnapshot> {
    const { clock, engine, picture, sensor, decisions } = this.#o
    const { logs, ...seen } = sensor
    await this.refreshCounters()
    const now = clock()
    const config = this.#o.config()
    const rules = engine.status()
    const desired = this.#o.desired()
    const { addresses, interfaces, ports } = config.protect
    const { latest } = this.#counters
    const power = this.#o.power()
    return {
      version: this.#o.version,
      time: now,
      startedAt: this.#o.startedAt,
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
      sensor: seen,
      logs,
      rules: {
        state: POWERS[power.state] ?? (config.mode === 'observe' ? 'observing' : rules.state),
        backend: rules.backend,
        lastAppliedAt: rules.lastAppliedAt,
        pendingChanges: rules.pendingChanges,
        lastError: leftBehindOf(power) ?? (rules.lastError && failureSentence(rules.lastError)),
        repairs: rules.repairs.count,
        lastRepair: rules.repairs.last,
        contestedUntil: rules.repairs.contestedUntil,
        full: rules.full,
        notInPath: this.pathWatch.alarm,
        countedAt: latest?.at ?? null,
        judged: latest?.value.judged ?? { udp: 0, tcp: 0 },
        dropped: latest?.value.dropped ?? {},
        registerPacketsDropped: latest?.registers ?? 0,
        wouldHaveDone: this.#o.wouldHaveDone(),
      },
      strict: this.#o.strict(),
      sight: this.#o.softswitch.sightViews,
      nonces: this.#o.softswitch.nonceViews,
      lanes: { ...this.#o.lanes(), letGoLast: this.#letGo.last },
      weather: this.#o.weather(),
      gateways: desired.gateways.map(({ name, prefixes, cps }) => ({
        name,
        prefixes: showPrefixes(prefixes),
        cps: cps.perSecond,
        burst: cps.burst,
      })),
      trial: this.#o.trial(),
      limits: {
        register: pick(config.limits.register),
        sip: {
          ...pick(config.limits.sip),
          prefix: config.limits.sip.prefix,
          total: config.limits.sip.total,
          enforced: this.#o.sipEnforced(),
        },
        sipWouldLimit: (latest?.value.wouldLimit ?? [])
          .slice(0, MOST_OVER_LIMIT)
          .map(({ source, packets }) => ({ address: showPrefix(source), packets })),
      },
      host: this.#o.host(),
      looks: this.#o.looks(),
      counts: { ...decisions.counts, allowed: decisions.allowedPrefixes().length },
      registrar: this.#o.registrar.status(),
    }
  }

  async blocked(): Promise<readonly DecisionView[]> {
    await this.refreshCounters()
    return this.viewsOf(this.#o.decisions.standing())
  }

  allowed(): readonly AllowView[] {
    const configured = this.#o.decisions.configuredAllow.map((target) => ({
      target: showPrefix(target),
      since: this.#o.startedAt,
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
    const target = readAddressOrPort(text)
    const source = parseSource(target)
    const read = await this.#counters.refreshed()
    return tellStory(source?.address ?? (target as Address), {
      ...this.#o,
      port: source?.port ?? null,
      drops: read?.drops,
      overSipLimit: read?.value.wouldLimit ?? [],
      notice: this.notInForce,
    })
  }

  /** Why the kernel may not do what the rules say; null where it does. */
  get notInForce(): string | null {
    const { mode } = this.#o.config()
    const power = this.#o.power()
    const isOff = power.state !== 'on'
    const rules = this.#o.engine.status()
    return whyNotInForce({ mode, isOff, leftBehind: leftBehindOf(power), rules })
  }

  snapshot(): LiveSnapshot {
    const now = this.#o.clock()
    const standing = this.#o.decisions.standing()
    return {
      time: now,
      ...this.#state(now),
      rates: this.#o.picture.latest,
      blocked: this.viewsOf(standing.slice(0, LIVE_BLOCKED)),
      blockedTotal: standing.length,
      trial: this.#o.trial(),
    }
  }

  viewsOf(decisions: readonly Decision[]): DecisionView[] {
    const now = this.#o.clock()
    const drops = this.#counters.latest?.drops
    return decisions.map((decision) => {
      const view = decisionView(decision, now, drops)
      const around = this.#o.decisions.allowedAround(decision.target)
      return around === undefined ? view : { ...view, allowedBy: showPrefix(around) }
    })
  }

  /** Reads the kernel's counters unless that was done a moment ago. */
  async refreshCounters(): Promise<void> {
    await this.#counters.refreshed()
    const faults = this.#faults(this.#o.clock())
    this.#letGo.saw(this.#o.lanes(), this.#o.clock())
    this.#faultWatch.saw(faults.filter(({ key }) => key !== NOT_IN_PATH))
  }

  /** Whether there are rules in the kernel that packets should pass. */
  #standsInKernel(): boolean {
    const { state, lastAppliedAt } = this.#o.engine.status()
    const isOn = this.#o.power().state === 'on'
    if (this.#o.config().mode === 'observe' || !isOn || state === 'off') return false
    return lastAppliedAt !== null
  }

  #state(now: EpochMilliseconds): Pick<LiveSnapshot, 'state' | 'sentence'> {
    const { decisions, picture, config } = this.#o
    const faults = this.#faults(now).map(({ sentence }) => sentence)
    const weather = this.#o.weather()
    const parts = {
      mode: config().mode,
      off: this.#o.power().state === 'off',
      faults,
      weather,
      ...decisions.counts,
    }
    return picture.state(now, parts)
  }

  #faults(now: EpochMilliseconds): readonly Fault[] {
    const { engine, sensor, registrar, decisions } = this.#o
    return listFaults({
      now,
      rules: engine.status(),
      leftBehind: leftBehindOf(this.#o.power()),
      notInPath: this.pathWatch.alarm,
      outage: this.#o.weather().outage?.sentence ?? null,
      sensor,
      registrar: registrar.status(),
      journalFailures: decisions.journalFailures,
      refusedFull: decisions.refusedFull,
      verdicts: decisions.verdictCount,
    })
  }
}

/** What is said of the rules while the operator does not want them. */
const POWERS: Readonly<Partial<Record<Power['state'], StatusSnapshot['rules']['state']>>> = {
  leaving: 'pending',
  'left-behind': 'failing',
  off: 'off',
}

function pick(limit: { readonly perSecond: number; readonly burst: number }) {
  return { perSecond: limit.perSecond, burst: limit.burst }
}
