import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { LiveCapture } from '../capture/live.ts'
import { FrameMerge } from '../capture/merge-frames.ts'
import { Detector, type Totals } from '../detect/detector.ts'
import type { LaneWitnessOptions } from '../detect/lane-witness.ts'
import { PrefixSet } from '../detect/prefix-set.ts'
import type { WatchedDevice } from '../discover/devices-to-watch.ts'
import { LaneBatch } from './lane-batch.ts'
import { protectedAddresses } from './local-addresses.ts'
import type { FromSensor, KnownSuccess, LaneSettings, SensorSettings, SourceKnowledge } from './messages.ts'
import { Pipeline } from './pipeline.ts'

const SUMMARY_INTERVAL: Milliseconds = 1_000
/** Successes of so many sources wait for the next summary at most; more are told at once. */
const MOST_SUCCESSES_WAITING = 1_000

interface WatchedInterface {
  readonly name: string
  readonly capture: LiveCapture
  /** Frames that the kernel had no room for. */
  lost: number
}

/** Captures on every interface, observes and detects; tells verdicts at once and everything else once a second. */
export class Sensor {
  readonly #send: (message: FromSensor) => void
  readonly #detector: Detector
  readonly #pipeline: Pipeline
  readonly #captures: WatchedInterface[]
  readonly #lanes: LaneBatch
  /** Where a request and its answer are captured on two devices, frames are put in order. */
  readonly #merge: FrameMerge | undefined
  readonly #successes = new Map<Prefix, KnownSuccess>()
  #timer: NodeJS.Timeout | undefined
  #summarisedAt = performance.now()
  #before: Totals & { frames: number; unknownRegisters: number } = {
    registers: 0,
    sipMessages: 0,
    challenges: 0,
    successes: 0,
    failures: 0,
    malformed: 0,
    frames: 0,
    unknownRegisters: 0,
  }

  constructor(options: {
    readonly settings: SensorSettings
    readonly devices: readonly WatchedDevice[]
    readonly send: (message: FromSensor) => void
  }) {
    const { settings, devices, send } = options
    this.#send = send
    this.#lanes = new LaneBatch({
      clock: () => performance.now(),
      report: (report) => send({ type: 'lanes', ...report }),
    })
    this.#detector = new Detector({
      policy: settings.policy,
      judgedElsewhere: (port) => settings.registrarPorts.includes(port),
      onVerdict: (verdict) => send({ type: 'verdict', verdict }),
      onSuccess: (source, until) => this.#succeeded(source, until),
      onLane: (evidence) => this.#lanes.add(evidence),
      lanes: witnessOptions(settings.lanes),
    })
    for (const { source, at, until } of settings.known) this.#detector.sources.known(source, at, until)
    this.#pipeline = new Pipeline({
      ports: { udp: new Set(settings.udpPorts), tcp: new Set(settings.tcpPorts) },
      isProtected: protectedAddresses(settings.destinations),
      countFlood: (address, time) => this.#detector.countFlood(address, time),
      onObservation: (observation) => this.#detector.observe(observation),
      onStray: (source, time) => this.#detector.stray(source, time),
    })
    this.#merge = devices.some(({ frames }) => frames !== 'all')
      ? new FrameMerge({ onFrame: (frame) => this.#pipeline.take(frame) })
      : undefined
    this.#captures = devices.map((device) => this.#watch(device, settings))
  }

  start(): void {
    for (const { capture } of this.#captures) capture.start()
    this.#timer ??= setInterval(() => this.#summarise(), SUMMARY_INTERVAL)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await Promise.all(this.#captures.map(({ capture }) => capture.stop()))
    this.#merge?.flush()
    this.#lanes.flush()
    this.#summarise()
  }

  explain(address: Address): SourceKnowledge | null {
    const record = this.#detector.sources.find(address)
    if (!record) return null
    return {
      source: record.source,
      firstSeen: record.firstSeen,
      lastSeen: record.lastSeen,
      registers: record.registers,
      challenges: record.challenges,
      successes: record.successes,
      failures: record.failures,
      registersInWindow: record.window.total(Date.now()),
      lastSuccess: record.lastSuccess,
      lastOwnNonce: record.lastOwnNonce,
      provenUntil: record.provenUntil,
      accounts: [...record.accounts],
      userAgents: [...record.userAgents],
    }
  }

  pardon(address: Address): void {
    this.#detector.pardon(address)
  }

  configureLanes(lanes: LaneSettings): void {
    this.#detector.lanes.configure(witnessOptions(lanes))
  }

  #watch({ name, frames }: WatchedDevice, { engine, udpPorts, tcpPorts }: SensorSettings): WatchedInterface {
    const watched: WatchedInterface = {
      name,
      lost: 0,
      capture: new LiveCapture({
        interface: name,
        engine,
        // Who the softswitch answers is believed of frames that leave: from outside anybody can forge its address.
        frames: frames === 'all' ? 'outside-in' : frames,
        ports: { udpPorts, tcpPorts },
        onFrame: (frame) => (this.#merge ?? this.#pipeline).take(frame),
        onStatistics: (statistics) => {
          watched.lost = statistics?.dropped ?? 0
        },
      }),
    }
    return watched
  }

  #succeeded(source: Prefix, until: EpochMilliseconds): void {
    this.#successes.set(source, { source, at: Date.now(), until })
    if (this.#successes.size >= MOST_SUCCESSES_WAITING) this.#tellSuccesses()
  }

  #tellSuccesses(): void {
    if (this.#successes.size === 0) return
    this.#send({ type: 'successes', successes: [...this.#successes.values()] })
    this.#successes.clear()
  }

  #summarise(): void {
    this.#tellSuccesses()
    const now = performance.now()
    const seconds = (now - this.#summarisedAt) / 1000
    this.#summarisedAt = now
    const after = {
      ...this.#detector.totals,
      frames: this.#pipeline.frames,
      unknownRegisters: this.#detector.lanes.unknownRegisters,
    }
    const before = this.#before
    this.#before = after
    this.#send({
      type: 'summary',
      summary: {
        time: Date.now(),
        seconds,
        frames: after.frames - before.frames,
        registers: after.registers - before.registers,
        sipMessages: after.sipMessages - before.sipMessages,
        challenges: after.challenges - before.challenges,
        successes: after.successes - before.successes,
        failures: after.failures - before.failures,
        malformed: after.malformed - before.malformed,
        unknownRegisters: after.unknownRegisters - before.unknownRegisters,
        framesLost: this.#captures.reduce((sum, { lost }) => sum + lost, 0),
        sourcesTracked: this.#detector.sources.size,
        sourcesLetGo: this.#detector.sources.letGo,
        captures: this.#captures.map(({ name, capture: { state } }) => ({
          name,
          state: state.state,
          engine: state.state === 'running' ? state.engine : '',
          detail: state.state === 'running' ? '' : state.detail,
        })),
      },
    })
  }
}

function witnessOptions({ unknownPerSecond, trusted }: LaneSettings): LaneWitnessOptions {
  return { unknownPerSecond, trusted: new PrefixSet(trusted) }
}
