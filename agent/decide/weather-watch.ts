import type { Address } from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Config } from '../config/config.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import type { WeatherEntry } from '../journal/entries.ts'
import type { Journal } from '../journal/journal.ts'
import type { AttackState } from './attack.ts'
import {
  BASELINE_AGE,
  type BaselineHour,
  type Expected,
  expectedAt,
  hourOf,
  summariseHour,
  withHour,
} from './baseline.ts'
import {
  type Anomaly,
  type AnomalyWatch,
  NO_ANOMALIES,
  nextAnomalies,
  sayAnomaly,
} from './baseline-anomalies.ts'
import {
  type Capacity,
  type CapacityState,
  capacityFromJson,
  capacityOf,
  capacityToJson,
  NO_CAPACITY,
  nextCapacity,
} from './capacity.ts'
import { leftForUnknown, type Meter, nextMeter } from './capacity-meter.ts'
import type { LaneCounts } from './lanes.ts'
import { type Silence, sayOutage } from './outage.ts'
import { StormAccounts } from './storm-accounts.ts'
import {
  figuresSince,
  nextWeather,
  peacefulSince,
  RETURN_WINDOW,
  type WeatherName,
  type WeatherState,
} from './weather.ts'
import { type Minute, MinuteGauge } from './weather-minute.ts'
import { WeatherPeaks } from './weather-peaks.ts'
import { policyUnder } from './weather-policy.ts'

const CAPACITY = 'capacity'
const TICK: Milliseconds = 1_000
/** After so long without a summary, the state is asked without one. */
const SILENT_SENSOR: Milliseconds = 3_000
const CHANGES_SHOWN = 10
/** What the kernel counted longer ago is none of now: its counters may be slow to read under a flood. */
const ARRIVALS_LAST: Milliseconds = 5_000

/** One summary of the sensor, as far as it tells of the weather. */
export interface WatchedSecond {
  readonly time: EpochMilliseconds
  readonly seconds: Seconds
  readonly registers: number
  readonly unknownRegisters: number
  /** REGISTERs that were answered, in whatever way. */
  readonly answered: number
  readonly successes: number
  /** Sources that were ever seen, since the sensor's start. */
  readonly sources: number
  /** Those to ports whose answers are seen. */
  readonly sightedRegisters: number
  /** Whether every interface is captured on. */
  readonly whole: boolean
  /** Not all that came was seen: REGISTERs are so many or more. */
  readonly lowerBounds: boolean
  /** Whether registered phones wait for any answer at all. */
  readonly silence: Silence
  /** Answers to sources with a success, and those that never came; null where none was due. */
  readonly known: {
    readonly answered: number
    readonly silent: number
    readonly latencyP99: Milliseconds | null
  } | null
}

export interface WeatherWatchOptions {
  readonly config: () => Config
  readonly journal: Journal
  readonly clock: Clock
  readonly lanes: () => Pick<LaneCounts, 'proven' | 'returning'>
  /** Which limits decide about unknown sources, and whether somebody ordered it. */
  readonly strict: () => Pick<AttackState, 'state'> & { readonly order: 'auto' | 'on' | 'off' }
  /** The operator's own block drops whatever comes from there, so that nobody owes it an answer. */
  readonly isBlocked: (address: Address) => boolean
  readonly onState: (state: WeatherState, before: WeatherName) => void
  readonly onAnomaly: (anomaly: Anomaly, what: 'began' | 'ended', sentence: string) => void
  /** What is left for unknown sources has changed. */
  readonly onMeter: () => void
  /** Runs what is only remembered, and may fail without harm. */
  readonly keep: (write: () => void) => void
}

/** How things stand, as they are known. */
export interface WeatherFacts {
  readonly weather: WeatherState
  /** What is usual at this hour of the week. */
  readonly expected: Expected
  readonly capacity: Capacity
  /** REGISTERs a second that the known phones leave of the capacity. */
  readonly leftForUnknown: number
  readonly anomalies: readonly Anomaly[]
  /** What holds now, under attack the tighter one. */
  readonly policy: DetectionPolicy
  /** The last changes of state, newest first. */
  readonly changes: readonly WeatherEntry[]
}

/** Keeps the baseline, the capacity, the anomalies and the state, second by second. */
export class WeatherWatch {
  readonly #o: WeatherWatchOptions
  readonly #returned = new StormAccounts(RETURN_WINDOW)
  readonly #gauge = new MinuteGauge()
  readonly #peaks = new WeatherPeaks((entry) => this.#amend(entry))
  #weather: WeatherState
  #hours: readonly BaselineHour[] = []
  #expected: Expected = { kind: 'learning', hours: 0 }
  /** The minutes of the present hour that count. */
  #minutes: Minute[] = []
  #hour: EpochMilliseconds = Number.NaN
  #anomalies: AnomalyWatch = NO_ANOMALIES
  #capacity: CapacityState = NO_CAPACITY
  #meter: Meter
  #changes: readonly WeatherEntry[] = []
  #sources: number | undefined
  #arrivals: { readonly perSecond: number; readonly at: EpochMilliseconds } | undefined
  #heardAt: EpochMilliseconds
  #tick: NodeJS.Timeout | undefined

