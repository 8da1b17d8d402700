import { randomInt } from 'node:crypto'
import type { Address, Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import { Detector, type Totals } from '../detect/detector.ts'
import type { LaneWitnessOptions } from '../detect/lane-witness.ts'
import { PrefixSet } from '../detect/prefix-set.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import type { WatchedDevice } from '../discover/devices-to-watch.ts'
import { LogEvidence } from '../logs/log-evidence.ts'
import type { Observation, RegisterSeen, Sighting } from '../observe/observation.ts'
import { Sight } from '../observe/sight.ts'
import { AskedInVain } from './asked-in-vain.ts'
import { Captures } from './captures.ts'
import { LaneBatch } from './lane-batch.ts'
import { protectedAddresses } from './local-addresses.ts'
import type {
  FromSensor,
  KnownSuccess,
  LaneSettings,
  SensorSettings,
  SourceKnowledge,
  ToldBinding,
} from './messages.ts'
import { MOST_BINDINGS_TOLD } from './messages.ts'
import { ObservedFigures } from './observed-figures.ts'
import { OwnDrops } from './own-drops.ts'
import { Pipeline } from './pipeline.ts'
import { TrafficRecord } from './traffic-record.ts'

const SUMMARY_INTERVAL: Milliseconds = 1_000
/** Successes of so many sources wait for the next summary at most; more are told at once. */
const MOST_SUCCESSES_WAITING = 1_000
/** Endpoints at one address that are told of. */
const MOST_ENDPOINTS_TOLD = 20
/** Ports at one address that are told of as registered. */
const MOST_BOUND_TOLD = 200
/** Silence is said so long after the request, and some seconds more. */
const LONGEST_SILENCE: Milliseconds = 40_000
/** What was said of the rules' counters longer ago says nothing of now. */
const ARRIVALS_LAST: Milliseconds = 5_000

/** Captures on every interface, observes and detects; tells verdicts at once and everything else once a second. */
export class Sensor {
  readonly #send: (message: FromSensor) => void
  readonly #detector: Detector
  readonly #pipeline: Pipeline
  readonly #captures: Captures
  readonly #lanes: LaneBatch
  readonly #logs: LogEvidence
  readonly #ownDrops: OwnDrops
  readonly #asked = new AskedInVain()
  readonly #successes = new Map<Prefix, KnownSuccess>()
  readonly #record = new TrafficRecord({ find: (address) => this.#detector.sources.find(address) })
  readonly #figures: ObservedFigures
  /** The allowlist and the gateways, which need not register to be asked for their health. */
  #trusted: PrefixSet
  /** Packets a second that the rules counted. */
  #arrivals: { readonly perSecond: number; readonly at: number } | undefined
  #lostBefore = 0
  /** When frames may last have passed unseen, and when answers that came in were not shown. */
  #lostAt: EpochMilliseconds = 0
  #answersUnseenAt: EpochMilliseconds = 0
  #timer: NodeJS.Timeout | undefined
  #hasSaidFirst = false
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
    this.#trusted = new PrefixSet(settings.lanes.trusted)
    this.#ownDrops = new OwnDrops({ perSecond: settings.lanes.provenPerSecond })
    this.#lanes = new LaneBatch({
      clock: () => performance.now(),
      report: (report) => send({ type: 'lanes', ...report }),
    })
    this.#detector = new Detector({
      policy: settings.policy,
      judgedElsewhere: (port) => settings.registrarPorts.includes(port),
      onVerdict: (verdict) => {
        this.#ownDrops.judged(verdict)
        send({ type: 'verdict', verdict })
      },
      onSuccess: (source, until) => this.#succeeded(source, until),
      onLane: (evidence) => this.#lanes.add(evidence),
      lanes: witnessOptions(settings.lanes),
    })
    this.#figures = new ObservedFigures(this.#detector)
    for (const { source, at, until, accounts } of settings.known)
      this.#detector.sources.known(source, at, until, accounts)
    for (const { source, account, until } of settings.registered?.ports ?? [])
      this.#detector.bindings.restorePort(source, { account, until, now: Date.now() })
    this.#detector.bindings.restore(settings.registered?.registrations ?? [])
    this.#pipeline = new Pipeline({
      ports: { udp: new Set(settings.udpPorts), tcp: new Set(settings.tcpPorts) },
      isProtected: protectedAddresses(settings.destinations),
      isEndpoint: (source, at) =>
        this.#detector.bindings.isBoundAtAddress(source.address, at) || this.#trusted.holds(source.address),
      onAnswered: (source, at) => this.#detector.answered(source, at),
      sawAnswersSince: (time) => this.#lostAt < time && this.#answersUnseenAt < time,
      exchanges: {
        isBound: (source, at) => this.#detector.bindings.isBoundAt(source, at),
        sawAllSince: (time) => this.#lostAt < time,
        sight: watchedSight(settings),
      },
      ...(devices.length > 1 ? { duplicatesSeed: randomInt(2 ** 31) } : {}),
      countFlood: (address, time) => {
        const isCounted = this.#detector.countFlood(address, time)
        if (isCounted) this.#record.counted(address, time)
        return isCounted
      },
      onObservation: (observation, sighting) => {
        if (this.#mayBeOwnDrop(observation, sighting)) return
        this.#detector.observe(observation, sighting)
        // What is logged is counted by the sample, but for what became of it.
        if (sighting === 'logged' && observation.kind !== 'exchange') return
        this.#record.observe(observation)
        this.#figures.observe(observation)
      },
      onStray: (source, time) => this.#detector.stray(source, time),
    })
    this.#pipeline.exchanges.nonces.sharing.restore(settings.nonces ?? [], Date.now())
    this.#captures = new Captures({
      settings,
      devices,
      onFrame: (frame) => this.#pipeline.take(frame),
      onGap: () => {
        this.#lostAt = Date.now()
        this.#sayFirst()
      },
    })
    this.#logs = new LogEvidence({
      paths: settings.logs,
      clock: () => Date.now(),
      isProtectedPort: (port, transport) =>
        (transport === 'udp' ? settings.udpPorts : settings.tcpPorts).includes(port),
      // What the sensor sees it counts itself.
      isSeen: (port, transport) => this.#pipeline.exchanges.sight.seesAnswers(port, transport),
      isProtected: protectedAddresses(settings.destinations),
      registerRetry: settings.policy.registerRetry,
      onObservation: (observation) => {
        this.#detector.observe(observation)
        this.#record.observe(observation)
      },
      onVerdict: (verdict) => send({ type: 'verdict', verdict }),
    })
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#summarise(), SUMMARY_INTERVAL)
    this.#captures.start()
    void this.#logs.start()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
    await Promise.all([this.#captures.finish(), this.#logs.stop()])
    this.#lanes.flush()
    this.#summarise()
    // The minute that runs is told as it is.
    this.#tellRecord(Number.MAX_SAFE_INTEGER)
  }

  explain(address: Address): SourceKnowledge | null {
    const record = this.#detector.sources.find(address)
    if (!record) return null
    const behind = this.#detector.behind(record, Date.now())
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
      accounts: record.accounts,
      userAgents: record.userAgents,
      aggregator: behind.aggregator,
      accountsBehind: behind.accounts,
      exchanges: this.#record.last.of(address),
      exchangesLetGo: this.#record.last.letGo,
      bound: this.#detector.bindings.boundIn(record.source, { now: Date.now(), limit: MOST_BOUND_TOLD }),
      endpoints: this.#pipeline.onlineCheck.at(address, Date.now(), { limit: MOST_ENDPOINTS_TOLD }),
    }
  }

  pardon(address: Address): void {
    this.#detector.pardon(address)
  }

  configureLanes(lanes: LaneSettings): void {
    this.#trusted = new PrefixSet(lanes.trusted)
    this.#ownDrops.configure({ perSecond: lanes.provenPerSecond })
    this.#detector.lanes.configure(witnessOptions(lanes))
  }

  configurePolicy(policy: DetectionPolicy): void {
    this.#detector.configure(policy)
  }

  /** What the rules counted, whoever saw it. */
  arrivals(perSecond: number): void {
    this.#arrivals = { perSecond, at: performance.now() }
  }

  /** Who is registered with the softswitch, as its answers told. */
  bindings(): readonly ToldBinding[] {
    const now = Date.now()
    const { onlineCheck } = this.#pipeline
    return this.#detector.bindings.list(now, { limit: MOST_BINDINGS_TOLD }).map((binding) => ({
      ...binding,
      online: (binding.source && onlineCheck.of(binding.source, now)?.state) ?? 'unasked',
    }))
  }

  /** A silence that our own rules may have made says nothing of the softswitch. */
  #mayBeOwnDrop(observation: Observation, sighting: Sighting): boolean {
    if (observation.kind !== 'register' && observation.kind !== 'exchange') return false
    const { source, time, transport } = observation
    if (observation.kind === 'register' && transport !== 'udp') {
      if (this.#detector.bindings.isBoundAt(source, time)) this.#waits(observation)
    }
    if (transport !== 'udp') return false
    if (observation.kind === 'exchange')
      return (
        observation.outcome === 'silence' && this.#ownDrops.mayHaveDropped(source, time - LONGEST_SILENCE)
      )
    // Who has no bucket of his own is owed no answer either.
    if (!this.#detector.bindings.isBoundAt(source, time)) return false
    this.#ownDrops.register(source, time, () => this.#isAggregator(source.address, time))
    // Of the sample nobody knows what the rules let through.
    const isServed = sighting !== 'sampled' && !this.#ownDrops.mayHaveDropped(source, time - LONGEST_SILENCE)
    if (isServed) this.#waits(observation)
    return false
  }

  #waits({ source, time, answersUnseen }: RegisterSeen): void {
    if (!answersUnseen) this.#asked.asked(source, time, this.#pipeline.exchanges.sight.answeredAt)
  }

  #isAggregator(address: Address, now: EpochMilliseconds): boolean {
    const record = this.#detector.sources.find(address)
    return record !== undefined && this.#detector.behind(record, now).aggregator
  }

  /** How many arrivals each packet of the sample stands for, and whether it is quiet again. */
  #weighSample(seconds: Seconds): void {
    const samples = this.#captures.takeSamples()
    const told = this.#arrivals
    const arrivals = told && performance.now() - told.at < ARRIVALS_LAST ? told.perSecond : undefined
    const isLoud = this.#captures.sampling.state === 'loud'
    const standsFor = arrivals === undefined || samples === 0 ? 1 : (arrivals * seconds) / samples
    this.#detector.lanes.sampleOf(isLoud ? standsFor : 1)
    this.#captures.second({ seconds, samples, arrivals })
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

  /** That it sees everything is said as soon as it does, for whoever waits for that. */
  #sayFirst(): void {
    if (this.#hasSaidFirst || !this.#timer) return
    if (!this.#captures.summaries.every(({ state }) => state === 'running')) return
    this.#hasSaidFirst = true
    this.#summarise()
  }

  #tellRecord(now: EpochMilliseconds): void {
    const batch = this.#record.take(now)
    if (batch) this.#send({ type: 'record', batch })
  }

  #summarise(): void {
    this.#tellSuccesses()
    this.#tellRecord(Date.now())
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
    const { sampling, lost: framesLost, seesIncomingAnswers } = this.#captures
    if (!seesIncomingAnswers) this.#answersUnseenAt = Date.now()
    const lostNow = framesLost > this.#lostBefore
    this.#lostBefore = framesLost
    this.#weighSample(seconds)
    const isWhole = this.#captures.summaries.every(({ state }) => state === 'running')
    const silence = this.#asked.take({
      answeredAt: this.#pipeline.exchanges.sight.answeredAt,
      wasAllSeen: isWhole && !lostNow && this.#lostAt < Date.now() - seconds * 1_000,
    })
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
        framesLost,
        sampling,
        lowerBounds: sampling.state === 'loud' || lostNow,
        silence,
        sourcesTracked: this.#detector.sources.size,
        sourcesLetGo: this.#detector.sources.letGo,
        logs: this.#logs.status(),
        ...this.#figures.take({ pipeline: this.#pipeline, bindings: this.#detector.bindings }),
        captures: this.#captures.summaries,
        onlineCheck: {
          state: seesIncomingAnswers ? 'seen' : 'unseen',
          ...this.#pipeline.onlineCheck.count(Date.now()),
        },
      },
    })
  }
}

/** Only the protected ports are of interest, whatever else fragments bring along. */
function watchedSight({ udpPorts, tcpPorts }: SensorSettings): Sight {
  return new Sight({ watched: { udp: udpPorts, tcp: tcpPorts }, now: Date.now() })
}

function witnessOptions({ unknownPerSecond, trusted }: LaneSettings): LaneWitnessOptions {
  return { unknownPerSecond, trusted: new PrefixSet(trusted) }
}
