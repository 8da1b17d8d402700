import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

const HOUR: Milliseconds = 3_600_000
const WEEK: Milliseconds = 168 * HOUR
/** So many weeks are kept: 840 rows. Two days of attack are one of five samples of their hours. */
const WEEKS = 5
export const BASELINE_AGE: Milliseconds = WEEKS * WEEK + HOUR
/** An hour of which fewer minutes were counted says nothing. */
const FEWEST_MINUTES = 20
/** With less than a day nothing is decided. */
export const HOURS_TO_LEARN = 24
/** From so many weeks on an hour of the week is compared with itself alone; before, with that hour of every day. */
const WEEKS_TO_TELL_DAYS = 3
/** The median absolute deviation of a normal distribution is so much smaller than its standard deviation. */
const SIGMA_A_MAD = 1.4826
/** So many standard deviations from the median are no chance. */
const SIGMAS = 6

/** What is compared with the same hour of other weeks. */
export interface Figures {
  /** REGISTERs a second. */
  readonly registers: number
  /** Successes a second; null where answers are not seen. */
  readonly successes: number | null
  /** Successes of REGISTERs; null too where too few REGISTERs came to say. */
  readonly share: number | null
  /** Addresses and ports that are registered. */
  readonly endpoints: number
  /** Sources a minute that were not known. */
  readonly newSources: number
}

export type FigureName = keyof Figures

/** The medians of the minutes of one hour. */
export interface BaselineHour extends Figures {
  /** When it began (UTC). */
  readonly hour: EpochMilliseconds
  readonly minutes: number
}

/** What a figure is usually, and from where on it is not usual any more. */
export interface Range {
  readonly usual: number
  readonly low: number
  readonly high: number
}

/** Null: it was never measured. */
export type Ranges = Readonly<Record<FigureName, Range | null>>

/** What is to be expected at a moment. */
export type Expected =
  | { readonly kind: 'learning'; readonly hours: number }
  | { readonly kind: 'learnt'; readonly hours: number; readonly ranges: Ranges }

/**
 * What is usual at this hour of the week, from the hours before it: median and median absolute deviation of the last
 * weeks' same hours, and of the hours before and after, whichever is wider, since habits do not begin on the minute.
 */
export function expectedAt(hours: readonly BaselineHour[], now: EpochMilliseconds): Expected {
  const present = Math.floor(now / HOUR) * HOUR
  const past = hours.filter(({ hour }) => hour < present && hour >= present - WEEKS * WEEK)
  if (past.length < HOURS_TO_LEARN) return { kind: 'learning', hours: past.length }
  const around = [0, -HOUR, HOUR].map((shift) => samplesOf(past, present + shift))
  const range = (figure: FigureName) => widest(around.flatMap((samples) => rangeAmong(samples, figure)))
  return { kind: 'learnt', hours: past.length, ranges: ofEach(range) }
}

/**
 * One hour from the figures of its minutes; undefined where too few were counted. Where something was expected, a
 * figure counts no further than the end of its range: what lasts is learnt in weeks, and nobody teaches in a day.
 */
export function summariseHour(
  hour: EpochMilliseconds,
  minutes: readonly Figures[],
  expected: Expected,
): BaselineHour | undefined {
  if (minutes.length < FEWEST_MINUTES) return undefined
  const middle = (figure: FigureName): number | null => {
    const known = measured(minutes, figure)
    const range = expected.kind === 'learnt' ? expected.ranges[figure] : null
    return known.length === 0 ? null : clipped(median(known), range)
  }
  return {
    hour,
    minutes: minutes.length,
    registers: middle('registers') ?? 0,
    successes: middle('successes'),
    share: middle('share'),
    endpoints: middle('endpoints') ?? 0,
    newSources: middle('newSources') ?? 0,
  }
}

/** The hour that a moment is in. */
export function hourOf(at: EpochMilliseconds): EpochMilliseconds {
  return Math.floor(at / HOUR) * HOUR
}

