import type { Prefix, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { ExchangeOutcome, Grade, LearntBinding, Transport } from './observation.ts'

/*
 * The record of exchanges: what is kept of traffic for days, so that another policy can be tried on it. It holds what
 * decides verdicts and nothing that an attacker can make grow without end.
 */

export const MINUTE: Milliseconds = 60_000
export const HOUR: Milliseconds = 3_600_000
/** A minute of REGISTERs is kept in slices of so long: ten seconds tell a burst from a steady phone. */
export const SLICE: Milliseconds = 10_000
export const SLICES = MINUTE / SLICE
/** A source with fewer REGISTERs a minute has no row of its own: no policy that makes sense blocks it for its rate. */
export const REGISTER_FLOOR = 20
/** The same for messages of a source that cannot be read. */
export const MALFORMED_FLOOR = 5

/** Exchanges of one account from one address and port that ended alike, put together. */
export interface RecordedExchange {
  /** Where the minute begins that is put together; for what repeats all day (successes, stale nonces) the hour. */
  readonly slot: EpochMilliseconds
  readonly first: EpochMilliseconds
  readonly last: EpochMilliseconds
  readonly count: number
  readonly source: Source
  readonly serverPort: number
  readonly transport: Transport
  /** Cut short, as every text here. */
  readonly account: string
  readonly outcome: ExchangeOutcome
  readonly status: number
  readonly grade: Grade
  readonly withCredentials: boolean
  readonly answersItsChallenge: boolean
  /** Of a failure, as `ExchangeEnded` has them; those that differ in them are rows of their own. */
  readonly nonceOfPort?: boolean
  readonly nonceIssued?: boolean
  readonly pathCertain?: boolean
  /** Of a success; 0 where it removed bindings. */
  readonly grantedExpires: Seconds
  /** What the last of them said. */
  readonly userAgent: string
  readonly bindings: readonly LearntBinding[]
}

/** A minute of REGISTERs of one source that sent many. */
export interface RegisterMinute {
  readonly minute: EpochMilliseconds
  readonly source: Prefix
  /** The port and transport that it used last. */
  readonly port: number
  readonly transport: Transport
  /** REGISTERs in each slice. */
  readonly slices: readonly number[]
  /** How many of them answered a challenge that was sent to the source. */
  readonly answering: number
  readonly challenges: number
  /** About how many accounts, and the first few of them. */
  readonly accounts: number
  readonly names: readonly string[]
  readonly userAgent: string
  /** Messages that could not be read. */
  readonly malformed: number
}

/** A minute of everybody. */
export interface MinuteTotals {
  readonly minute: EpochMilliseconds
  readonly registers: number
  /** Sources with a row of their own for this minute, and their REGISTERs. */
  readonly sources: number
  readonly ofSources: number
  /** Sources over the floor that found no room, and their REGISTERs as far as they were counted. */
  readonly sourcesLetGo: number
  readonly ofSourcesLetGo: number
  readonly challenges: number
  readonly successes: number
  readonly failures: number
  readonly overloads: number
  readonly silences: number
  readonly malformed: number
  /** Exchanges that found no room in the record. */
  readonly exchangesLetGo: number
}

/** What is told at once: a second of exchanges, and a minute of the rest when it is over. */
export interface RecordBatch {
  readonly exchanges: readonly RecordedExchange[]
  readonly registers: readonly RegisterMinute[]
  readonly totals: readonly MinuteTotals[]
}
