import { type Prefix, sourcePrefixOf, splitPrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import type { ExchangeEnded, MalformedSeen, Observation, RegisterSeen } from '../observe/observation.ts'
import {
  HOUR,
  MINUTE,
  type RecordedExchange,
  type RegisterMinute,
  SLICE,
  SLICES,
} from '../observe/recorded.ts'

/** A phone that registers every minute says no more in sixty successes than in the first and the last. */
const MOST_OF_A_STEADY_ROW = 2
/** Failures of one account from one port in one minute. */
const MOST_OF_A_ROW = 600
const MOST_CHALLENGES = 2 * SLICES
const MOST_MALFORMED = 600
const MOST_OF_A_SLICE = 20_000

export interface RecordedHour {
  readonly exchanges: readonly RecordedExchange[]
  readonly registers: readonly RegisterMinute[]
}

/**
 * So many REGISTERs of one slice are enough for the thresholds of every policy that is tried; more would only take
 * time. A window shorter than a slice has to be filled while the slice's REGISTERs are spread over all of it.
 */
export function registersThatDecide(policies: readonly DetectionPolicy[]): number {
  const most = Math.max(
    ...policies.map(({ flood }) => flood.registers * Math.max(1, SLICE / (flood.within * 1_000))),
  )
  return Math.min(MOST_OF_A_SLICE, Math.ceil(most * 1.2) + 10)
}

/**
 * Observations as the detector would have got them from the traffic that was summed up, in order: what was summed up
 * is spread evenly over its time. Slice by slice, so that what is blocked meanwhile can be left out.
 */
export function* observationsOf(
  hour: EpochMilliseconds,
  { exchanges, registers }: RecordedHour,
  {
    mostRegisters,
    isSettled = () => false,
  }: {
    readonly mostRegisters: number
    /** Whether every policy drops all that a source sends until then: its REGISTERs decide nothing more. */
    readonly isSettled?: (source: Prefix, until: EpochMilliseconds) => boolean
  },
): Generator<readonly Observation[]> {
  const counted = new Set(registers.map(({ minute, source }) => `${minute} ${source}`))
  const isCounted = ({ time, source }: ExchangeEnded) =>
    counted.has(`${Math.floor(time / MINUTE) * MINUTE} ${sourcePrefixOf(source.address)}`)
  const ended = exchanges.flatMap((row) => exchangesOf(row)).sort((a, b) => a.time - b.time)
  const byMinute = new Map<EpochMilliseconds, RegisterMinute[]>()
  for (const row of registers) byMinute.set(row.minute, [...(byMinute.get(row.minute) ?? []), row])
  let next = 0
  for (let start = hour; start < hour + HOUR; start += SLICE) {
    const seen: Observation[] = []
    const isLast = start + SLICE >= hour + HOUR
    while (next < ended.length && (isLast || ended[next]!.time < start + SLICE)) {
      const exchange = ended[next++]!
      // A source with few REGISTERs has none in the record but those of its exchanges. Those of a success say nothing
      // that the success does not say.
      const hasFailed = exchange.outcome === 'failure' || exchange.outcome === 'refused'
      if (hasFailed && !isCounted(exchange)) seen.push(registerOf(exchange))
      seen.push(exchange)
    }
    const minute = Math.floor(start / MINUTE) * MINUTE
    for (const row of byMinute.get(minute) ?? []) {
      if (isSettled(row.source, start + SLICE)) continue
      for (const observation of registersOf(row, (start - minute) / SLICE, mostRegisters))
        seen.push(observation)
    }
    if (seen.length > 0) yield seen.sort((a, b) => a.time - b.time)
  }
}

function exchangesOf(row: RecordedExchange): readonly ExchangeEnded[] {
  const { first, last, count, outcome, grantedExpires } = row
  const isSteady = outcome === 'success' || outcome === 'stale'
  const shown = Math.min(count, isSteady ? MOST_OF_A_STEADY_ROW : MOST_OF_A_ROW)
  const step: Milliseconds = shown > 1 ? (last - first) / (shown - 1) : 0
  // What is left out between two successes renewed the registration: it must not run out there.
  const lasts =
    shown < count && grantedExpires > 0 ? Math.max(grantedExpires, step / 1_000 + 1) : grantedExpires
  return Array.from({ length: shown }, (_, index) => ({
    kind: 'exchange',
    time: first + index * step,
    source: row.source,
    serverPort: row.serverPort,
    transport: row.transport,
    account: row.account,
    outcome,
    status: row.status,
    answeredIn: null,
    userAgent: row.userAgent,
    bindings: row.bindings,
    grade: row.grade,
    withCredentials: row.withCredentials,
    answersItsChallenge: row.answersItsChallenge,
    ...(row.nonceOfPort === undefined ? {} : { nonceOfPort: row.nonceOfPort }),
    ...(row.nonceIssued === undefined ? {} : { nonceIssued: row.nonceIssued }),
    ...(row.pathCertain === false ? { pathCertain: false } : {}),
    grantedExpires: lasts,
  }))
}

/** The REGISTER of an exchange, a moment before its answer. */
function registerOf(ended: ExchangeEnded): RegisterSeen {
  const { time, source, transport, account, userAgent, grade, answersItsChallenge } = ended
  const ownNonce = answersItsChallenge && grade !== 'packet'
  return {
    kind: 'register',
    time,
    source,
    transport,
    account,
    userAgent,
    answersOwnNonce: ownNonce,
    answersChallenge: answersItsChallenge,
    answersSentNonce: answersItsChallenge,
  }
}

/** One slice of a minute. */
function* registersOf(row: RegisterMinute, slice: number, most: number): Generator<Observation> {
  const { slices, answering, port, transport, names, userAgent } = row
  const source = { address: splitPrefix(row.source).address, port }
  const start = row.minute + slice * SLICE
  const all = slices.reduce((sum, some) => sum + some, 0)
  const accounts = Math.max(1, row.accounts)
  const registers = slices[slice] ?? 0
  // Those of the slices before, so that each slice goes on with other accounts.
  const before = slices.slice(0, slice).reduce((sum, some) => sum + some, 0)
  const answered = (index: number) => (all === 0 ? 0 : Math.floor((index * answering) / all))
  for (const [i, time] of spread(start, Math.min(registers, most)).entries()) {
    const answersChallenge = answered(before + i + 1) > answered(before + i)
    const which = (before + i) % accounts
    yield {
      kind: 'register',
      time,
      source,
      transport,
      // Of many accounts the record knows the first few by name.
      account: names[which] ?? `account ${which + 1} of the record`,
      userAgent,
      answersOwnNonce: false,
      answersChallenge,
      answersSentNonce: false,
    } satisfies RegisterSeen
  }
  for (const time of spread(start, ofSlice(Math.min(row.challenges, MOST_CHALLENGES), slice)))
    yield challengeOf(row, time)
  for (const time of spread(start, ofSlice(Math.min(row.malformed, MOST_MALFORMED), slice)))
    yield { kind: 'malformed', time, source, fault: 'bad-header', what: 'register' } satisfies MalformedSeen
}

/** What falls on one slice of something that is known of the minute alone. */
function ofSlice(amount: number, slice: number): number {
  return Math.floor(((slice + 1) * amount) / SLICES) - Math.floor((slice * amount) / SLICES)
}

function spread(start: EpochMilliseconds, amount: number): EpochMilliseconds[] {
  return Array.from({ length: amount }, (_, i) => start + (i * SLICE) / amount)
}

function challengeOf(
  { source, port, transport, names, userAgent }: RegisterMinute,
  time: number,
): ExchangeEnded {
  return {
    kind: 'exchange',
    time,
    source: { address: splitPrefix(source).address, port },
    serverPort: 0,
    transport,
    account: names[0] ?? '',
    outcome: 'challenge',
    status: 401,
    answeredIn: null,
    userAgent,
    bindings: [],
    grade: 'packet',
    withCredentials: false,
    answersItsChallenge: false,
    grantedExpires: 0,
  }
}
