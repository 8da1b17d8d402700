import type { Database } from 'better-sqlite3'
import { boundedText, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import type { AllowEntry, AuditEntry, BindingRow, JournalAccount } from './entries.ts'
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

/** What the registrar keeps: accounts that were added, and its bindings. */
export function registrarTables(
  database: Database,
): Pick<
  Journal,
  | 'putAccount'
  | 'removeAccount'
  | 'listAccounts'
  | 'replaceBindings'
  | 'putBinding'
  | 'deleteBinding'
  | 'listBindings'
> {
  interface AccountRow {
    user: string
    md5: string
    sha256: string
  }
  const putAccount = database.prepare(
    `INSERT INTO accounts (user, md5, sha256) VALUES (?, ?, ?)
     ON CONFLICT (user) DO UPDATE SET md5 = excluded.md5, sha256 = excluded.sha256`,
  )
  const removeAccount = database.prepare<unknown[], AccountRow>(
    'DELETE FROM accounts WHERE user = ? RETURNING *',
  )
  const listAccounts = database.prepare<unknown[], AccountRow>('SELECT * FROM accounts ORDER BY user')
  const accountOf = ({ user, md5, sha256 }: AccountRow): JournalAccount => ({ user, ha1: { md5, sha256 } })

  const putBinding = database.prepare(
    'INSERT INTO bindings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
  )
  const deleteBinding = database.prepare('DELETE FROM bindings WHERE key = ?')
  const clearBindings = database.prepare('DELETE FROM bindings')
  const listBindings = database.prepare<unknown[], { key: string; value: string }>(
    'SELECT key, value FROM bindings ORDER BY key',
  )
  const replaceAll = database.transaction((rows: readonly BindingRow[]) => {
    clearBindings.run()
    for (const { key, value } of rows) putBinding.run(key, JSON.stringify(value))
  })

  return {
    putAccount({ user, ha1 }) {
      putAccount.run(user, ha1.md5, ha1.sha256)
    },
    removeAccount(user) {
      const row = removeAccount.get(user)
      return row && accountOf(row)
    },
    listAccounts: () => listAccounts.all().map(accountOf),
    replaceBindings(rows) {
      replaceAll(rows)
    },
    putBinding({ key, value }) {
      putBinding.run(key, JSON.stringify(value))
    },
    deleteBinding(key) {
      deleteBinding.run(key)
    },
    listBindings: () => listBindings.all().flatMap(({ key, value }) => readBinding(key, value)),
  }
}

/** A row that is no JSON is passed over: the phone will register again. */
function readBinding(key: string, json: string): BindingRow[] {
  try {
    return [{ key, value: JSON.parse(json) as unknown }]
  } catch {
    return []
  }
}
