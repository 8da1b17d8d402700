import type { ComparisonView } from '../../dashboard/api/comparison.ts'
import type { Prefix } from '../../registrar/net/address.ts'
import { sourcePrefixOf } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import { Spared, type SparedLists } from '../decide/spared.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { DetectionPolicy, Verdict } from '../detect/verdict.ts'
import type { History, HistoryExtent } from '../journal/history.ts'
import { HOUR, REGISTER_FLOOR, type RecordedExchange } from '../observe/recorded.ts'
import { comparePolicies } from './compare-policies.ts'
import { PolicyRun } from './policy-run.ts'
import { observationsOf, registersThatDecide } from './recorded-traffic.ts'

/** Guessing is added up over a day: so much before the time that counts is judged too, and not told. */
export const WARM_UP: Milliseconds = 24 * HOUR

/** What is live when the time that counts begins was renewed within these. */
const WARM_UP_IN_FULL: Milliseconds = 3 * HOUR

/** A record that is shorter than asked for by less than that is told by its span alone. */
const SHORT: Milliseconds = 120_000

/** What of a configuration decides about verdicts. Plain values: it goes to another process. */
export interface PolicyUnderTest {
  readonly name: string
  readonly policy: DetectionPolicy
  /** The allowlist (the operator's too), the softswitch's own addresses, the gateways. */
  readonly allow: readonly Prefix[]
  readonly protect: readonly Prefix[]
  readonly gateways: readonly Prefix[]
  /** Ports whose failures the registrar judges. */
  readonly registrarPorts: readonly number[]
}

export interface BacktestTask {
  readonly from: EpochMilliseconds
  readonly to: EpochMilliseconds
  readonly before: PolicyUnderTest
  readonly after: PolicyUnderTest
  /** What the one who asks knows that the record does not say, e.g. keys that are not judged here. */
  readonly notes: readonly string[]
}

/**
 * Judges the recorded traffic twice, with either policy, and compares what came of it. `isOver`: asked after each
 * minute of the record; when it says yes, what was judged until then is compared, and that is said.
 */
export function backtest(
  history: Pick<History, 'exchangesBetween' | 'registersBetween' | 'successesBefore' | 'extent'>,
  { from, to, before, after, notes }: BacktestTask,
  { isOver = () => false }: { readonly isOver?: () => boolean } = {},
): ComparisonView {
  const extent = history.extent({ from, to })
  const begin = Math.floor(Math.max(from - WARM_UP, extent.from ?? to) / HOUR) * HOUR
  const runs = [runOf(before, from), runOf(after, from)] as const
  const known = extent.from === null ? [] : history.successesBefore(begin)
  for (const { detector } of runs) {
    for (const { source, at, until } of known) {
      if (at >= begin - RETURNING_FOR) detector.sources.known(source, at, until)
    }
  }
  const mostRegisters = registersThatDecide([before.policy, after.policy])
  const isSettled = (source: Prefix, until: EpochMilliseconds) =>
    runs.every((run) => run.blocks(source, until))
  const forWarmUp = warmUpRows(from)
  let reached = to
  hours: for (let hour = begin; hour < to; hour += HOUR) {
    const recorded = {
      exchanges: forWarmUp(history.exchangesBetween(hour, hour + HOUR), hour),
      registers: history.registersBetween(hour, hour + HOUR),
    }
    for (const seen of observationsOf(hour, recorded, { mostRegisters, isSettled })) {
      for (const observation of seen) {
        if (observation.time > to) break
        for (const run of runs) {
          const isCounted =
            observation.kind === 'register' && run.countFlood(observation.source.address, observation.time)
          if (!isCounted) run.observe(observation)
        }
      }
      if (!isOver()) continue
      reached = seen.at(-1)?.time ?? hour
      break hours
    }
  }
  const [wasRun, becomesRun] = runs
  return comparePolicies(
    { name: before.name, run: wasRun },
    { name: after.name, run: becomesRun },
    {
      from: extent.from === null ? null : Math.max(from, extent.from),
      to: extent.from === null ? null : reached,
      notes: [...noteReach(extent, { from, to, reached }), ...notes, ...noteSums(extent, [before, after])],
    },
  )
}