  constructor(options: WeatherWatchOptions) {
    this.#o = options
    const now = options.clock()
    this.#weather = peacefulSince(now)
    this.#heardAt = now
    this.#meter = { perSecond: options.config().limits.total.perSecond, changedAt: Number.NEGATIVE_INFINITY }
  }

  /** Reads what was learnt before. */
  start(): void {
    const { journal, clock, keep } = this.#o
    const now = clock()
    keep(() => {
      this.#hours = journal.baseline(now - BASELINE_AGE)
      this.#capacity = capacityFromJson(journal.setting(CAPACITY))
      this.#changes = journal.listWeather({ limit: CHANGES_SHOWN })
    })
    this.#expected = expectedAt(this.#hours, now)
    this.#tick = setInterval(() => this.#second(), TICK)
  }

  close(): void {
    clearInterval(this.#tick)
    this.#peaks.close()
    this.#keepCapacity()
  }

  /** An account registered from a source that had an earlier success. */
  returned(account: string): void {
    this.#returned.registered(account, this.#o.clock())
  }

  /** Packets a second to SIP ports over UDP, as the kernel counted them lately. */
  arrived(perSecond: number): void {
    this.#arrivals = { perSecond, at: this.#o.clock() }
  }

  summarised(second: WatchedSecond): void {
    const { lanes, strict, config } = this.#o
    const { time } = second
    this.#heardAt = time
    const { proven, returning } = lanes()
    const known = Math.max(proven, returning, this.#usualEndpoints())
    const arrivals = this.#arrivalsAt(time)
    const silence = this.#owed(second.silence)
    this.#step({
      now: time,
      second: { ...second, returned: this.#returned.count(time), phones: known, silence, arrivals },
    })
    const registers = second.registers / Math.max(second.seconds, 0.001)
    this.#peaks.second({ time, registers, atLeast: second.lowerBounds, arrivals })
    const { order, state } = strict()
    const isAttacked = state === 'strict' && order === 'auto' && config().limits.strict.when === 'auto'
    const minute = this.#gauge.take({
      ...second,
      endpoints: proven,
      newSources: this.#newSources(second.sources),
      // What was not seen whole is no measure of what is usual.
      unusual: this.#weather.state !== 'peace' || isAttacked || second.lowerBounds,
    })
    if (minute) this.#minute(minute)
    this.#weigh(second)
  }

  /** Which limits decide has changed: it is remembered beside the other changes. */
  recordStrict({ since, state, why, overSince }: AttackState): void {
    const total = this.#o.config().limits.total.perSecond
    const figures = figuresSince(this.#weather, overSince, { expected: this.#expected, total })
    this.#record({ time: since, what: 'strict', state, why, figures: rounded({ ...figures }) })
  }

  get state(): WeatherName {
    return this.#weather.state
  }

  /** The policy that holds now. */
  get policy(): DetectionPolicy {
    return policyUnder(this.#weather.state, this.#o.config().policy)
  }

  /** REGISTERs a second that the known phones leave of the capacity. */
  get leftForUnknown(): number {
    return this.#meter.perSecond
  }

  facts(): WeatherFacts {
    const { clock, config } = this.#o
    return {
      weather: this.#weather,
      expected: this.#expected,
      capacity: capacityOf(this.#capacity, config().limits.capacity, clock()),
      leftForUnknown: this.#meter.perSecond,
      anomalies: this.#anomalies.standing,
      policy: this.policy,
      changes: this.#changes,
    }
  }

  #second(): void {
    const now = this.#o.clock()
    if (now - this.#heardAt >= SILENT_SENSOR) this.#step({ now })
  }

  #step(seen: Parameters<typeof nextWeather>[2]): void {
    const before = this.#weather
    const total = this.#o.config().limits.total.perSecond
    this.#weather = nextWeather(before, { expected: this.#expected, total }, seen)
    this.#recordOutage(before.outage, seen.now)
    if (this.#weather.state === before.state) return
    const { since, state, why, figures } = this.#weather
    this.#record({ time: since, what: 'weather', state, why, figures: rounded({ ...figures }) })
    this.#o.onState(this.#weather, before.state)
  }

  /** Phones that the operator has blocked are answered by nobody. */
  #owed(silence: Silence): Silence {
    const { asked } = silence
    const isNobody = asked?.addresses.every((address) => this.#o.isBlocked(address))
    return isNobody ? { ...silence, asked: null } : silence
  }

  #arrivalsAt(now: EpochMilliseconds): number | null {
    const told = this.#arrivals
    return told && now - told.at < ARRIVALS_LAST ? told.perSecond : null
  }

  #recordOutage(before: WeatherState['outage'], now: EpochMilliseconds): void {
    const { outage } = this.#weather
    const which = outage ?? before
    if (!which || (outage === null) === (before === null)) return
    const { since, phones } = which
    const seconds = (now - since) / 1_000
    const figures = rounded({ phones, seconds })
    const what = 'outage'
    if (outage) this.#record({ time: now, what, state: 'began', why: sayOutage(outage, now), figures })
    else {
      const why = `The softswitch answers again, after ${Math.round(seconds).toLocaleString('en-US')} s.`
      this.#record({ time: now, what, state: 'ended', why, figures })
    }
  }

  #minute(minute: Minute): void {
    const hour = hourOf(minute.time)
    if (hour !== this.#hour) {
      this.#endHour()
      this.#hour = hour
      this.#expected = expectedAt(this.#hours, hour)
    }
    // What an attack does to the figures is not learnt.
    if (!minute.unusual) this.#minutes.push(minute)
    const step = nextAnomalies(this.#anomalies, { minute, expected: this.#expected, now: minute.time })
    this.#anomalies = step.watch
    for (const anomaly of step.began) this.#say(anomaly, 'began', minute.time)
    for (const anomaly of step.ended) this.#say(anomaly, 'ended', minute.time)
  }

  #say(anomaly: Anomaly, what: 'began' | 'ended', time: EpochMilliseconds): void {
    const sentence = sayAnomaly(anomaly)
    const { figure, direction, value, furthest, usual, bound } = anomaly
    const figures = rounded({ figure, direction, value, furthest, usual, bound })
    this.#record({ time, what: 'anomaly', state: what, why: sentence, figures })
    this.#o.onAnomaly(anomaly, what, sentence)
  }

  #endHour(): void {
    const minutes = this.#minutes
    this.#minutes = []
    this.#keepCapacity()
    if (Number.isNaN(this.#hour)) return
    const ended = summariseHour(this.#hour, minutes, expectedAt(this.#hours, this.#hour))
    if (!ended) return
    this.#hours = withHour(this.#hours, ended)
    this.#o.keep(() => this.#o.journal.recordBaseline(ended))
  }

  #weigh(second: WatchedSecond): void {
    const { config, clock, strict, onMeter } = this.#o
    const { limits } = config()
    this.#capacity = nextCapacity(this.#capacity, {
      time: second.time,
      answered: second.answered / Math.max(second.seconds, 0.001),
      known: second.known,
    })
    const now = clock()
    // A challenge and a success for each registration.
    const honest = this.#weather.figures.successes * 2
    const usual = limits.total.perSecond
    const wanted = leftForUnknown(capacityOf(this.#capacity, limits.capacity, now), { honest, usual })
    const underAttack = this.#weather.state === 'attack' || strict().state === 'strict'
    const before = this.#meter
    this.#meter = nextMeter(before, { wanted, now, underAttack })
    if (this.#meter !== before && (limits.follow.total || limits.follow.strict)) onMeter()
  }

  #usualEndpoints(): number {
    return this.#expected.kind === 'learnt' ? (this.#expected.ranges.endpoints?.usual ?? 0) : 0
  }

  /** The sensor counts anew when it starts anew. */
  #newSources(sources: number): number {
    const before = this.#sources
    this.#sources = sources
    return before === undefined ? 0 : Math.max(0, sources - before)
  }

  #record(entry: WeatherEntry): void {
    // Before it is listed: it ends the one before.
    if (entry.what === 'weather' || entry.what === 'strict') this.#peaks.began(entry)
    this.#changes = [entry, ...this.#changes].slice(0, CHANGES_SHOWN)
    this.#o.keep(() => this.#o.journal.recordWeather(entry))
  }

  #amend(entry: WeatherEntry): void {
    this.#changes = this.#changes.map((known) => (isSame(known, entry) ? entry : known))
    this.#o.keep(() => this.#o.journal.amendWeather(entry))
  }

  #keepCapacity(): void {
    if (this.#capacity === NO_CAPACITY) return
    this.#o.keep(() => this.#o.journal.putSetting(CAPACITY, capacityToJson(this.#capacity)))
  }
}

function isSame(a: WeatherEntry, b: WeatherEntry): boolean {
  return a.time === b.time && a.what === b.what && a.state === b.state
}

function rounded(figures: WeatherEntry['figures']): WeatherEntry['figures'] {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [
      name,
      typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value,
    ]),
  )
}