/** Without those that are too old to count. */
export function withHour(hours: readonly BaselineHour[], added: BaselineHour): readonly BaselineHour[] {
  return [...hours.filter(({ hour }) => hour > added.hour - BASELINE_AGE && hour !== added.hour), added]
}

/** Hours of the past that a moment is compared with: those of its hour of the week, and of its hour of any day. */
interface Samples {
  readonly ofWeek: readonly BaselineHour[]
  readonly ofDay: readonly BaselineHour[]
}

function samplesOf(past: readonly BaselineHour[], at: EpochMilliseconds): Samples {
  const every = (period: Milliseconds) => past.filter(({ hour }) => (at - hour) % period === 0)
  return { ofWeek: every(WEEK), ofDay: every(24 * HOUR) }
}

/**
 * Three weeks outvote one of them that was an attack. Before, any day's hour says what is too much; and what is too
 * little only where this very hour of the week was seen once, or the first weekend would be a fall.
 */
function rangeAmong({ ofWeek, ofDay }: Samples, figure: FigureName): readonly Range[] {
  const thisHour = measured(ofWeek, figure)
  if (thisHour.length >= WEEKS_TO_TELL_DAYS) return [RULES[figure](thisHour)]
  const anyDay = measured(ofDay, figure)
  if (anyDay.length === 0) return []
  const range = RULES[figure](anyDay)
  // A share does not depend on how many are there.
  if (figure === 'share') return [range]
  if (thisHour.length === 0) return [{ ...range, low: 0 }]
  const { usual, low } = RULES[figure](thisHour)
  return [{ usual: Math.min(usual, range.high), low: Math.min(low, range.low), high: range.high }]
}

/** From where on each figure is not usual. Small numbers double by chance, so each has a distance that it must cover. */
const RULES: Readonly<Record<FigureName, (values: readonly number[]) => Range>> = {
  registers: (values) => rangeOf(values, { times: 3, more: 5, part: 1 / 4, from: 0.2 }),
  successes: (values) => rangeOf(values, { times: 3, more: 5, part: 1 / 4, from: 0.2 }),
  share: (values) => ({ ...rangeOf(values, { times: 1, more: 1, part: 1 / 2, from: 0.05 }), high: 1 }),
  endpoints: (values) => rangeOf(values, { times: 2, more: 50, part: 4 / 5, from: 10 }),
  // Fewer strangers than usual are no news.
  newSources: (values) => ({ ...rangeOf(values, { times: 5, more: 100, part: 0, from: 0 }), low: 0 }),
}

/** `times` and `more`: a rise is beyond both; `part`: a fall is under it, of a median of at least `from`. */
function rangeOf(
  values: readonly number[],
  {
    times,
    more,
    part,
    from,
  }: { readonly times: number; readonly more: number; readonly part: number; readonly from: number },
): Range {
  const usual = median(values)
  const spread = SIGMAS * SIGMA_A_MAD * median(values.map((value) => Math.abs(value - usual)))
  return {
    usual,
    high: Math.max(usual * times, usual + more, usual + spread),
    low: usual >= from ? Math.max(0, Math.min(usual * part, usual - spread)) : 0,
  }
}

/** The first is that of the hour itself. */
function widest(each: readonly Range[]): Range | null {
  if (each.length === 0) return null
  return {
    usual: each[0]!.usual,
    low: Math.min(...each.map(({ low }) => low)),
    high: Math.max(...each.map(({ high }) => high)),
  }
}

function clipped(value: number, range: Range | null): number {
  return range ? Math.min(range.high, Math.max(range.low, value)) : value
}

function measured(figures: readonly Figures[], figure: FigureName): readonly number[] {
  return figures.flatMap((each) => each[figure] ?? [])
}

function ofEach<T>(value: (figure: FigureName) => T): Readonly<Record<FigureName, T>> {
  return {
    registers: value('registers'),
    successes: value('successes'),
    share: value('share'),
    endpoints: value('endpoints'),
    newSources: value('newSources'),
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return 0
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
