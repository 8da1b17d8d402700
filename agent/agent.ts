import type { Logger } from 'pino'
import type { ControlPlane } from '../dashboard/api/control-plane.ts'
import { sourcePrefixOf } from '../registrar/net/address.ts'
import type { Clock, Milliseconds } from '../registrar/net/time.ts'
import { DesiredStateError } from '../rules/check-desired-state.ts'
import { RulesEngine } from '../rules/engine.ts'
import { ImaginedKernel } from '../rules/imagined-kernel.ts'
import { IptablesKernel } from '../rules/iptables-kernel.ts'
import { removeFromEveryBackend } from '../rules/remove-everything.ts'
import type { Config } from './config/config.ts'
import { AgentControlPlane } from './control/control-plane.ts'
import type { SensorView } from './control/parts.ts'
import { Picture } from './control/picture.ts'
import { showTarget } from './control/views.ts'
import { Decisions } from './decide/decisions.ts'
import { buildDesiredState } from './decide/desired.ts'
import { RETURNING_FOR } from './detect/flood.ts'
import type { Verdict } from './detect/verdict.ts'
import { type HostFigures, readHostFigures } from './host/host-figures.ts'
import { LogGate } from './host/log.ts'
import type { Journal } from './journal/journal.ts'
import { RegistrarChild } from './registrar-child.ts'
import type { FromSensor, SensorSettings, SensorSummary } from './sensor/messages.ts'
import { SensorProcess } from './sensor/sensor-process.ts'

const HOST_INTERVAL: Milliseconds = 1_000
const TIDY_INTERVAL: Milliseconds = 60_000
const SIP_ENFORCED = 'enforce-sip'
/** A capture that has not begun after so many seconds is not just starting. */
const SUMMARIES_TO_START = 4
/** What an attacker can make us write, a second. */
const MOST_LINES = 20
const MOST_VERDICTS_KEPT = 200

