import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** What the softswitch did in one second, by its own answers. */
export interface AnsweredSecond {
  readonly time: EpochMilliseconds
  /** REGISTERs a second that it answered, to whomever. */
  readonly answered: number
  /** Of sources with a success alone, so that no flood can write these figures; null where none was due an answer. */
  readonly known: {
    readonly answered: number
    readonly silent: number
    readonly latencyP99: Milliseconds | null
  } | null
}

/** What is known of a softswitch's capacity, in REGISTERs a second. A plain value, kept over a restart. */
export interface CapacityState {
  /** The highest rate that it answered in time; 0 where none is known. */
  readonly highest: number
  readonly highestAt: EpochMilliseconds
  /** What it can do now, where it was seen to come to its end; null where it never was. */
  readonly limit: number | null
  readonly overloadedAt: EpochMilliseconds
  /** The last seconds in a row that were well, as rates; and how many were not. */
  readonly well: readonly number[]
  readonly ill: readonly number[]
  readonly at: EpochMilliseconds
}

/** `configured`: the file says so. `measured`: it was seen to come to its end. `at-least`: it never was. */
export interface Capacity {
  readonly perSecond: number | null
  readonly how: 'configured' | 'measured' | 'at-least' | 'unknown'
  /** In one sentence. */
  readonly why: string
}

/** After T1 a phone sends its REGISTER again (RFC 3261 section 17.1.2.1): whatever is later costs double. */
const LATEST: Milliseconds = 500
/** Of what was due an answer: what a network loses, and what only a softswitch at its end does. */
const SILENT_WELL = 0.01
const SILENT_ILL = 0.05
/** Fewer answers in a second say nothing of its end. */
const FEWEST_ANSWERS = 10
const SECONDS_WELL = 5
const SECONDS_ILL = 3
/** A second at its end takes so much of what was thought at most. One pause of the softswitch is not its end. */
const FALL = 0.9
/** Whatever ails it, it can still do this part of what it once did. */
const LEAST_PART = 0.1
/** It is believed to have recovered by one in a hundred a minute. */
const HEALS_A_SECOND = 1.01 ** (1 / 60)
/** What it did a month ago counts half: hosts and configurations change. */
const HALF_LIFE: Milliseconds = 30 * 86_400_000
/** An end that was seen so long ago is none that is known. */
const OVERLOAD_REMEMBERED: Milliseconds = 7 * 86_400_000

export const NO_CAPACITY: CapacityState = {
  highest: 0,
  highestAt: Number.NEGATIVE_INFINITY,
  limit: null,
  overloadedAt: Number.NEGATIVE_INFINITY,
  well: [],
  ill: [],
  at: Number.NEGATIVE_INFINITY,
}

/** What another second says of the capacity. */
export function nextCapacity(before: CapacityState, second: AnsweredSecond): CapacityState {
  const aged = age(before, second.time)
  switch (judge(second)) {
    case 'nothing':
      return { ...aged, well: [], ill: [] }
    case 'between':
      return { ...aged, well: [], ill: [] }
    case 'well': {
      const well = [...aged.well, second.answered].slice(-SECONDS_WELL)
      const rate = well.length === SECONDS_WELL ? mean(well) : 0
      const isHighest = rate > aged.highest
      const highest = Math.max(aged.highest, rate)
      const healed = aged.limit === null ? null : Math.min(highest, aged.limit * HEALS_A_SECOND)
      return {
        ...aged,
        well,
        ill: [],
        highest,
        highestAt: isHighest ? second.time : aged.highestAt,
        limit: healed === null || aged.limit === null ? null : Math.max(aged.limit, healed, rate),
      }
    }
    case 'ill': {
      const ill = [...aged.ill, second.answered].slice(-SECONDS_ILL)
      if (ill.length < SECONDS_ILL) return { ...aged, well: [], ill }
      const rate = mean(ill)
      const thought = aged.limit ?? Math.max(aged.highest, rate)
      const limit = Math.max(Math.min(thought, Math.max(rate, thought * FALL)), aged.highest * LEAST_PART)
      return { ...aged, well: [], ill, limit, overloadedAt: second.time }
    }
  }
}

/** What to believe now. */
export function capacityOf(
  state: CapacityState,
  configured: 'auto' | number,
  now: EpochMilliseconds,
): Capacity {
  if (configured !== 'auto')
    return { perSecond: configured, how: 'configured', why: 'The configuration says limits.capacity.' }
  const { limit, overloadedAt, highest } = state
  if (limit !== null && now - overloadedAt < OVERLOAD_REMEMBERED) {
    return {
      perSecond: Math.max(1, Math.round(limit)),
      how: 'measured',
      why: 'Beyond that its answers came late, or not at all.',
    }
  }
  if (highest < 1)
    return { perSecond: null, how: 'unknown', why: 'Too few REGISTERs were answered so far to tell.' }
  return {
    perSecond: Math.round(highest),
    how: 'at-least',
    why: 'It answered so many in time, and was never seen to come to its end.',
  }
}

/** What is kept over a restart, as text. */
export function capacityToJson({ highest, highestAt, limit, overloadedAt, at }: CapacityState): string {
  return JSON.stringify({ highest, highestAt, limit, overloadedAt, at })
}

/** What was kept; nothing known where it cannot be read. */
export function capacityFromJson(text: string | undefined): CapacityState {
  if (text === undefined) return NO_CAPACITY
  try {
    const { highest, highestAt, limit, overloadedAt, at } = JSON.parse(text) as Record<string, unknown>
    if (typeof highest !== 'number' || !(highest >= 0)) return NO_CAPACITY
    // What never was is null in JSON.
    const moment = (value: unknown) => (typeof value === 'number' ? value : Number.NEGATIVE_INFINITY)
    return {
      highest,
      highestAt: moment(highestAt),
      limit: typeof limit === 'number' && limit > 0 ? limit : null,
      overloadedAt: moment(overloadedAt),
      well: [],
      ill: [],
      at: moment(at),
    }
  } catch {
    return NO_CAPACITY
  }
}

function judge({ known }: AnsweredSecond): 'nothing' | 'well' | 'between' | 'ill' {
  if (known === null || known.answered + known.silent === 0) return 'nothing'
  const silent = known.silent / (known.answered + known.silent)
  const late = known.latencyP99 !== null && known.latencyP99 > LATEST
  if (!late && silent <= SILENT_WELL) return 'well'
  const isTelling = known.answered + known.silent >= FEWEST_ANSWERS
  return isTelling && (late || silent > SILENT_ILL) ? 'ill' : 'between'
}

function age(state: CapacityState, now: EpochMilliseconds): CapacityState {
  const passed = now - state.at
  if (!(passed > 0) || !Number.isFinite(passed)) return { ...state, at: now }
  const factor = 0.5 ** (passed / HALF_LIFE)
  const limit = state.limit === null ? null : state.limit * factor
  return { ...state, highest: state.highest * factor, limit, at: now }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
