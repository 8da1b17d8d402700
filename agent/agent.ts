import { join } from 'node:path'
import type { Logger } from 'pino'
import type { ControlPlane } from '../dashboard/api/control-plane.ts'
import { sourcePrefixOf } from '../registrar/net/address.ts'
import type { Clock, Milliseconds } from '../registrar/net/time.ts'
import { DesiredStateError } from '../rules/check-desired-state.ts'
import type { DesiredState } from '../rules/desired-state.ts'
import { RulesEngine } from '../rules/engine.ts'
import { ImaginedKernel } from '../rules/imagined-kernel.ts'
import { IptablesKernel } from '../rules/iptables-kernel.ts'
import { probeNflog } from '../rules/probe-nflog.ts'
import { removeFromEveryBackend, removeFromOtherBackend } from '../rules/remove-everything.ts'
import { backtestInChild } from './backtest/backtest-child.ts'
import type { Config } from './config/config.ts'
import { type HostFacts, readHostFacts } from './config/kernel-sizes.ts'
import { hostInterfaces } from './control/absent-interfaces.ts'
import { AgentControlPlane } from './control/control-plane.ts'
import { heldByKernel } from './control/held-by-kernel.ts'
import { keysThatNeedRestart, withFixedOf } from './control/needs-restart.ts'
import type { SensorView } from './control/parts.ts'
import { Picture } from './control/picture.ts'
import { SoftswitchWatch } from './control/softswitch-watch.ts'
import { showTarget } from './control/views.ts'
import type { AttackState } from './decide/attack.ts'
import { Decisions } from './decide/decisions.ts'
import { KernelFeed, mostDecisions } from './decide/kernel-feed.ts'
import type { SparedLists } from './decide/spared.ts'
import type { WeatherName, WeatherState } from './decide/weather.ts'
import { WeatherWatch } from './decide/weather-watch.ts'
import { RETURNING_FOR } from './detect/flood.ts'
import type { Verdict } from './detect/verdict.ts'
import { type HostFigures, readHostFigures } from './host/host-figures.ts'
import { LogGate } from './host/log.ts'
import { HistoryKeeper } from './journal/history-keeper.ts'
import type { Journal } from './journal/journal.ts'
import { OtherBackend } from './other-backend.ts'
import { RegistrarChild } from './registrar-child.ts'
import { localAddresses } from './sensor/local-addresses.ts'
import type {
  FromSensor,
  KnownSuccess,
  LaneSettings,
  SensorSettings,
  SensorSummary,
} from './sensor/messages.ts'
import { SensorProcess } from './sensor/sensor-process.ts'
import { sensorTask } from './sensor-task.ts'
import { watchedSecond } from './weather-second.ts'

const HOST_INTERVAL: Milliseconds = 1_000
const TIDY_INTERVAL: Milliseconds = 60_000
/** A capture that has not begun after so many seconds is not just starting. */
const SUMMARIES_TO_START = 4
/** What an attacker can make us write, a second. */
const MOST_LINES = 20
const MOST_VERDICTS_KEPT = 200

const WEATHER_LINES: Readonly<Record<WeatherName, string>> = {
  peace: 'peace again',
  attack: 'under attack: the retry limit is tighter and suspensions are longer',
  recovery: 'phones come back all at once: nobody is blocked for a rate',
}

export interface AgentOptions {
  readonly config: Config
  /** Where the configuration came from; one that is applied for good is written over it. */
  readonly configFile: string
  readonly journal: Journal
  readonly log: Logger
  readonly version: string
  readonly clock: Clock
}

