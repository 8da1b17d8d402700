import type { Database } from 'better-sqlite3'
import type { Clock } from '../../registrar/net/time.ts'
import { DEFAULT_BOUNDS, type JournalBounds } from './bounds.ts'
import { openDatabaseFile, setAside } from './database-file.ts'
import { decisionsTable } from './decisions.ts'
import { guarded, journalErrorOf } from './guard.ts'
import { type Journal, JournalError } from './journal.ts'
import { knownSourcesTable } from './known-sources.ts'
import { laneTables } from './lanes.ts'
import { migrate } from './migrations.ts'
import { auditTable, operatorTables } from './small-tables.ts'
import { verdictsTable } from './verdicts.ts'
import { weatherTables } from './weather.ts'

export interface JournalOptions {
  /** Path of the database, or `:memory:` for one that is forgotten. Its folder is made where it is missing. */
  readonly file: string
  readonly now: Clock
  readonly bounds?: JournalBounds
}

export interface OpenedJournal {
  readonly journal: Journal
  /** What the admin must hear: that a damaged file was set aside, and where. Null where all is well. */
  readonly notice: string | null
}

/** How long a statement waits for another process (a backup, a look with sqlite3) to let go. */
const LOCK_PATIENCE = 500

/**
 * Opens the journal or begins one. A damaged file is moved aside as `FILE.damaged-TIME` and a fresh one begun.
 * Throws a `JournalError`: `too-new` for a file of a later version, `unavailable`, `full` or `locked` where the
 * system refuses.
 */
export function openJournal({ file, now, bounds = DEFAULT_BOUNDS }: JournalOptions): OpenedJournal {
  const open = () => journalOn(openDatabase(file, bounds), { file, bounds })
  const refusal = (error: unknown) => journalErrorOf(error, { doing: 'open', file })
  try {
    return { journal: open(), notice: null }
  } catch (error) {
    const known = refusal(error)
    if (known?.fault !== 'damaged') throw known ?? error
  }
  try {
    const aside = setAside(file, now())
    const notice = `the journal ${file} was damaged; it was moved to ${aside} and a fresh one begun: blocks, accounts and settings that were kept in it are gone`
    return { journal: open(), notice }
  } catch (error) {
    throw refusal(error) ?? error
  }
}

function openDatabase(file: string, bounds: JournalBounds): Database {
  return openDatabaseFile({
    file,
    patience: LOCK_PATIENCE,
    synchronous: 'NORMAL',
    logBytes: 67_108_864,
    fileBytes: bounds.fileBytes,
    prepare(database) {
      if (database.pragma('quick_check(1)', { simple: true }) !== 'ok') {
        throw new JournalError('damaged', 'open', `the journal ${file} is damaged`)
      }
      if (migrate(database) === 'too-new') {
        const message = `the journal ${file} was written by a later version of Ringfence; install that version, or move the file away`
        throw new JournalError('too-new', 'open', message)
      }
    },
  })
}

function journalOn(database: Database, facts: { file: string; bounds: JournalBounds }): Journal {
  try {
    return guarded(tablesOf(database, facts.bounds), facts)
  } catch (error) {
    database.close()
    throw error
  }
}

function tablesOf(database: Database, bounds: JournalBounds): Journal {
  const { tidyDecisions, ...decisions } = decisionsTable(database, bounds.pastDecisions)
  const { tidyVerdicts, flushVerdicts, ...verdicts } = verdictsTable(database, bounds.verdicts)
  const { tidyKnownSources, ...sources } = knownSourcesTable(database, bounds.knownSources)
  const { tidyLanes, flushLanes, ...lanes } = laneTables(database, bounds.lanes)
  const { tidyWeather, ...weather } = weatherTables(database, bounds.weather)
  const { tidyAudit, ...audit } = auditTable(database, bounds.audit)
  const flush = () => {
    flushVerdicts()
    sources.flush()
    flushLanes()
  }
  return {
    ...decisions,
    ...verdicts,
    ...sources,
    ...lanes,
    ...audit,
    ...weather,
    ...operatorTables(database),
    flush,
    tidy(now) {
      flush()
      const removed =
        tidyDecisions(now) +
        tidyVerdicts(now) +
        tidyKnownSources() +
        tidyLanes(now) +
        tidyAudit(now) +
        tidyWeather(now)
      return { removed }
    },
    close() {
      if (!database.open) return
      try {
        flush()
      } finally {
        database.close()
      }
    },
  }
}
