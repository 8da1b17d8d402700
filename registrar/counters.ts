import type { RequestOutcome } from './handle-register.ts'

/** What the registrar has done since its start. Plain numbers: the difference of two is what happened between. */
export interface RegistrarCounts {
  readonly datagrams: number
  readonly requests: number
  readonly registers: number
  readonly retransmissions: number
  readonly challenges: number
  readonly stale: number
  readonly successes: number
  readonly failures: number
  readonly suspended: number
  readonly lockedOut: number
  readonly refused: number
  readonly answered: number
  readonly ignored: number
  readonly keepalives: number
  readonly malformed: number
  /** Responses, and bytes that are no SIP. */
  readonly foreign: number
  readonly connections: number
  /** Connections closed because a bound was reached: too many, too slow, too much unread. */
  readonly connectionsClosed: number
  /** Answers that could not be sent. */
  readonly unsent: number
  /** Exceptions while a request was handled: bugs. */
  readonly faults: number
}

export type Counters = { -readonly [K in keyof RegistrarCounts]: number }

export function newCounters(): Counters {
  return {
    datagrams: 0,
    requests: 0,
    registers: 0,
    retransmissions: 0,
    challenges: 0,
    stale: 0,
    successes: 0,
    failures: 0,
    suspended: 0,
    lockedOut: 0,
    refused: 0,
    answered: 0,
    ignored: 0,
    keepalives: 0,
    malformed: 0,
    foreign: 0,
    connections: 0,
    connectionsClosed: 0,
    unsent: 0,
    faults: 0,
  }
}

/** Counts an outcome. */
export function noteOutcome(counts: Counters, outcome: RequestOutcome): void {
  switch (outcome.kind) {
    case 'challenge':
      counts.challenges++
      return
    case 'stale':
      counts.stale++
      return
    case 'success':
      counts.successes++
      return
    case 'failure':
      counts.failures++
      return
    case 'suspended':
      counts.suspended++
      return
    case 'locked-out':
      counts.lockedOut++
      return
    case 'refused':
      counts.refused++
      return
    case 'answered':
      counts.answered++
      return
    case 'ignored':
      counts.ignored++
      return
    default:
      outcome satisfies never
  }
}
