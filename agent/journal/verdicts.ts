import type { Database } from 'better-sqlite3'
import type { Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { boundedText, evidenceToJson, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import { evidenceOf } from './decisions.ts'
import type { VerdictEntry } from './entries.ts'
import type { Journal } from './journal.ts'

interface Row {
  time: number
  source: string
  port: number | null
  name: string | null
  action: VerdictEntry['action']
  scope: VerdictEntry['scope']
  grade: VerdictEntry['grade']
  reason: string
  evidence: string
}

/** Between two looks at the bound: an attacker makes verdicts faster than `tidy` comes round. */
const LOOK_EVERY = 1_000
/** One row a transaction holds the daemon up when an attack makes thousands of verdicts: those of a burst share one. */
const BURST = 200
const BURST_SPAN: Milliseconds = 1_000

/**
 * The table of verdicts. One that comes alone is written at once, those of a burst together; the last of a burst
 * are written by `flushVerdicts`, or when somebody asks.
 */
export function verdictsTable(
  database: Database,
  bounds: JournalBounds['verdicts'],
): Pick<Journal, 'recordVerdict' | 'verdictsOf'> & {
  flushVerdicts(): void
  tidyVerdicts(now: EpochMilliseconds): number
} {
  const insert = database.prepare(
    `INSERT INTO verdicts (time, source, port, name, action, scope, grade, reason, evidence)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const about = database.prepare<unknown[], Row>(
    'SELECT * FROM verdicts WHERE source = ? ORDER BY id DESC LIMIT ?',
  )
  // Numbers are given out in order, so the newest `rows` are those above the highest number minus `rows`.
  const removeOver = database.prepare(
    `DELETE FROM verdicts WHERE id IN (
       SELECT id FROM verdicts WHERE id <= (SELECT max(id) FROM verdicts) - ? ORDER BY id LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const removeOld = database.prepare(
    `DELETE FROM verdicts WHERE id IN (SELECT id FROM verdicts WHERE time < ? LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  let held: VerdictEntry[] = []
  let lastWritten: EpochMilliseconds = Number.NEGATIVE_INFINITY
  let sinceLook = 0

  const insertAll = database.transaction((verdicts: readonly VerdictEntry[]) => {
    for (const { time, source, port, name = null, action, scope, grade, reason, evidence } of verdicts) {
      insert.run(
        time,
        source,
        port,
        name,
        action,
        scope,
        grade,
        boundedText(reason),
        evidenceToJson(evidence),
      )
    }
  })

  function flushVerdicts() {
    if (held.length === 0) return
    const batch = held
    // A batch that the database refuses is let go: the decisions that came of it are kept apart.
    held = []
    insertAll(batch)
    sinceLook += batch.length
    if (sinceLook < LOOK_EVERY) return
    sinceLook = 0
    removeOver.run(bounds.rows)
  }

  return {
    recordVerdict(verdict) {
      held.push(verdict)
      const quiet = Math.abs(verdict.time - lastWritten) >= BURST_SPAN
      if (!quiet && held.length < BURST) return
      lastWritten = verdict.time
      flushVerdicts()
    },
    flushVerdicts,
    verdictsOf(source, { limit }) {
      flushVerdicts()
      return about
        .all(source, limit)
        .map(({ time, port, name, action, scope, grade, reason, evidence, ...row }) => ({
          time,
          source: row.source as Prefix,
          port,
          ...(name === null ? {} : { name }),
          action,
          scope,
          grade,
          reason,
          evidence: evidenceOf(evidence),
        }))
    },
    tidyVerdicts(now) {
      flushVerdicts()
      return removeOver.run(bounds.rows).changes + removeOld.run(now - bounds.age).changes
    },
  }
}
