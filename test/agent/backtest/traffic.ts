import { Detector } from '../../../agent/detect/detector.ts'
import type { DetectionPolicy, Verdict } from '../../../agent/detect/verdict.ts'
import type { History, HistoryBounds } from '../../../agent/journal/history.ts'
import { openHistory } from '../../../agent/journal/open-history.ts'
import type { ExchangeEnded, Observation, RegisterSeen } from '../../../agent/observe/observation.ts'
import { TrafficRecord } from '../../../agent/sensor/traffic-record.ts'
import { type Address, parseAddress, type Source } from '../../../registrar/net/address.ts'
import { POLICY } from '../policy.ts'

/** The beginning of an hour. */
export const START = Date.UTC(2026, 0, 2, 3)

export function at(address: string, port = 5060): Source {
  return { address: parseAddress(address) as Address, port }
}

export function register(source: Source, time: number, rest: Partial<RegisterSeen> = {}): RegisterSeen {
  return {
    kind: 'register',
    time,
    source,
    transport: 'udp',
    account: '1001@example.com',
    userAgent: 'phone',
    answersOwnNonce: false,
    answersChallenge: false,
    answersSentNonce: false,
    ...rest,
  }
}

export function ended(source: Source, time: number, rest: Partial<ExchangeEnded> = {}): ExchangeEnded {
  return {
    kind: 'exchange',
    time,
    source,
    serverPort: 5060,
    transport: 'udp',
    account: '1001@example.com',
    outcome: 'challenge',
    status: 401,
    answeredIn: 1,
    userAgent: 'phone',
    bindings: [],
    grade: 'packet',
    withCredentials: false,
    answersItsChallenge: false,
    grantedExpires: 0,
    ...rest,
  }
}

/** Two REGISTERs with a challenge between them, and how the second one ended. */
export function turn(
  source: Source,
  time: number,
  outcome: 'success' | 'failure',
  rest: Partial<ExchangeEnded> = {},
): Observation[] {
  const { account = '1001@example.com', transport = 'udp' } = rest
  const answers = { answersOwnNonce: true, answersChallenge: true, answersSentNonce: true }
  return [
    register(source, time, { account, transport }),
    ended(source, time + 5, { account, transport }),
    register(source, time + 10, { account, transport, ...answers }),
    ended(source, time + 15, {
      outcome,
      status: outcome === 'success' ? 200 : 403,
      grade: outcome === 'success' ? 'account' : 'path',
      withCredentials: true,
      answersItsChallenge: true,
      nonceOfPort: true,
      nonceIssued: true,
      grantedExpires: outcome === 'success' ? 3600 : 0,
      ...rest,
    }),
  ]
}

/** The record that a sensor and a daemon make of traffic, and the verdicts of that time. */
export function recorded(
  traffic: readonly Observation[],
  options: { policy?: DetectionPolicy; file?: string; bounds?: HistoryBounds } = {},
): { history: History; verdicts: Verdict[]; rows: { exchanges: number; registers: number; totals: number } } {
  const { policy = POLICY, file = ':memory:', bounds } = options
  const verdicts: Verdict[] = []
  const detector = new Detector({ policy, onVerdict: (verdict) => verdicts.push(verdict) })
  const record = new TrafficRecord({ find: (address) => detector.sources.find(address) })
  const history = openHistory({ file, now: () => START, ...(bounds ? { bounds } : {}) })
  const rows = { exchanges: 0, registers: 0, totals: 0 }
  const tell = (now: number) => {
    const batch = record.take(now)
    if (!batch) return
    history.write(batch)
    rows.exchanges += batch.exchanges.length
    rows.registers += batch.registers.length
    rows.totals += batch.totals.length
  }
  let second = 0
  for (const observation of [...traffic].sort((a, b) => a.time - b.time)) {
    const { time } = observation
    if (Math.floor(time / 1000) > second) {
      second = Math.floor(time / 1000)
      tell(second * 1000)
    }
    if (observation.kind === 'register' && detector.countFlood(observation.source.address, time)) {
      record.counted(observation.source.address, time)
      continue
    }
    detector.observe(observation)
    record.observe(observation)
  }
  tell(Number.MAX_SAFE_INTEGER)
  return { history, verdicts, rows }
}