/**
 * Of a phone that registers all day one success is enough before the last hours of the warm-up: it says that the
 * account is one, and where it is at home.
 */
function warmUpRows(from: EpochMilliseconds) {
  const seen = new Set<string>()
  return (rows: readonly RecordedExchange[], hour: EpochMilliseconds): readonly RecordedExchange[] => {
    if (hour >= from - WARM_UP_IN_FULL) return rows
    const failed = new Set(rows.filter(({ outcome }) => outcome !== 'success').map(whoseRow))
    return rows.filter((row) => {
      const whose = whoseRow(row)
      const isNew = !seen.has(whose)
      seen.add(whose)
      return isNew || failed.has(whose) || row.grantedExpires === 0
    })
  }
}

function whoseRow({ source, account }: RecordedExchange): string {
  return `${source.address} ${source.port} ${account}`
}

function runOf({ policy, registrarPorts, ...lists }: PolicyUnderTest, from: EpochMilliseconds): PolicyRun {
  return new PolicyRun({
    policy,
    from,
    judgedElsewhere: (port) => registrarPorts.includes(port),
    isSpared: sparedBy(lists),
  })
}

/** Whether a configuration's lists keep a verdict from its target. */
export function sparedBy(lists: SparedLists): (verdict: Verdict) => boolean {
  const spared = new Spared(lists, () => [])
  return (verdict) => spared.fromVerdict(targetOf(verdict), verdict.address) !== undefined
}

function targetOf({ port, address, prefix }: Verdict) {
  return port === null
    ? ({ kind: 'prefix', prefix: prefix ?? sourcePrefixOf(address) } as const)
    : ({ kind: 'source', address, port } as const)
}

function noteReach(
  { from: reaches, removedForRoom }: HistoryExtent,
  { from, to, reached }: Record<'from' | 'to' | 'reached', EpochMilliseconds>,
): readonly string[] {
  if (reaches === null)
    return ['nothing is recorded yet: the record begins when the daemon runs with history.days over 0']
  const missing = reaches - from
  const room = removedForRoom > 0 ? `; ${removedForRoom} older rows had to go for lack of room` : ''
  return [
    ...(missing > SHORT
      ? [
          `the record begins at ${new Date(reaches).toISOString()}: it reaches ${showDuration((to - reaches) / 1_000)} back, ${showDuration(missing / 1_000)} less than asked for${room}`,
        ]
      : []),
    ...(reached < to
      ? [
          `the record was too much for the time that there is: only what came before ${new Date(reached).toISOString()} was judged`,
        ]
      : []),
  ]
}

/** What no record of sums can tell. */
function noteSums(extent: HistoryExtent, sides: readonly PolicyUnderTest[]): readonly string[] {
  if (extent.from === null) return []
  const { registers, ofSources, sourcesLetGo, exchangesLetGo } = extent
  const others = registers - ofSources
  const tooLow = sides.some(
    ({ policy: { flood } }) => flood.registers * (60 / Math.min(60, flood.within)) < REGISTER_FLOOR,
  )
  return [
    'REGISTERs are recorded as sums of ten seconds, and failures and successes as sums of a minute or an hour, spread evenly here: what turns on the order of packets within them may differ',
    'what the sensor did not see (a sample under a flood, lost frames, ports that are blind) is not in the record: its counts are lower bounds',
    'what a source that was blocked or suspended would have done otherwise is not in the record',
    ...(others > 0
      ? [
          `${others} of ${registers} REGISTERs came from sources with fewer than ${REGISTER_FLOOR} a minute, or beyond the busiest of their minute: they have no rate of their own here, and a slow scan among them does not show`,
        ]
      : []),
    ...(tooLow
      ? [
          `policy.flood is lower than ${REGISTER_FLOOR} REGISTERs a minute, and such rates are not recorded: it cannot be judged`,
        ]
      : []),
    ...(sourcesLetGo > 0 ? [`${sourcesLetGo} times a busy source found no room in its minute`] : []),
    ...(exchangesLetGo > 0 ? [`${exchangesLetGo} exchanges found no room in the record`] : []),
  ]
}
