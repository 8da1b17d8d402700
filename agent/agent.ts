import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { ControlPlane } from '../dashboard/api/control-plane.ts'
import type { Clock, Milliseconds } from '../registrar/net/time.ts'
import { probeNflog } from '../rules/probe-nflog.ts'
import { backtestInChild } from './backtest/backtest-child.ts'
import type { Config } from './config/config.ts'
import { type HostFacts, readHostFacts } from './config/kernel-sizes.ts'
import { hostInterfaces } from './control/absent-interfaces.ts'
import { AgentControlPlane } from './control/control-plane.ts'
import { keysThatNeedRestart, withFixedOf } from './control/needs-restart.ts'
import { Picture } from './control/picture.ts'
import { SensorWatch } from './control/sensor-watch.ts'
import { SoftswitchWatch } from './control/softswitch-watch.ts'
import { viewWeather } from './control/weather-view.ts'
import type { AttackState } from './decide/attack.ts'
import { Decisions } from './decide/decisions.ts'
import { type HeldLanes, NOTHING_HELD } from './decide/held-lanes.ts'
import { KernelFeed, mostDecisions } from './decide/kernel-feed.ts'
import { OPERATOR } from './decide/kernel-items.ts'
import { sparedLists } from './decide/spared.ts'
import type { WeatherName, WeatherState } from './decide/weather.ts'
import { WeatherWatch } from './decide/weather-watch.ts'
import { Enforcement } from './enforcement.ts'
import { type HostFigures, readHostFigures } from './host/host-figures.ts'
import { LogGate } from './host/log.ts'
import { HistoryKeeper } from './journal/history-keeper.ts'
import type { Journal } from './journal/journal.ts'
import { RegistrarChild } from './registrar-child.ts'
import { localAddresses } from './sensor/local-addresses.ts'
import type { FromSensor, SensorSummary } from './sensor/messages.ts'
import { SensorProcess } from './sensor/sensor-process.ts'
import { SensorBriefing } from './sensor-briefing.ts'
import { sensorTask } from './sensor-task.ts'
import { VerdictIntake } from './verdict-intake.ts'
import { watchedSecond } from './weather-second.ts'
import { WorthALook } from './worth-a-look.ts'

const HOST_INTERVAL: Milliseconds = 1_000
const TIDY_INTERVAL: Milliseconds = 60_000
/** At the end. */
const LAST_APPLIED_WITHIN: Milliseconds = 1_000
/** What an attacker can make us write, a second. */
const MOST_LINES = 20

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

/** The composition root: builds the parts of the daemon, and carries what one says to those whom it concerns. */
export class Agent {
  readonly plane: ControlPlane
  readonly #o: AgentOptions
  readonly #plane: AgentControlPlane
  readonly #enforcement: Enforcement
  readonly #decisions: Decisions
  readonly #feed: KernelFeed
  readonly #weather: WeatherWatch
  readonly #hostFacts: HostFacts = { ...readHostFacts() }
  readonly #looks = new WorthALook()
  readonly #intake: VerdictIntake
  readonly #sensor: SensorProcess
  readonly #sensorWatch: SensorWatch
  readonly #briefing: SensorBriefing
  readonly #softswitch: SoftswitchWatch
  readonly #registrar: RegistrarChild
  readonly #picture = new Picture()
  readonly #logGate: LogGate
  /** The record of traffic, beside the journal. */
  readonly #history: HistoryKeeper
  #config: Config
  #host: HostFigures = { cpu: 0, memoryUsed: 0, memoryTotal: 0 }
  #timers: NodeJS.Timeout[] = []
  #isClosing = false
  /** Who was in a lane in the kernel before this daemon. */
  #held: HeldLanes = NOTHING_HELD