export interface AgentOptions {
  readonly config: Config
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
  readonly #decisions: Decisions
  readonly #sensor: SensorProcess
  readonly #registrar: RegistrarChild
  readonly #picture = new Picture()
  readonly #sensorView: SensorView = {
    state: 'starting',
    engine: '',
    framesSeen: 0,
    framesLost: 0,
    malformed: 0,
    sourcesTracked: 0,
    detail: 'the sensor is starting',
  }
  readonly #logGate: LogGate
  readonly #verdictGate: LogGate
  #config: Config
  #host: HostFigures = { cpu: 0, memoryUsed: 0, memoryTotal: 0 }
  #timers: NodeJS.Timeout[] = []
  /** Summaries in a row in which some interface was not captured on. */
  #blindFor = 0
  #started = false

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
      log: {
        info: (fields, sentence) => log.info(fields, sentence),
        warn: (fields, sentence) => log.warn(fields, sentence),
      },
      onChange: () => this.#plane.changed(),
    })
    this.#decisions = new Decisions({
      journal,
      clock,
      configuredAllow: config.allow,
      onChange: () => this.#desire(),
    })
    this.#sensor = new SensorProcess({
      settings: () => this.#sensorSettings(),
      onMessage: (message) => this.#sensed(message),
      onState: (state, detail) => this.#sensorChanged(state, detail),
    })
    this.#registrar = new RegistrarChild({
      config: () => this.#config,
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
      explainSource: (address) => this.#sensor.explain(address),
      pardonSource: (address) => this.#sensor.pardon(address),
      registrar: this.#registrar,
      host: () => this.#host,
      sipEnforced: () => this.#sipEnforced(),
      setSipEnforced: (enforced) => {
        journal.putSetting(SIP_ENFORCED, String(enforced))
        this.#desire()
      },
      removeRules: async () => {
        // An observing daemon has nothing in the kernel, and one that enforces may find its sets held by chains of
        // the other kind of iptables: whatever is left of ours goes.
        const removed = await this.#engine.off().catch(() => [])
        const leftovers = await removeFromEveryBackend()
        return imagined ? leftovers : [...removed, ...leftovers]
      },
      wouldHaveDone: () =>
        imagined?.actions().map(({ at, text }) => `${new Date(at).toISOString()} ${text}`) ?? [],
    })
    this.plane = this.#plane
  }

  start(): void {
    this.#started = true
    this.#desire()
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

  /** Takes a new configuration over; says what of it needs a restart. */
  reconfigure(config: Config): { readonly needsRestart: readonly string[] } {
    const before = this.#config
    const fixed = ['mode', 'dashboard', 'control', 'data'] as const
    const needsRestart = fixed.filter((key) => !isSame(before[key], config[key]))
    const { mode, dashboard, control, data } = before
    this.#config = { ...config, mode, dashboard, control, data }
    this.#decisions.configure(config.allow)
    this.#desire()
    if (
      !isSame(
        [before.protect, before.policy, before.sensor, before.registrar],
        [config.protect, config.policy, config.sensor, config.registrar],
      )
    ) {
      this.#sensor.restart()
    }
    if (!isSame([before.registrar, before.policy], [config.registrar, config.policy]))
      this.#registrar.restart()
    return { needsRestart }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#plane.close()
    await Promise.all([this.#sensor.stop(), this.#registrar.stop()])
    await this.#engine.close()
  }

  #desire(): void {
    if (!this.#started) return
    const state = buildDesiredState({
      config: this.#config,
      decisions: this.#decisions,
      sipEnforced: this.#sipEnforced(),
    })
    try {
      this.#engine.setDesired(state)
    } catch (error) {
      if (!(error instanceof DesiredStateError)) throw error
      // What stood before still stands in the kernel.
      this.#o.log.error(`the rules cannot be changed: ${error.message}`)
    }
    this.#plane.changed()
  }

  #sipEnforced(): boolean {
    return this.#config.limits.sip.enforce || this.#o.journal.setting(SIP_ENFORCED) === 'true'
  }

  #sensorSettings(): SensorSettings {
    const { protect, policy, sensor, registrar } = this.#config
    return {
      interfaces: protect.interfaces,
      engine: sensor.engine,
      udpPorts: protect.ports.udp,
      tcpPorts: protect.ports.tcp,
      destinations: protect.addresses,
      policy,
      registrarPorts: registrar.enabled ? registrar.listen.map(({ port }) => port) : [],
      known: this.#o.journal.knownSources(this.#o.clock() - RETURNING_FOR),
    }
  }

  #sensed(message: Exclude<FromSensor, { type: 'explained' }>): void {
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
      case 'summary':
        this.#summarised(message.summary)
        return
    }
  }

  /** From verdict to decision; what stands against somebody goes to the kernel at once. */
  #judged(verdict: Verdict): void {
    const decided = this.#decisions.decide(verdict)
    if (this.#verdictGate.ask().write) {
      const { time, address, port, action, scope, grade, reason, evidence } = verdict
      this.#keep(() => {
        this.#o.journal.recordVerdict({
          time,
          source: sourcePrefixOf(address),
          port,
          action,
          scope,
          grade,
          reason,
          evidence,
        })
      })
    }
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

  #summarised(summary: SensorSummary): void {
    this.#picture.summarised(summary, this.#host.cpu)
    const view = this.#sensorView
    view.framesSeen += summary.frames
    view.framesLost = summary.framesLost
    view.malformed += summary.malformed
    view.sourcesTracked = summary.sourcesTracked
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

  #sensorChanged(state: SensorView['state'], detail: string): void {
    this.#sensorView.state = state
    this.#sensorView.detail = detail
    if (state === 'failed') this.#o.log.error(detail)
    this.#plane.changed()
  }

  #tidy(): void {
    this.#keep(() => this.#o.journal.tidy(this.#o.clock()))
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
