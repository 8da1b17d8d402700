import type { Database } from 'better-sqlite3'
import type { Prefix } from '../../registrar/net/address.ts'
import { boundedText, evidenceToJson, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import { evidenceOf } from './decisions.ts'
import type { VerdictEntry } from './entries.ts'
import type { Journal } from './journal.ts'

interface Row {
  time: number
  source: string
  port: number | null
  action: VerdictEntry['action']
  scope: VerdictEntry['scope']
  grade: VerdictEntry['grade']
  reason: string
  evidence: string
}

/** Between two looks at the bound: an attacker makes verdicts faster than `tidy` comes round. */
const LOOK_EVERY = 1_000

/** The table of verdicts. */
export function verdictsTable(
  database: Database,
  bounds: JournalBounds['verdicts'],
): Pick<Journal, 'recordVerdict' | 'verdictsOf'> & { tidyVerdicts(now: number): number } {
  const insert = database.prepare(
    `INSERT INTO verdicts (time, source, port, action, scope, grade, reason, evidence)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
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
  let sinceLook = 0

  return {
    recordVerdict({ time, source, port, action, scope, grade, reason, evidence }) {
      insert.run(time, source, port, action, scope, grade, boundedText(reason), evidenceToJson(evidence))
      sinceLook += 1
      if (sinceLook < LOOK_EVERY) return
      sinceLook = 0
      removeOver.run(bounds.rows)
    },
    verdictsOf(source, { limit }) {
      return about
        .all(source, limit)
        .map(({ time, port, action, scope, grade, reason, evidence, ...row }) => ({
          time,
          source: row.source as Prefix,
          port,
          action,
          scope,
          grade,
          reason,
          evidence: evidenceOf(evidence),
        }))
    },
    tidyVerdicts(now) {
      return removeOver.run(bounds.rows).changes + removeOld.run(now - bounds.age).changes
    },
  }
}
