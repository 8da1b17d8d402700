import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Expected, FigureName, Figures, Range } from './baseline.ts'

/** A figure that left what is usual at this hour. A plain value. */
export interface Anomaly {
  readonly figure: FigureName
  readonly direction: 'rise' | 'fall'
  readonly since: EpochMilliseconds
  /** Of the last minute; and the furthest that it went. */
  readonly value: number
  readonly furthest: number
  /** What was usual, and the end of what was, when it began. */
  readonly usual: number
  readonly bound: number
}

export interface AnomalyWatch {
  readonly standing: readonly Anomaly[]
  /** Minutes in a row outside, of figures that are not standing yet; and back inside, of those that are. */
  readonly counting: Readonly<Record<string, number>>
}

export interface AnomalyStep {
  readonly watch: AnomalyWatch
  readonly began: readonly Anomaly[]
  readonly ended: readonly Anomaly[]
}

/** One minute can be chance. */
const MINUTES_TO_BEGIN = 3
const MINUTES_TO_END = 5
/** Back inside is a fifth further in than outside began. */
const BACK = 0.2

export const NO_ANOMALIES: AnomalyWatch = { standing: [], counting: {} }

const WATCHED: readonly { readonly figure: FigureName; readonly direction: Anomaly['direction'] }[] = [
  { figure: 'registers', direction: 'rise' },
  { figure: 'registers', direction: 'fall' },
  { figure: 'successes', direction: 'fall' },
  { figure: 'share', direction: 'fall' },
  { figure: 'endpoints', direction: 'rise' },
  { figure: 'endpoints', direction: 'fall' },
  { figure: 'newSources', direction: 'rise' },
]

/** What another minute makes of the anomalies that stand. While nothing is learnt, nothing is one. */
export function nextAnomalies(
  before: AnomalyWatch,
  {
    minute,
    expected,
    now,
  }: { readonly minute: Figures; readonly expected: Expected; readonly now: EpochMilliseconds },
): AnomalyStep {
  if (expected.kind === 'learning') {
    return { watch: NO_ANOMALIES, began: [], ended: before.standing }
  }
  const began: Anomaly[] = []
  const ended: Anomaly[] = []
  const standing: Anomaly[] = []
  const counting: Record<string, number> = {}
  for (const { figure, direction } of WATCHED) {
    const key = `${figure} ${direction}`
    const range = expected.ranges[figure]
    const value = minute[figure]
    const stood = before.standing.find((each) => each.figure === figure && each.direction === direction)
    // What could not be measured in this minute changes nothing.
    if (range === null || value === null) {
      if (stood) standing.push(stood)
      const count = before.counting[key]
      if (count !== undefined) counting[key] = count
      continue
    }
    const count = (before.counting[key] ?? 0) + 1
    if (stood) {
      const now = { ...stood, value, furthest: further(stood, value) }
      if (!isBack(now, range)) standing.push(now)
      else if (count < MINUTES_TO_END) {
        standing.push(now)
        counting[key] = count
      } else ended.push(now)
    } else if (isOutside(direction, value, range)) {
      if (count < MINUTES_TO_BEGIN) counting[key] = count
      else {
        const bound = direction === 'rise' ? range.high : range.low
        const anomaly = { figure, direction, since: now, value, furthest: value, usual: range.usual, bound }
        began.push(anomaly)
        standing.push(anomaly)
      }
    }
  }
  return { watch: { standing, counting }, began, ended }
}

function isOutside(direction: Anomaly['direction'], value: number, { low, high }: Range): boolean {
  return direction === 'rise' ? value > high : value < low
}

/** A fall in a range that says nothing of falls any more is over. */
function isBack({ direction, value }: Anomaly, { low, high, usual }: Range): boolean {
  return direction === 'rise'
    ? value <= Math.max(usual, high * (1 - BACK))
    : value >= Math.min(usual, low * (1 + BACK))
}

function further({ direction, furthest }: Anomaly, value: number): number {
  return direction === 'rise' ? Math.max(furthest, value) : Math.min(furthest, value)
}

const NAMES: Readonly<Record<FigureName, (value: number) => string>> = {
  registers: (value) => `${shown(value)} REGISTERs a second`,
  successes: (value) => `${shown(value)} successful registrations a second`,
  share: (value) => `${Math.round(value * 100)} % of REGISTERs successful`,
  endpoints: (value) => `${shown(value)} registered endpoints`,
  newSources: (value) => `${shown(value)} new sources a minute`,
}

/** An anomaly in one sentence. */
export function sayAnomaly({ figure, direction, value, usual, bound }: Anomaly): string {
  const end = direction === 'rise' ? 'up to' : 'down to'
  const limit = figure === 'share' ? `${Math.round(bound * 100)} %` : shown(bound)
  return `${NAMES[figure](value)}; usual at this hour: ${figure === 'share' ? `${Math.round(usual * 100)} %` : shown(usual)}, ${end} ${limit}.`
}

function shown(value: number): string {
  const digits = value < 10 ? 1 : 0
  return value.toLocaleString('en-US', { maximumFractionDigits: digits })
}
