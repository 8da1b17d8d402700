import type { Database } from 'better-sqlite3'
import type { Prefix } from '../../registrar/net/address.ts'
import { type JournalBounds, MOST_HELD_BACK, MOST_REMOVED_AT_ONCE, SUCCESS_BATCH } from './bounds.ts'
import type { KnownSource } from './entries.ts'
import type { Journal } from './journal.ts'

/** The table of sources that registered successfully. Successes are held back and written together. */
export function knownSourcesTable(
  database: Database,
  bounds: JournalBounds['knownSources'],
): Pick<Journal, 'rememberSuccess' | 'knownSources' | 'flush'> & { tidyKnownSources(): number } {
  const put = database.prepare(
    `INSERT INTO known_sources (source, at, until) VALUES (?, ?, ?)
     ON CONFLICT (source) DO UPDATE SET at = max(at, excluded.at), until = max(until, excluded.until)`,
  )
  const since = database.prepare<unknown[], KnownSource>(
    'SELECT source, at, until FROM known_sources WHERE at >= ? ORDER BY at DESC',
  )
  const count = database.prepare<unknown[], { rows: number }>('SELECT count(*) AS rows FROM known_sources')
  const removeOldest = database.prepare(
    'DELETE FROM known_sources WHERE source IN (SELECT source FROM known_sources ORDER BY at LIMIT ?)',
  )
  const held = new Map<Prefix, KnownSource>()

  const putAll = database.transaction((batch: Iterable<KnownSource>) => {
    for (const { source, at, until } of batch) put.run(source, at, until)
  })

  function flush() {
    if (held.size === 0) return
    putAll(held.values())
    held.clear()
  }

  return {
    rememberSuccess(source, { at, until }) {
      const earlier = held.get(source)
      held.set(source, {
        source,
        at: Math.max(at, earlier?.at ?? at),
        until: Math.max(until, earlier?.until ?? until),
      })
      if (held.size > MOST_HELD_BACK) held.delete(held.keys().next().value!)
      // A refused batch is not tried again at each success, but at the next thousand.
      if (!earlier && held.size % SUCCESS_BATCH === 0) flush()
    },
    knownSources(from) {
      flush()
      return since.all(from)
    },
    flush,
    tidyKnownSources() {
      const over = count.get()!.rows - bounds.rows
      return over > 0 ? removeOldest.run(Math.min(over, MOST_REMOVED_AT_ONCE)).changes : 0
    },
  }
}