  constructor(options: AgentOptions) {
    const { config, journal, log, clock, version } = options
    this.#o = options
    this.#config = config
    this.#logGate = new LogGate({ perSecond: MOST_LINES, clock })
    const keep = (write: () => void) => this.#keep(write)
    this.#enforcement = new Enforcement({
      mode: config.mode,
      clock,
      log,
      gate: this.#logGate,
      onChange: () => this.#plane.changed(),
    })
    this.#decisions = new Decisions({
      journal,
      clock,
      configured: sparedLists(config),
      ownAddresses: localAddresses(),
      capacity: mostDecisions(config, this.#hostFacts),
      onChange: (what) => {
        this.#feed.desire(what === 'verdict' ? 'soon' : 'now')
        if (what === 'lists') this.#tellSensor()
      },
    })
    this.#feed = new KernelFeed({
      config: () => this.#config,
      host: this.#hostFacts,
      journal,
      clock,
      decisions: this.#decisions,
      hand: (state) => {
        this.#enforcement.hand(state)
        this.#plane.changed()
      },
      onAttack: (attack) => this.#attackChanged(attack),
      onReturned: (account) => this.#weather.returned(account),
      leftForUnknown: () => this.#weather.leftForUnknown,
      keep,
    })
    this.#weather = new WeatherWatch({
      config: () => this.#config,
      journal,
      clock,
      lanes: () => this.#feed.lanes(),
      strict: () => this.#feed.strict(),
      isBlocked: (address) =>
        this.#config.mode !== 'observe' && this.#decisions.about(address).some(({ by }) => by === OPERATOR),
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
      keep,
    })
    this.#history = new HistoryKeeper({
      file: join(config.data, 'history.db'),
      clock,
      days: () => this.#config.history.days,
      onChange: (sentence) => log.warn(sentence),
    })
    this.#intake = new VerdictIntake({
      decisions: this.#decisions,
      journal,
      looks: this.#looks,
      clock,
      log,
      gate: this.#logGate,
      keep,
      onBlock: (time) => this.#picture.blocked(time),
    })
    this.#softswitch = new SoftswitchWatch({ journal, log, keep })
    this.#sensorWatch = new SensorWatch({
      log,
      // A capture that stands still shows nothing; with a new sensor all captures begin anew.
      onDeaf: () => void this.#sensor.restart(),
    })
    this.#briefing = new SensorBriefing({
      config: () => this.#config,
      host: this.#hostFacts,
      journal,
      clock,
      decisions: this.#decisions,
      registered: () => this.#feed.registered(),
      members: () => this.#feed.desired().members,
      registrations: (options) => this.#history.registrations(options),
      policy: () => this.#weather.policy,
      nonces: () => this.#softswitch.nonces,
      keep,
    })
    this.#sensor = new SensorProcess({
      settings: () => this.#briefing.settings(),
      onMessage: (message) => this.#sensed(message),
      onState: (state, detail) => {
        this.#sensorWatch.changed(state, detail)
        this.#plane.changed()
      },
    })
    this.#registrar = new RegistrarChild({
      config: () => this.#config,
      policy: () => this.#weather.policy,
      log,
      onVerdict: (verdict) => this.#intake.take(verdict),
      onChange: () => this.#plane.changed(),
    })
    this.#plane = new AgentControlPlane({
      version,
      clock,
      config: () => this.#config,
      journal,
      decisions: this.#decisions,
      engine: this.#enforcement.engine,
      picture: this.#picture,
      sensor: this.#sensorWatch.view,
      softswitch: this.#softswitch,
      learntBindings: () => this.#sensor.bindings(),
      arrivals: (perSecond) => {
        this.#sensor.arrivals(perSecond)
        this.#sensorWatch.arrived(perSecond)
        this.#picture.arrived(perSecond, clock())
        this.#weather.arrived(perSecond)
      },
      explainSource: (address) => this.#sensor.explain(address),
      pardonSource: (address) => this.#sensor.pardon(address),
      registrar: this.#registrar,
      host: () => this.#host,
      sipEnforced: () => this.#feed.sipEnforced,
      setSipEnforced: (enforced) => this.#feed.setSipEnforced(enforced),
      strict: () => this.#feed.strict(),
      setStrict: (order) => this.#feed.setStrict(order),
      lanes: () => this.#feed.lanes(),
      looks: () => this.#looks.latest(clock()),
      weather: () => viewWeather(this.#weather.facts(), this.#config.limits, clock()),
      desired: () => this.#feed.desired(),
      desiredUnder: (other) => this.#feed.desiredUnder(other),
      removeRules: () => this.#enforcement.remove(),
      hostInterfaces,
      configFile: options.configFile,
      reconfigure: (next) => void this.reconfigure(next),
      history: {
        trouble: () => this.#history.trouble,
        lost: () => this.#history.lost,
        backtest: (task) => backtestInChild(this.#history.file, task),
      },
      log,
      heldByKernel: (source) => this.#enforcement.heldByKernel(source),
      wouldHaveDone: () => this.#enforcement.wouldHaveDone(),
    })
    this.plane = this.#plane
  }

  /** Asks the kernel what it can do, where that has to be known before it is given rules. To be done once, first. */
  async prepare(): Promise<void> {
    if (this.#config.mode === 'observe') return
    const logsPackets = await probeNflog()
    Object.assign(this.#hostFacts, { logsPackets })
    if (!logsPackets) this.#o.log.warn('the kernel has no log of packets (NFLOG): a flood is captured whole')
    this.#held = await this.#enforcement.heldLanes(this.#o.clock())
  }

  start(): void {
    this.#weather.start()
    this.#feed.start({ held: this.#held })
    this.#held = NOTHING_HELD
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
    return this.#enforcement.settled()
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
    // What the sensor said last is for the kernel too; one that refuses it must not hold up the end.
    await Promise.race([this.#enforcement.settled(), pause(LAST_APPLIED_WITHIN, null, { ref: false })])
    await this.#enforcement.close()
    this.#history.close()
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

  /** Whom the sensor need not count as unknown changes with the lists. */
  #tellSensor(): void {
    const lanes = this.#briefing.changedLanes()
    if (lanes) this.#sensor.configureLanes(lanes)
  }

  #sensed(message: Exclude<FromSensor, { type: 'explained' | 'bindings' }>): void {
    switch (message.type) {
      case 'verdict':
        this.#intake.take(message.verdict)
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

  #summarised(summary: SensorSummary): void {
    this.#picture.summarised(summary, this.#host.cpu)
    // Before the limits are weighed: what they are decided from is recorded with the figures of this second.
    this.#weather.summarised(watchedSecond(summary))
    this.#feed.summarised({ registers: summary.unknownRegisters, seconds: summary.seconds })
    this.#plane.summarised(summary)
    this.#softswitch.summarised(summary)
    this.#sensorWatch.summarised(summary)
    this.#plane.changed()
  }

  #tidy(): void {
    this.#keep(() => this.#o.journal.tidy(this.#o.clock()))
    this.#history.tidy()
    this.#enforcement.tidy()
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
