import { chmodSync, closeSync, existsSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import type { Clock } from '../../registrar/net/time.ts'
import { journalErrorOf } from './guard.ts'
import { DEFAULT_HISTORY_BOUNDS, type History, type HistoryBounds } from './history.ts'
import { HISTORY_SCHEMA, HISTORY_VERSION, historyTables } from './history-tables.ts'
import { JournalError } from './journal.ts'

/** The daemon does not wait for whoever looks into the record: what cannot be written is counted. */
const LOCK_PATIENCE = 100

/**
 * Opens the record of exchanges or begins one. One that is damaged or of another version is moved aside as
 * `FILE.damaged-TIME` and a fresh one begun: it is worth less than the time of whoever would have to mend it.
 */
export function openHistory(options: {
  /** Path of the database, or `:memory:`. */
  readonly file: string
  readonly now: Clock
  readonly bounds?: HistoryBounds
  /** The one that is there is known to be damaged. */
  readonly afresh?: boolean
}): History {
  const { file, now, bounds = DEFAULT_HISTORY_BOUNDS, afresh = false } = options
  const open = () => guardedHistory(openDatabase(file, bounds), { file, bounds })
  try {
    if (afresh && file !== ':memory:') setAside(file, now())
    return open()
  } catch (error) {
    const known = journalErrorOf(error, { doing: 'open', file })
    if (file === ':memory:' || (known?.fault !== 'damaged' && known?.fault !== 'too-new'))
      throw known ?? error
  }
  try {
    setAside(file, now())
    return open()
  } catch (error) {
    throw journalErrorOf(error, { doing: 'open', file }) ?? error
  }
}

/** The same for reading alone, beside a daemon that writes. Throws where there is none. */
export function openHistoryToRead(file: string): History {
  try {
    const database = new Sqlite(file, { readonly: true, fileMustExist: true, timeout: 2_000 })
    return guardedHistory(database, { file, bounds: DEFAULT_HISTORY_BOUNDS })
  } catch (error) {
    throw journalErrorOf(error, { doing: 'open', file }) ?? error
  }
}

function openDatabase(file: string, bounds: HistoryBounds): Database {
  if (file !== ':memory:') {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    // Who is a customer, and where they are, is nobody else's business.
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  }
  const database = new Sqlite(file, { timeout: LOCK_PATIENCE })
  try {
    // What is let go gives its room back to what comes; nothing here is worth an fsync.
    database.pragma('journal_mode = WAL')
    database.pragma('synchronous = OFF')
    database.pragma('journal_size_limit = 16777216')
    const pageSize = Number(database.pragma('page_size', { simple: true }))
    database.pragma(`max_page_count = ${Math.ceil(bounds.fileBytes / pageSize)}`)
    const version = Number(database.pragma('user_version', { simple: true }))
    if (version !== 0 && version !== HISTORY_VERSION) {
      throw new JournalError('too-new', 'open', `${file} was written by another version of Ringfence`)
    }
    if (version === 0) {
      database.transaction(() => {
        database.exec(HISTORY_SCHEMA)
        database.pragma(`user_version = ${HISTORY_VERSION}`)
      })()
    }
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function guardedHistory(database: Database, facts: { file: string; bounds: HistoryBounds }): History {
  try {
    const methods = { ...historyTables(database, facts.bounds), close: () => void database.close() }
    const guarded = Object.entries(methods).map(([doing, method]) => [
      doing,
      (...args: unknown[]): unknown => {
        try {
          return (method as (...args: unknown[]) => unknown)(...args)
        } catch (error) {
          throw journalErrorOf(error, { doing, file: facts.file }) ?? error
        }
      },
    ])
    return Object.fromEntries(guarded) as unknown as History
  } catch (error) {
    database.close()
    throw error
  }
}

function setAside(file: string, now: number): void {
  const aside = `${file}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`)
  }
}
