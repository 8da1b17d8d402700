import type { Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { RecordBatch, RecordedExchange, RegisterMinute } from '../observe/recorded.ts'

/**
 * The record of exchanges on disk: a database beside the journal, so that neither its growth nor its damage reaches
 * what the daemon decided. Every method is synchronous and throws a `JournalError` where the world is broken.
 */
export interface History {
  /** Adds a batch in one transaction, and lets the oldest rows go where there are too many. */
  write(batch: RecordBatch): void
  /** Rows whose slot is in `[from, to)`, by slot. */
  exchangesBetween(from: EpochMilliseconds, to: EpochMilliseconds): readonly RecordedExchange[]
  registersBetween(from: EpochMilliseconds, to: EpochMilliseconds): readonly RegisterMinute[]
  /** The last lasting success of each source before a moment. */
  successesBefore(before: EpochMilliseconds): readonly SourceSuccess[]
  /**
   * Registrations that last at a moment, and those that were taken back within the last day: at most so many, the last
   * of them, in the order in which they were last made.
   */
  registrationsAt(now: EpochMilliseconds, options: { readonly limit: number }): readonly RecordedExchange[]
  extent(range?: { readonly from: EpochMilliseconds; readonly to: EpochMilliseconds }): HistoryExtent
  /** Lets go what is older. */
  tidy(before: EpochMilliseconds): { readonly removed: number }
  close(): void
}

export interface SourceSuccess {
  readonly source: Prefix
  readonly at: EpochMilliseconds
  readonly until: EpochMilliseconds
}

/** How far the record reaches, and what is known to be missing in it. */
export interface HistoryExtent {
  /** When the first began that is still there, to the minute; null where nothing is recorded. */
  readonly from: EpochMilliseconds | null
  readonly to: EpochMilliseconds | null
  readonly exchangeRows: number
  /** Since it was begun: rows that had to go before their time. */
  readonly removedForRoom: number
  /** In the minutes asked about. */
  readonly minutes: number
  readonly registers: number
  readonly ofSources: number
  readonly sourcesLetGo: number
  readonly exchangesLetGo: number
}

export interface HistoryBounds {
  readonly exchanges: number
  readonly registers: number
  /** Of the database file. */
  readonly fileBytes: number
}

export const DEFAULT_HISTORY_BOUNDS: HistoryBounds = {
  exchanges: 1_500_000,
  registers: 500_000,
  fileBytes: 768 * 1024 * 1024,
}

export const DAY: Milliseconds = 86_400_000
