import type { Database } from 'better-sqlite3'
import { boundedText, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import type { AllowEntry, AuditEntry } from './entries.ts'
import type { Journal } from './journal.ts'

/** The operator's allowlist and settings. */
export function operatorTables(
  database: Database,
): Pick<Journal, 'addAllow' | 'removeAllow' | 'listAllow' | 'setting' | 'putSetting'> {
  const addAllow = database.prepare(
    `INSERT INTO allowed (target, since, who, reason) VALUES (?, ?, ?, ?)
     ON CONFLICT (target) DO UPDATE SET who = excluded.who, reason = excluded.reason`,
  )
  const removeAllow = database.prepare<unknown[], AllowEntry>(
    'DELETE FROM allowed WHERE target = ? RETURNING *',
  )
  const listAllow = database.prepare<unknown[], AllowEntry>('SELECT * FROM allowed ORDER BY since, target')
  const getSetting = database.prepare<unknown[], { value: string }>(
    'SELECT value FROM settings WHERE name = ?',
  )
  const putSetting = database.prepare(
    'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  return {
    addAllow({ target, since, who, reason }) {
      addAllow.run(target, since, who, boundedText(reason))
    },
    removeAllow: (target) => removeAllow.get(target),
    listAllow: () => listAllow.all(),
    setting: (name) => getSetting.get(name)?.value,
    putSetting(name, value) {
      putSetting.run(name, value)
    },
  }
}

/** Who ordered what. */
export function auditTable(
  database: Database,
  bounds: JournalBounds['audit'],
): Pick<Journal, 'audit' | 'listAudit'> & { tidyAudit(now: number): number } {
  const insert = database.prepare('INSERT INTO audit (time, who, what, target) VALUES (?, ?, ?, ?)')
  const list = database.prepare<unknown[], AuditEntry>(
    'SELECT time, who, what, target FROM audit ORDER BY id DESC LIMIT ?',
  )
  const removeOver = database.prepare(
    `DELETE FROM audit WHERE id IN (
       SELECT id FROM audit WHERE id <= (SELECT max(id) FROM audit) - ? ORDER BY id LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const removeOld = database.prepare(
    `DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE time < ? LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  return {
    audit({ time, who, what, target }) {
      insert.run(time, boundedText(who), what, boundedText(target))
    },
    listAudit: ({ limit }) => list.all(limit),
    tidyAudit: (now) => removeOver.run(bounds.rows).changes + removeOld.run(now - bounds.age).changes,
  }
}
