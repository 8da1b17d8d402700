import type { Database } from 'better-sqlite3'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { type JournalBounds, MOST_HELD_BACK, MOST_REMOVED_AT_ONCE, SUCCESS_BATCH } from './bounds.ts'
import type { ProvenEntry, ReturningEntry } from './entries.ts'
import type { Journal } from './journal.ts'

type LaneMethods = Pick<
  Journal,
  'rememberProven' | 'forgetProven' | 'provenEntries' | 'provenAt' | 'rememberReturning' | 'returningEntries'
>

/** The tables of who is in a lane that outlives a restart. Changes are held back and written together. */
export function laneTables(
  database: Database,
  bounds: JournalBounds['lanes'],
): LaneMethods & { flushLanes(): void; tidyLanes(now: EpochMilliseconds): number } {
  const put = database.prepare(
    `INSERT INTO proven (account, address, port, until) VALUES (?, ?, ?, ?)
     ON CONFLICT (account, address, port) DO UPDATE SET until = excluded.until`,
  )
  const remove = database.prepare('DELETE FROM proven WHERE account = ? AND address = ? AND port = ?')
  const standing = database.prepare<unknown[], ProvenEntry>(
    'SELECT account, address, port, until FROM proven WHERE until > ? ORDER BY until',
  )
  const provenOf = database.prepare<unknown[], ProvenEntry>(
    `SELECT account, address, port, until FROM proven
     WHERE address IN (SELECT value FROM json_each(?)) AND until > ? ORDER BY address, port, account LIMIT ?`,
  )
  const putReturning = database.prepare(
    `INSERT INTO returning_sources (source, at, accounts) VALUES (?, ?, ?)
     ON CONFLICT (source) DO UPDATE SET at = excluded.at, accounts = excluded.accounts`,
  )
  const since = database.prepare<unknown[], ReturningEntry>(
    'SELECT source, at, accounts FROM returning_sources WHERE at >= ? ORDER BY at',
  )
  const bounded = [
    boundedTable(database, { table: 'proven', order: 'until', rows: bounds.rows }),
    boundedTable(database, { table: 'returning_sources', order: 'at', rows: bounds.rows }),
  ] as const
  /** The last word about each row; of a row that goes `until` is 0. */
  const heldProven = new Map<string, ProvenEntry>()
  const heldReturning = new Map<string, ReturningEntry>()

  const writeAll = database.transaction(() => {
    for (const { account, address, port, until } of heldProven.values()) {
      if (until === 0) remove.run(account, address, port)
      else put.run(account, address, port, until)
    }
    for (const { source, at, accounts } of heldReturning.values()) putReturning.run(source, at, accounts)
  })

  function flushLanes() {
    if (heldProven.size + heldReturning.size === 0) return
    writeAll()
    heldProven.clear()
    heldReturning.clear()
  }

  function hold<T>(held: Map<string, T>, key: string, entry: T) {
    const isNew = !held.has(key)
    held.set(key, entry)
    if (held.size > MOST_HELD_BACK) held.delete(held.keys().next().value!)
    // A refused batch is not tried again at each change, but at the next thousand.
    if (isNew && held.size % SUCCESS_BATCH === 0) flushLanes()
  }

  const keyOf = ({ account, address, port }: Omit<ProvenEntry, 'until'>) => `${address} ${port} ${account}`

  return {
    rememberProven: (entry) => hold(heldProven, keyOf(entry), entry),
    forgetProven: (entry) => hold(heldProven, keyOf(entry), { ...entry, until: 0 }),
    provenEntries(now) {
      flushLanes()
      return standing.all(now)
    },
    provenAt(addresses, { now, limit }) {
      flushLanes()
      return provenOf.all(JSON.stringify(addresses), now, limit)
    },
    rememberReturning: (entry) => hold(heldReturning, entry.source, entry),
    returningEntries(from) {
      flushLanes()
      return since.all(from)
    },
    flushLanes,
    tidyLanes(now) {
      const [proven, returning] = bounded
      return proven.tidy(now) + returning.tidy(now - bounds.age)
    },
  }
}

/** A table whose rows go when they are over, and the ones that are over first where there are too many. */
function boundedTable(
  database: Database,
  { table, order, rows }: { table: 'proven' | 'returning_sources'; order: 'until' | 'at'; rows: number },
): { tidy(before: EpochMilliseconds): number } {
  // Without row ids: the rows are named by the whole of their key.
  const key = table === 'proven' ? '(account, address, port)' : '(source)'
  const columns = key.slice(1, -1)
  const count = database.prepare<unknown[], { rows: number }>(`SELECT count(*) AS rows FROM ${table}`)
  const removeOver = database.prepare(
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${columns} FROM ${table} WHERE ${order} <= ? LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const removeFirst = database.prepare(
    `DELETE FROM ${table} WHERE ${key} IN (SELECT ${columns} FROM ${table} ORDER BY ${order} LIMIT ?)`,
  )
  return {
    tidy(before) {
      const removed = removeOver.run(before).changes
      const over = count.get()!.rows - rows
      return over <= 0 ? removed : removed + removeFirst.run(Math.min(over, MOST_REMOVED_AT_ONCE)).changes
    },
  }
}
