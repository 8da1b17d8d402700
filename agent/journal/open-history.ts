import Sqlite, { type Database } from 'better-sqlite3'
import type { Clock } from '../../registrar/net/time.ts'
import { openDatabaseFile, setAside } from './database-file.ts'
import { guarded, journalErrorOf } from './guard.ts'
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
  return openDatabaseFile({
    file,
    patience: LOCK_PATIENCE,
    // What is let go gives its room back to what comes; nothing here is worth an fsync.
    synchronous: 'OFF',
    logBytes: 16_777_216,
    fileBytes: bounds.fileBytes,
    prepare(database) {
      const version = Number(database.pragma('user_version', { simple: true }))
      if (version !== 0 && version !== HISTORY_VERSION) {
        throw new JournalError('too-new', 'open', `${file} was written by another version of Ringfence`)
      }
      if (version !== 0) return
      database.transaction(() => {
        database.exec(HISTORY_SCHEMA)
        database.pragma(`user_version = ${HISTORY_VERSION}`)
      })()
    },
  })
}

function guardedHistory(database: Database, facts: { file: string; bounds: HistoryBounds }): History {
  try {
    const history = { ...historyTables(database, facts.bounds), close: () => void database.close() }
    return guarded(history, facts)
  } catch (error) {
    database.close()
    throw error
  }
}
