import type { Clock, EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { RecordBatch, RecordedExchange } from '../observe/recorded.ts'
import { DAY, type History, type HistoryBounds } from './history.ts'
import { JournalError } from './journal.ts'
import { openHistory } from './open-history.ts'

/** After a refusal the next attempt is made so much later: a full disk is not asked every second. */
const TRY_AGAIN_AFTER: Milliseconds = 30_000

export interface HistoryKeeperOptions {
  readonly file: string
  readonly clock: Clock
  /** How long rows are kept; 0 keeps none. Asked each time. */
  readonly days: () => number
  readonly bounds?: HistoryBounds
  /** The record stops, or goes on again. */
  readonly onChange?: (sentence: string) => void
}

/**
 * Writes the record of exchanges for as long as the world lets it. Nothing that protects anybody waits for it: what
 * cannot be written is counted and let go.
 */
export class HistoryKeeper {
  /** Rows that were not written because the database refused. */
  lost = 0
  /** Why it does not record now; null where it does. */
  trouble: string | null = null
  readonly #o: HistoryKeeperOptions
  #history: History | undefined
  /** What lies there turned out to be damaged while it was written. */
  #isDamaged = false
  #notBefore: EpochMilliseconds = Number.NEGATIVE_INFINITY

  constructor(options: HistoryKeeperOptions) {
    this.#o = options
  }

  get file(): string {
    return this.#o.file
  }

  write(batch: RecordBatch): void {
    if (this.#o.days() <= 0) return
    const rows = batch.exchanges.length + batch.registers.length + batch.totals.length
    if (!this.#attempt((history) => history.write(batch))) this.lost += rows
  }

  /** Registrations that last now, as far as they were recorded, in the order in which they were made; at most so many. */
  registrations({ limit }: { readonly limit: number }): readonly RecordedExchange[] {
    let found: readonly RecordedExchange[] = []
    if (this.#o.days() > 0)
      this.#attempt((history) => {
        found = history.registrationsAt(this.#o.clock(), { limit })
      })
    return found
  }

  /** To be called every minute or so. */
  tidy(): void {
    const days = this.#o.days()
    const isKept = this.#history !== undefined || days > 0
    if (isKept) this.#attempt((history) => history.tidy(this.#o.clock() - days * DAY))
  }

  close(): void {
    try {
      this.#history?.close()
    } catch {
      // What is gone with the process needs no closing.
    }
    this.#history = undefined
  }

  #attempt(write: (history: History) => unknown): boolean {
    const { file, clock, bounds, onChange } = this.#o
    const now = clock()
    if (now < this.#notBefore) return false
    try {
      this.#history ??= openHistory({
        file,
        now: clock,
        afresh: this.#isDamaged,
        ...(bounds ? { bounds } : {}),
      })
      this.#isDamaged = false
      write(this.#history)
    } catch (error) {
      if (!(error instanceof JournalError)) throw error
      const first = this.trouble === null
      this.trouble = error.message
      this.#notBefore = now + TRY_AGAIN_AFTER
      this.#isDamaged ||= error.fault === 'damaged'
      if (error.fault === 'damaged' || error.fault === 'closed') this.close()
      if (first) onChange?.(`traffic is not recorded for backtests: ${error.message}`)
      return false
    }
    if (this.trouble !== null) onChange?.('traffic is recorded for backtests again')
    this.trouble = null
    return true
  }
}
