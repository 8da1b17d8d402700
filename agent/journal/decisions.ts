import type { Database, Statement } from 'better-sqlite3'
import { type Address, familyOf, type Prefix, prefixOf } from '../../registrar/net/address.ts'
import { boundedText, evidenceToJson, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import type { Decision, DecisionTarget, Evidence, NewDecision, StandingTarget } from './entries.ts'
import type { Journal } from './journal.ts'

type DecisionMethods = Pick<
  Journal,
  | 'recordDecision'
  | 'extendDecision'
  | 'endDecision'
  | 'standingDecisions'
  | 'standingTargets'
  | 'decisionsOf'
>

interface Row {
  id: number
  kind: Decision['kind']
  target: string
  port: number | null
  scope: Decision['scope']
  since: number
  until: number | null
  by: string
  who: string | null
  grade: Decision['grade']
  reason: string
  evidence: string
  ended_at: number | null
  ended_by: string | null
}

/** The table of decisions. */
export function decisionsTable(
  database: Database,
  bounds: JournalBounds['pastDecisions'],
): DecisionMethods & { tidyDecisions(now: number): number } {
  const insert = database.prepare<unknown[], Row>(
    `INSERT INTO decisions (kind, target, port, scope, since, until, by, who, grade, reason, evidence)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *`,
  )
  const extend = database.prepare<unknown[], Row>(
    'UPDATE decisions SET until = ? WHERE id = ? AND ended_at IS NULL RETURNING *',
  )
  const end = database.prepare<unknown[], Row>(
    'UPDATE decisions SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL RETURNING *',
  )
  const standing = database
    .prepare<unknown[], string>(
      selectStanding(['id', ...TARGET_COLUMNS, 'since', 'who', 'grade', 'reason', 'evidence']),
    )
    .pluck()
  const standingTargets = database
    .prepare<unknown[], string>(selectStanding(['id', ...TARGET_COLUMNS]))
    .pluck()
  const about = database.prepare<unknown[], Row>(
    'SELECT * FROM decisions WHERE target IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT ?',
  )
  const removeOld = database.prepare(
    `DELETE FROM decisions WHERE id IN (
       SELECT id FROM decisions
       WHERE (ended_at IS NOT NULL AND ended_at < @before) OR (ended_at IS NULL AND until < @before)
       LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const countPast = database.prepare<unknown[], { past: number }>(
    'SELECT count(*) AS past FROM decisions WHERE ended_at IS NOT NULL OR until <= ?',
  )
  const removePast = database.prepare(
    `DELETE FROM decisions WHERE id IN (
       SELECT id FROM decisions WHERE ended_at IS NOT NULL OR until <= ? ORDER BY id LIMIT ?)`,
  )

  return {
    recordDecision(decision) {
      const { kind, scope, since, until, by, who, grade, reason, evidence } = decision
      const { text, port } = columnsOf(decision.target)
      const values = [kind, text, port, scope, since, until, by, who, grade, boundedText(reason)]
      return decisionOf(insert.get(...values, evidenceToJson(evidence))!)
    },
    extendDecision(id, until) {
      const row = extend.get(until, id)
      return row && decisionOf(row)
    },
    endDecision(id, { at, by }) {
      const row = end.get(at, by, id)
      return row && decisionOf(row)
    },
    standingDecisions(now) {
      const decisions: Decision[] = []
      for (const row of readPages<StandingRow>(standing, now)) {
        const [id, kind, target, port, scope, until, by, since, who, grade, reason, evidence] = row
        decisions.push({
          id,
          kind,
          target: targetOf(target, port),
          scope,
          since,
          until,
          by,
          who,
          grade,
          reason,
          evidence: evidenceOf(evidence),
          endedAt: null,
          endedBy: null,
        })
      }
      return decisions.reverse()
    },
    standingTargets(now) {
      const targets: StandingTarget[] = []
      for (const row of readPages<TargetRow>(standingTargets, now)) {
        const [, kind, target, port, scope, until, by] = row
        targets.push({ kind, target: targetOf(target, port), scope, until, by })
      }
      return targets
    },
    decisionsOf(address, { limit }) {
      return about.all(JSON.stringify([address, ...prefixesHolding(address)]), limit).map(decisionOf)
    },
    tidyDecisions(now) {
      const old = removeOld.run({ before: now - bounds.age }).changes
      const over = countPast.get(now)!.past - bounds.rows
      if (over <= 0) return old
      return old + removePast.run(now, Math.min(over, MOST_REMOVED_AT_ONCE)).changes
    },
  }
}

const TARGET_COLUMNS = ['kind', 'target', 'port', 'scope', 'until', 'by']

type TargetRow = [
  id: number,
  kind: Decision['kind'],
  target: string,
  port: number | null,
  scope: Decision['scope'],
  until: number | null,
  by: string,
]

type StandingRow = [
  ...TargetRow,
  since: number,
  who: string | null,
  grade: Decision['grade'],
  reason: string,
  evidence: string,
]

/** Rows of one page: so much text that it is some megabytes. */
const PAGE = 10_000

/**
 * The next page of what stands behind an id, as one JSON text: to have SQLite write it and V8 read it takes half of the
 * time that handing a hundred thousand rows over column by column does.
 */
function selectStanding(columns: readonly string[]): string {
  return `SELECT json_group_array(json_array(${columns.join(', ')})) FROM (
    SELECT * FROM decisions NOT INDEXED
    WHERE id > @after AND ended_at IS NULL AND (until IS NULL OR until > @now)
    ORDER BY id LIMIT ${PAGE})`
}

function* readPages<R extends TargetRow | StandingRow>(
  page: Statement<unknown[], string>,
  now: number,
): Generator<R> {
  for (let after = 0; ; ) {
    const rows = JSON.parse(page.get({ after, now })!) as R[]
    yield* rows
    if (rows.length < PAGE) return
    after = rows.at(-1)![0]
  }
}

function targetOf(target: string, port: number | null): DecisionTarget {
  return port === null
    ? { kind: 'prefix', prefix: target as Prefix }
    : { kind: 'source', address: target as Address, port }
}

function columnsOf(target: NewDecision['target']): { text: string; port: number | null } {
  return target.kind === 'prefix'
    ? { text: target.prefix, port: null }
    : { text: target.address, port: target.port }
}

function decisionOf(row: Row): Decision {
  const { id, kind, scope, since, until, by, who, grade, reason } = row
  return {
    id,
    kind,
    target: targetOf(row.target, row.port),
    scope,
    since,
    until,
    by,
    who,
    grade,
    reason,
    evidence: evidenceOf(row.evidence),
    endedAt: row.ended_at,
    endedBy: row.ended_by,
  }
}

export function evidenceOf(json: string): Evidence {
  if (json === '{}') return NO_EVIDENCE
  try {
    return JSON.parse(json) as Evidence
  } catch {
    return { unreadable: true }
  }
}

const NO_EVIDENCE: Evidence = {}

/** Every prefix that holds the address: 33 for IPv4, 129 for IPv6. */
function prefixesHolding(address: Address): Prefix[] {
  const longest = familyOf(address) === 4 ? 32 : 128
  return Array.from({ length: longest + 1 }, (_, length) => prefixOf(address, length))
}
