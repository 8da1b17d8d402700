import { chmodSync, closeSync, existsSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

export interface DatabaseFile {
  /** Path of the database, or `:memory:`. Its folder is made where it is missing. */
  readonly file: string
  /** How long a statement waits for another process to let go. */
  readonly patience: Milliseconds
  readonly synchronous: 'NORMAL' | 'OFF'
  /** Of the write-ahead log, once it has been written back. */
  readonly logBytes: number
  readonly fileBytes: number
  /** Makes or brings up to date what is in it; what it throws closes the file again. */
  readonly prepare: (database: Database) => void
}

/** Opens a database that root alone may read: password hashes, and who is a customer and where. */
export function openDatabaseFile({
  file,
  patience,
  synchronous,
  logBytes,
  fileBytes,
  prepare,
}: DatabaseFile): Database {
  if (file !== ':memory:') {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 })
    // The log files beside it take their permissions from it.
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  }
  const database = new Sqlite(file, { timeout: patience })
  try {
    database.pragma('journal_mode = WAL')
    database.pragma(`synchronous = ${synchronous}`)
    database.pragma(`journal_size_limit = ${logBytes}`)
    const pageSize = Number(database.pragma('page_size', { simple: true }))
    database.pragma(`max_page_count = ${Math.ceil(fileBytes / pageSize)}`)
    prepare(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Moves the file and what belongs to it to `FILE.damaged-TIME`; answers where to. */
export function setAside(file: string, now: EpochMilliseconds): string {
  const aside = `${file}.damaged-${new Date(now).toISOString().replace(/[:.]/g, '-')}`
  for (const suffix of ['', '-wal', '-shm']) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`)
  }
  return aside
}