/** The composition root: builds the parts of the daemon and carries verdicts to decisions and decisions to the kernel. */
export class Agent {
  readonly plane: ControlPlane
  readonly #o: AgentOptions
  readonly #plane: AgentControlPlane
  readonly #engine: RulesEngine
  /** None where this daemon leaves the kernel alone. */
  readonly #otherBackend: OtherBackend | undefined
  readonly #decisions: Decisions
  readonly #feed: KernelFeed
  readonly #weather: WeatherWatch
  readonly #hostFacts: HostFacts = { ...readHostFacts() }
  readonly #sensor: SensorProcess
  readonly #softswitch: SoftswitchWatch
  readonly #registrar: RegistrarChild
  readonly #picture = new Picture()
  readonly #sensorView: SensorView = {
    state: 'starting',
    engine: '',
    framesSeen: 0,
    framesLost: 0,
    malformed: 0,
    sourcesTracked: 0,
    learntBindings: 0,
    logs: [],
    detail: 'the sensor is starting',
  }
  readonly #logGate: LogGate
  readonly #verdictGate: LogGate
  /** The record of traffic, beside the journal. */
  readonly #history: HistoryKeeper
  #config: Config
  #host: HostFigures = { cpu: 0, memoryUsed: 0, memoryTotal: 0 }
  #timers: NodeJS.Timeout[] = []
  /** Summaries in a row in which some interface was not captured on. */
  #blindFor = 0
  /** What the sensor was told last of who is in which lane. */
  #toldLanes: LaneSettings | undefined
  #isClosing = false

  constructor(options: AgentOptions) {
    const { config, journal, log, clock, version } = options
    this.#o = options
    this.#config = config
    this.#logGate = new LogGate({ perSecond: MOST_LINES, clock })
    this.#verdictGate = new LogGate({ perSecond: MOST_VERDICTS_KEPT, clock })
    const imagined = config.mode === 'observe' ? new ImaginedKernel({ clock }) : undefined
    this.#engine = new RulesEngine({
      kernel: imagined ?? new IptablesKernel(),
      clock,
      log,
      onChange: () => {
        this.#plane.changed()
        void this.#otherBackend?.clear()
      },
    })
    if (!imagined)
      this.#otherBackend = new OtherBackend({ engine: this.#engine, remove: removeFromOtherBackend, log })
    this.#decisions = new Decisions({
      journal,
      clock,
      configured: sparedLists(config),
      ownAddresses: localAddresses(),
      capacity: mostDecisions(config, this.#hostFacts),
      onChange: (when) => {
        this.#feed.desire(when)
        if (when === 'now') this.#tellSensor()
      },
    })
    this.#feed = new KernelFeed({
      config: () => this.#config,
      host: this.#hostFacts,
      journal,
      clock,
      decisions: this.#decisions,
      hand: (state) => this.#hand(state),
      onAttack: (attack) => this.#attackChanged(attack),
      onReturned: (account) => this.#weather.returned(account),
      leftForUnknown: () => this.#weather.leftForUnknown,
      keep: (write) => this.#keep(write),
    })
    this.#weather = new WeatherWatch({
      config: () => this.#config,
      journal,
      clock,
      lanes: () => this.#feed.lanes(),
      strict: () => this.#feed.strict(),
      onState: (weather) => this.#weatherChanged(weather),
      onAnomaly: (_, what, sentence) =>
        log.warn({ sentence }, what === 'began' ? 'unusual traffic' : 'no longer unusual'),
      onMeter: () => {
        log.info(
          { perSecond: this.#weather.leftForUnknown },
          'the limit of all unknown sources follows the capacity',
        )
        this.#feed.metered()
      },
      keep: (write) => this.#keep(write),
    })
    this.#history = new HistoryKeeper({
      file: join(config.data, 'history.db'),
      clock,
      days: () => this.#config.history.days,
      onChange: (sentence) => log.warn(sentence),
    })
    this.#softswitch = new SoftswitchWatch({
      journal,
      log,
      keep: (write) => this.#keep(write),
    })
    this.#sensor = new SensorProcess({
      settings: () => this.#sensorSettings(),
      onMessage: (message) => this.#sensed(message),
      onState: (state, detail) => this.#sensorChanged(state, detail),
    })
    this.#registrar = new RegistrarChild({
      config: () => this.#config,
      policy: () => this.#weather.policy,
      log,
      onVerdict: (verdict) => this.#judged(verdict),
      onChange: () => this.#plane.changed(),
    })
    this.#plane = new AgentControlPlane({
      version,
      clock,
      config: () => this.#config,
      journal,
      decisions: this.#decisions,
      engine: this.#engine,
      picture: this.#picture,
      sensor: this.#sensorView,
      softswitch: this.#softswitch,
      learntBindings: () => this.#sensor.bindings(),
      arrivals: (perSecond) => this.#sensor.arrivals(perSecond),
      explainSource: (address) => this.#sensor.explain(address),
      pardonSource: (address) => this.#sensor.pardon(address),
      registrar: this.#registrar,
      host: () => this.#host,
      sipEnforced: () => this.#feed.sipEnforced,
      setSipEnforced: (enforced) => this.#feed.setSipEnforced(enforced),
      strict: () => this.#feed.strict(),
      setStrict: (order) => this.#feed.setStrict(order),
      lanes: () => this.#feed.lanes(),
      weather: () => this.#weather.report(),
      desired: () => this.#feed.desired(),
      desiredUnder: (other) => this.#feed.desiredUnder(other),
      removeRules: async () => {
        // An observing daemon has nothing in the kernel, but one before it may have left something.
        if (imagined) {
          await this.#engine.off()
          return removeFromEveryBackend()
        }
        // Sets that chains of the other kind of iptables hold would not go. What it refuses is said by the second look,
        // when the engine has taken out what it can.
        const others = await removeFromOtherBackend().catch(() => [])
        const removed = await this.#engine.off().catch(() => [])
        return [...new Set([...others, ...removed, ...(await removeFromEveryBackend())])]
      },
      hostInterfaces,
      configFile: options.configFile,
      reconfigure: (next) => void this.reconfigure(next),
      history: {
        trouble: () => this.#history.trouble,
        lost: () => this.#history.lost,
        backtest: (task) => backtestInChild(this.#history.file, task),
      },
      log,
      heldByKernel: imagined ? async () => null : heldByKernel,
      wouldHaveDone: () =>
        imagined?.actions().map(({ at, text }) => `${new Date(at).toISOString()} ${text}`) ?? [],
    })
    this.plane = this.#plane
  }

  /** Asks the kernel what it can do, where that has to be known before it is given rules. To be done once, first. */
  async prepare(): Promise<void> {
    if (this.#config.mode === 'observe') return
    const logsPackets = await probeNflog()
    Object.assign(this.#hostFacts, { logsPackets })
    if (!logsPackets) this.#o.log.warn('the kernel has no log of packets (NFLOG): a flood is captured whole')
  }

  start(): void {
    this.#weather.start()
    this.#feed.start()
    this.#sensor.start()
    this.#registrar.start()
    const readHost = async () => {
      this.#host = await readHostFigures().catch(() => this.#host)
    }
    this.#timers = [
      setInterval(readHost, HOST_INTERVAL),
      setInterval(() => this.#tidy(), TIDY_INTERVAL),
      setInterval(() => this.#plane.refreshCounters(), HOST_INTERVAL),
      setInterval(() => this.#keep(() => this.#o.journal.flush()), HOST_INTERVAL),
    ]
  }

  /** Resolves when the kernel holds what it should, or refused it once. */
  settled(): Promise<void> {
    return this.#engine.settled()
  }

  /** Why the configuration file must not be read again now, in a sentence; null where it may. */
  get refusalOfReload(): string | null {
    return this.#plane.refusalOfReload
  }

  /** Takes a new configuration over; says what of it needs a restart. */
  reconfigure(config: Config): { readonly needsRestart: readonly string[] } {
    const before = this.#config
    const needsRestart = keysThatNeedRestart(before, config)
    this.#config = withFixedOf(before, config)
    const capacity = mostDecisions(config, this.#hostFacts)
    this.#decisions.configure(sparedLists(config), { capacity })
    this.#feed.reconfigured()
    // What is taken back at the end is the kernel's business alone.
    if (this.#isClosing) return { needsRestart }
    // What it knows of sources is lost by a restart, and frames meanwhile: not for a new account.
    const host = this.#hostFacts
    if (!isSame(sensorTask(before, host), sensorTask(this.#config, host))) this.#sensor.restart()
    if (!isSame([before.registrar, before.policy], [config.registrar, config.policy]))
      this.#registrar.restart()
    return { needsRestart }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#isClosing = true
    await this.#plane.close()
    await Promise.all([this.#sensor.stop(), this.#registrar.stop()])
    this.#feed.close()
    this.#weather.close()
    await this.#engine.close()
    this.#history.close()
  }

  #hand(state: DesiredState): void {
    try {
      this.#engine.setDesired(state)
    } catch (error) {
      if (!(error instanceof DesiredStateError)) throw error
      // What stood before still stands in the kernel.
      if (this.#logGate.ask().write) this.#o.log.error(`the rules cannot be changed: ${error.message}`)
    }
    this.#plane.changed()
  }

  #attackChanged(attack: AttackState): void {
    const { state, why } = attack
    this.#o.log.warn({ why }, state === 'strict' ? 'the strict limits decide' : 'the limits of peace decide')
    this.#weather.recordStrict(attack)
    this.#plane.changed()
  }

  /** Another state means other thresholds, in the sensor and in Ringfence's own registrar. */
  #weatherChanged({ state, why }: WeatherState): void {
    this.#o.log.warn({ why }, WEATHER_LINES[state])
    this.#tellPolicy()
    this.#plane.changed()
  }

  #tellPolicy(): void {
    this.#sensor.configurePolicy(this.#weather.policy)
    this.#registrar.setPolicy(this.#weather.policy)
  }

  #sensorSettings(): SensorSettings {
    return {
      ...sensorTask(this.#config, this.#hostFacts),
      policy: this.#weather.policy,
      known: this.#knownSources(),
      lanes: this.#laneSettings(),
      nonces: this.#softswitch.nonces,
    }
  }

  /** Lanes are written to the journal sooner than successes are, and know who registered a moment ago. */
  #knownSources(): readonly KnownSuccess[] {
    const now = this.#o.clock()
    let known: readonly KnownSuccess[] = []
    this.#keep(() => {
      const since = now - RETURNING_FOR
      const accounts = new Map(
        this.#o.journal.returningEntries(since).map((entry) => [entry.source, entry.accounts]),
      )
      known = this.#o.journal
        .knownSources(since)
        .map((success) => ({ ...success, accounts: accounts.get(success.source) ?? 1 }))
    })
    const listed = new Set(known.map(({ source }) => source))
    const others = this.#feed.returning().filter((source) => !listed.has(source))
    return [...known, ...others.map((source) => ({ source, at: now, until: 0 }))]
  }

  #laneSettings(): LaneSettings {
    const { gateways } = sparedLists(this.#config)
    return {
      unknownPerSecond: this.#config.limits.register.perSecond,
      trusted: [...this.#decisions.allowedPrefixes(), ...gateways],
    }
  }

  /** Whom the sensor need not count as unknown changes with the lists. */
  #tellSensor(): void {
    const lanes = this.#laneSettings()
    if (isSame(lanes, this.#toldLanes)) return
    this.#toldLanes = lanes
    this.#sensor.configureLanes(lanes)
  }

  #sensed(message: Exclude<FromSensor, { type: 'explained' | 'bindings' }>): void {
    switch (message.type) {
      case 'verdict':
        this.#judged(message.verdict)
        return
      case 'successes':
        this.#keep(() => {
          for (const { source, at, until } of message.successes)
            this.#o.journal.rememberSuccess(source, { at, until })
        })
        return
      case 'lanes':
        this.#feed.take(message)
        return
      case 'record':
        this.#history.write(message.batch)
        return
      case 'summary':
        this.#summarised(message.summary)
        return
    }
  }

  /** From verdict to decision; what stands against somebody goes to the kernel at once. */
  #judged(verdict: Verdict): void {
    const decided = this.#decisions.decide(verdict)
    if (this.#verdictGate.ask().write) {
      const { time, name, address, port, action, scope, grade, reason, evidence } = verdict
      this.#keep(() => {
        this.#o.journal.recordVerdict({
          time,
          source: sourcePrefixOf(address),
          port,
          name,
          action,
          scope,
          grade,
          reason,
          evidence,
        })
      })
    }
    if (verdict.action === 'alert') this.#alerted(verdict)
    if (decided.kind !== 'made') return
    if (decided.decision.kind === 'block') this.#picture.blocked(verdict.time)
    const { write, keptBack } = this.#logGate.ask()
    if (!write) return
    const { kind, scope, reason, until } = decided.decision
    const fields = { target: showTarget(decided.decision), scope, grade: verdict.grade, until, reason }
    this.#o.log.info(
      keptBack > 0 ? { ...fields, linesKeptBack: keptBack } : fields,
      kind === 'block' ? 'blocked' : 'suspended',
    )
  }

  /** Nothing is done to anybody, but somebody should look. */
  #alerted({ name, address, port, grade, reason, evidence }: Verdict): void {
    const { write, keptBack } = this.#logGate.ask()
    if (!write) return
    const fields = { alert: name, address, port, grade, reason, evidence }
    this.#o.log.warn(keptBack > 0 ? { ...fields, linesKeptBack: keptBack } : fields, 'look at this')
  }

  #summarised(summary: SensorSummary): void {
    this.#picture.summarised(summary, this.#host.cpu)
    this.#feed.summarised({ registers: summary.unknownRegisters, seconds: summary.seconds })
    this.#weather.summarised(watchedSecond(summary))
    this.#plane.summarised(summary)
    this.#softswitch.summarised(summary)
    const view = this.#sensorView
    view.framesSeen += summary.frames
    view.framesLost = summary.framesLost
    this.#readAs(summary)
    view.malformed += summary.malformed
    view.sourcesTracked = summary.sourcesTracked
    view.learntBindings = summary.bindings
    for (const { log, path, state, reason } of summary.logs) {
      const before = view.logs.find((known) => known.log === log)
      if (before?.state === state && before.reason === reason) continue
      const said = `the log of ${log} (${path}) is ${state === 'following' ? 'followed' : `not followed: ${reason}`}`
      if (state === 'following') this.#o.log.info(said)
      else this.#o.log.warn(said)
    }
    view.logs = summary.logs
    const broken = summary.captures.filter(({ state }) => state !== 'running')
    view.engine = [...new Set(summary.captures.map(({ engine }) => engine))].join(', ')
    this.#blindFor = broken.length === 0 ? 0 : this.#blindFor + 1
    const blind = this.#blindFor >= SUMMARIES_TO_START || broken.some(({ state }) => state === 'failed')
    view.detail = broken.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
    if (blind && view.state !== 'failed')
      this.#o.log.error(`the sensor does not see everything: ${view.detail}`)
    if (!blind && view.state === 'failed') this.#o.log.info('the sensor sees everything again')
    view.state = blind ? 'failed' : broken.length > 0 ? 'starting' : 'running'
    this.#plane.changed()
  }

  /** How requests are read, said when it changes. */
  #readAs({ sampling, lowerBounds }: SensorSummary): void {
    const view = this.#sensorView
    const before = view.sampling
    view.sampling = sampling
    view.lowerBounds = lowerBounds
    if (before && before.state !== sampling.state && sampling.state !== 'off') {
      const how =
        sampling.state === 'loud'
          ? `so much arrives that requests are read from the kernel's log (NFLOG group ${sampling.group})`
          : 'every request is captured again'
      this.#o.log.info(how)
    }
    if (sampling.detail !== '' && sampling.detail !== before?.detail && sampling.state !== 'off')
      this.#o.log.warn(`the kernel's log of requests cannot be read: ${sampling.detail}`)
  }

  #sensorChanged(state: SensorView['state'], detail: string): void {
    this.#sensorView.state = state
    this.#sensorView.detail = detail
    if (state === 'failed') this.#o.log.error(detail)
    this.#plane.changed()
  }

  #tidy(): void {
    this.#keep(() => this.#o.journal.tidy(this.#o.clock()))
    this.#history.tidy()
    void this.#otherBackend?.retry()
  }

  /** What is only remembered may fail without harm to what is enforced; it is counted and shown. */
  #keep(write: () => void): void {
    try {
      write()
    } catch (error) {
      this.#decisions.journalFailures++
      if (this.#logGate.ask().write) this.#o.log.error(error instanceof Error ? error.message : String(error))
    }
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** Whom the configuration says that no verdict may touch. */
function sparedLists({ allow, protect, gateways }: Config): SparedLists {
  return {
    allow,
    protect: protect.addresses === 'local' ? [] : protect.addresses,
    gateways: gateways.flatMap(({ prefixes }) => prefixes),
  }
}
