import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEFAULT_BOUNDS, type JournalBounds } from '../../../agent/journal/bounds.ts'
import type { NewDecision, ProvenEntry, VerdictEntry } from '../../../agent/journal/entries.ts'
import { type Journal, JournalError } from '../../../agent/journal/journal.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'
import { type Address, type Prefix, parseAddress, parsePrefix } from '../../../registrar/net/address.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)
const DAY = 86_400_000

let folder: string
let file: string
const opened: Journal[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-journal-'))
  file = join(folder, 'journal.sqlite')
})

afterEach(() => {
  for (const journal of opened.splice(0)) journal.close()
  rmSync(folder, { recursive: true, force: true })
})

function open(bounds: Partial<JournalBounds> = {}): Journal {
  const { journal, notice } = openJournal({ file, now: () => NOW, bounds: { ...DEFAULT_BOUNDS, ...bounds } })
  expect(notice).toBeNull()
  opened.push(journal)
  return journal
}

function address(text: string): Address {
  return parseAddress(text)!
}

function prefix(text: string): Prefix {
  return parsePrefix(text)!
}

function block(target: string, changes: Partial<NewDecision> = {}): NewDecision {
  return {
    kind: 'block',
    target: { kind: 'prefix', prefix: prefix(target) },
    scope: 'register',
    since: NOW,
    until: NOW + 600_000.5,
    by: 'flood',
    who: null,
    grade: 'packet',
    reason: '100 REGISTERs in 10 s, none answered by a success',
    evidence: { registers: 100, nonce: null, shared: true, agent: 'friendly-scanner' },
    ...changes,
  }
}

function verdict(source: string, changes: Partial<VerdictEntry> = {}): VerdictEntry {
  return {
    time: NOW,
    source: prefix(source),
    port: 5060,
    action: 'suspend',
    scope: 'register',
    grade: 'path',
    reason: 'six failures',
    evidence: { failures: 6 },
    ...changes,
  }
}

function faultOf(action: () => unknown): { fault: string; doing: string; message: string } {
  try {
    action()
  } catch (error) {
    if (error instanceof JournalError)
      return { fault: error.fault, doing: error.doing, message: error.message }
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('decisions', () => {
  test('outlive a restart with everything that was recorded', () => {
    const first = open()
    const flood = first.recordDecision(block('192.0.2.7'))
    const suspension = first.recordDecision(
      block('192.0.2.8', {
        kind: 'suspend',
        target: { kind: 'source', address: address('192.0.2.8'), port: 5062 },
        until: null,
        by: 'operator',
        who: 'root@cli',
        grade: null,
      }),
    )
    expect(flood).toEqual({ id: 1, ...block('192.0.2.7'), endedAt: null, endedBy: null })
    first.close()

    expect(open().standingDecisions(NOW)).toEqual([suspension, flood])
  })

  test.each([
    { at: 'before its end', now: NOW + 600_000, standing: 1 },
    { at: 'at its end', now: NOW + 600_000.5, standing: 0 },
    { at: 'later', now: NOW + DAY, standing: 0 },
  ])('a decision $at: $standing stand', ({ now, standing }) => {
    const journal = open()
    journal.recordDecision(block('192.0.2.7'))
    expect(journal.standingDecisions(now)).toHaveLength(standing)
  })

  test('are read page by page, newest first, and without what the kernel need not know', () => {
    const journal = open()
    const hosts = Array.from({ length: 20_001 }, (_, i) => `10.9.${i >> 8}.${i & 255}`)
    const recorded = hosts.map((host) => journal.recordDecision(block(host, { since: NOW + 0.25 })))
    for (const { id } of recorded.slice(0, 3)) journal.endDecision(id, { at: NOW, by: 'a' })
    expect(journal.standingDecisions(NOW)).toEqual(recorded.slice(3).reverse())
    const targets = recorded
      .slice(3)
      .map(({ kind, target, scope, until, by }) => ({ kind, target, scope, until, by }))
    expect(journal.standingTargets(NOW)).toEqual(targets)
    expect(journal.standingTargets(NOW + 365 * DAY)).toEqual([])
  })

  test('are extended and taken back once', () => {
    const journal = open()
    const { id } = journal.recordDecision(block('192.0.2.7'))
    expect(journal.extendDecision(id, NOW + DAY)).toMatchObject({ id, until: NOW + DAY })
    expect(journal.standingDecisions(NOW + DAY - 1)).toHaveLength(1)
    expect(journal.endDecision(id, { at: NOW + 1, by: 'root@cli' })).toMatchObject({
      id,
      endedAt: NOW + 1,
      endedBy: 'root@cli',
    })
    expect(journal.endDecision(id, { at: NOW + 2, by: 'again' })).toBeUndefined()
    expect(journal.extendDecision(id, null)).toBeUndefined()
    expect(journal.extendDecision(999, null)).toBeUndefined()
    expect(journal.standingDecisions(NOW)).toEqual([])
  })

  test('of an address are those about it, its ports and every prefix that holds it, newest first', () => {
    const journal = open()
    for (const target of ['192.0.2.7', '192.0.2.0/24', '192.0.2.8', '198.51.100.0/24']) {
      journal.recordDecision(block(target))
    }
    journal.recordDecision(
      block('192.0.2.7', { target: { kind: 'source', address: address('192.0.2.7'), port: 5062 } }),
    )
    journal.recordDecision(block('2001:db8:0:1::/64'))
    const ids = (text: string, limit = 10) =>
      journal.decisionsOf(address(text), { limit }).map((decision) => decision.id)
    expect(ids('192.0.2.7')).toEqual([5, 2, 1])
    expect(ids('192.0.2.7', 2)).toEqual([5, 2])
    expect(ids('2001:db8:0:1::99')).toEqual([6])
    expect(ids('2001:db8:0:2::99')).toEqual([])
  })
})

test('verdicts are kept within their bound, the newest of a source first', () => {
  const journal = open({ verdicts: { rows: 1_500, age: DAY } })
  for (let i = 0; i < 4_000; i++) journal.recordVerdict(verdict('192.0.2.7', { evidence: { i } }))
  journal.recordVerdict(verdict('192.0.2.8', { port: null }))
  const kept = journal.verdictsOf(prefix('192.0.2.7'), { limit: 10_000 })
  // The bound is looked at each thousand; `tidy` is exact.
  expect(kept.length).toBeLessThan(2_500)
  expect(kept[0]).toEqual(verdict('192.0.2.7', { evidence: { i: 3_999 } }))
  journal.tidy(NOW)
  expect(journal.verdictsOf(prefix('192.0.2.7'), { limit: 10_000 })).toHaveLength(1_499)
  expect(journal.verdictsOf(prefix('192.0.2.8'), { limit: 10 })).toEqual([
    verdict('192.0.2.8', { port: null }),
  ])
  expect(journal.tidy(NOW + 2 * DAY)).toEqual({ removed: 1_500 })
})

test('a verdict is kept with the name of its rule, an alert like the others', () => {
  const journal = open()
  const alert = verdict('192.0.2.7', { name: 'account-guessed', action: 'alert', port: null })
  journal.recordVerdict(alert)
  expect(journal.verdictsOf(prefix('192.0.2.7'), { limit: 1 })).toEqual([alert])
})

test('a verdict that comes alone is on the disk at once, those of a burst after a flush', () => {
  const journal = open()
  const onDisk = () => {
    const other = new Sqlite(file, { readonly: true })
    const { rows } = other.prepare<[], { rows: number }>('SELECT count(*) AS rows FROM verdicts').get()!
    other.close()
    return rows
  }
  journal.recordVerdict(verdict('192.0.2.7'))
  expect(onDisk()).toBe(1)
  for (let i = 1; i <= 150; i++) journal.recordVerdict(verdict('192.0.2.7', { time: NOW + i }))
  expect(onDisk()).toBe(1)
  journal.flush()
  expect(onDisk()).toBe(151)
  journal.recordVerdict(verdict('192.0.2.7', { time: NOW + 1_000 }))
  expect(onDisk()).toBe(152)
})

test('past decisions go by number and by age, those that stand are never let go', () => {
  const journal = open({ pastDecisions: { rows: 2, age: DAY } })
  const standing = journal.recordDecision(block('203.0.113.1', { until: null }))
  for (let i = 1; i <= 4; i++) journal.recordDecision(block(`192.0.2.${i}`, { until: NOW + i }))
  const targets = (text: string) => journal.decisionsOf(address(text), { limit: 9 }).length
  expect(journal.tidy(NOW + 10)).toEqual({ removed: 2 })
  expect([1, 2, 3, 4].map((i) => targets(`192.0.2.${i}`))).toEqual([0, 0, 1, 1])
  expect(journal.tidy(NOW + 2 * DAY)).toEqual({ removed: 2 })
  expect(journal.standingDecisions(NOW + 2 * DAY)).toEqual([standing])
})

test('the allowlist, settings, audit, accounts and bindings are kept over a restart', () => {
  const allow = (target: string, reason: string) => ({
    target: prefix(target),
    since: NOW,
    who: 'root@cli',
    reason,
  })
  const first = open()
  first.addAllow(allow('192.0.2.7', 'trunk'))
  first.addAllow(allow('198.51.100.0/24', 'office'))
  first.addAllow({ ...allow('192.0.2.7', 'trunk of Example'), since: NOW + 5 })
  expect(first.removeAllow(prefix('198.51.100.0/24'))).toEqual(allow('198.51.100.0/24', 'office'))
  expect(first.removeAllow(prefix('198.51.100.0/24'))).toBeUndefined()
  first.putSetting('enforce-sip', 'false')
  first.putSetting('enforce-sip', 'true')
  first.audit({ time: NOW, who: 'root@cli', what: 'off', target: '' })
  first.audit({ time: NOW + 1, who: 'root@cli', what: 'block', target: '192.0.2.7' })
  first.close()

  const second = open()
  expect(second.listAllow()).toEqual([allow('192.0.2.7', 'trunk of Example')])
  expect(second.setting('enforce-sip')).toBe('true')
  expect(second.setting('never set')).toBeUndefined()
  expect(second.listAudit({ limit: 1 })).toEqual([
    { time: NOW + 1, who: 'root@cli', what: 'block', target: '192.0.2.7' },
  ])
})

describe('known sources', () => {
  test('are held back, merged, written by close, and found since a moment', () => {
    const first = open()
    first.rememberSuccess(prefix('192.0.2.7'), { at: NOW, until: NOW + 100 })
    first.rememberSuccess(prefix('192.0.2.7'), { at: NOW + 10, until: NOW + 50 })
    first.rememberSuccess(prefix('192.0.2.8'), { at: NOW - 10, until: NOW })
    const merged = { source: '192.0.2.7/32', at: NOW + 10, until: NOW + 100 }
    expect(first.knownSources(NOW)).toEqual([merged])
    first.rememberSuccess(prefix('192.0.2.9'), { at: NOW + 20, until: NOW + 30 })
    first.close()
    expect(open().knownSources(NOW)).toEqual([
      { source: '192.0.2.9/32', at: NOW + 20, until: NOW + 30 },
      merged,
    ])
  })

  test('over their bound the oldest are let go', () => {
    const journal = open({ knownSources: { rows: 100 } })
    for (let i = 0; i < 250; i++) {
      journal.rememberSuccess(prefix(`10.0.0.${i}`), { at: NOW + i, until: NOW + i })
    }
    expect(journal.tidy(NOW)).toEqual({ removed: 150 })
    expect(journal.knownSources(0).map(({ at }) => at - NOW)).toEqual(
      Array.from({ length: 100 }, (_, i) => 249 - i),
    )
  })
})

describe('lanes', () => {
  const proven = (port: number, changes: Partial<ProvenEntry> = {}): ProvenEntry => ({
    account: '1001@example.com',
    address: address('192.0.2.7'),
    port,
    until: NOW + port,
    ...changes,
  })

  test('outlive a restart: who is proven and not over, what ends first comes first', () => {
    const first = open()
    first.rememberProven(proven(3))
    first.rememberProven(proven(2))
    first.rememberProven(proven(2, { account: "o'hara; DROP TABLE proven" }))
    first.rememberProven(proven(2, { address: address('2001:db8::7') }))
    first.rememberProven(proven(1, { until: NOW }))
    first.rememberProven(proven(4))
    first.rememberProven(proven(3, { until: NOW + 9_000 }))
    first.forgetProven(proven(4))
    const kept = [
      proven(2),
      proven(2, { address: address('2001:db8::7') }),
      proven(2, { account: "o'hara; DROP TABLE proven" }),
      proven(3, { until: NOW + 9_000 }),
    ]
    expect(new Set(first.provenEntries(NOW))).toEqual(new Set(kept))
    first.forgetProven(proven(2))
    first.close()
    const again = open().provenEntries(NOW)
    expect(new Set(again)).toEqual(new Set(kept.slice(1)))
    expect(again.at(-1)).toEqual(kept.at(-1))
  })

  test('outlive a restart: who returns, oldest first, with the last that is known of each', () => {
    const first = open()
    first.rememberReturning({ source: prefix('192.0.2.7'), at: NOW, accounts: 1 })
    first.rememberReturning({ source: prefix('2001:db8:1:2::/64'), at: NOW - 5, accounts: 70 })
    first.rememberReturning({ source: prefix('192.0.2.7'), at: NOW + 5, accounts: 2 })
    first.rememberReturning({ source: prefix('192.0.2.8'), at: NOW - 10, accounts: 1 })
    first.close()
    expect(open().returningEntries(NOW - 5)).toEqual([
      { source: '2001:db8:1:2::/64', at: NOW - 5, accounts: 70 },
      { source: '192.0.2.7/32', at: NOW + 5, accounts: 2 },
    ])
  })

  test('are bounded: what is over goes, and then what is over first', () => {
    const journal = open({ lanes: { rows: 100, age: DAY } })
    for (let port = 1; port <= 250; port++) {
      journal.rememberProven(proven(port))
      journal.rememberReturning({ source: prefix(`10.0.0.${port}`), at: NOW - DAY + port, accounts: 1 })
    }
    expect(journal.tidy(NOW + 50)).toEqual({ removed: 300 })
    expect(journal.provenEntries(0).map(({ port }) => port)).toEqual(
      Array.from({ length: 100 }, (_, i) => 151 + i),
    )
    expect(journal.returningEntries(0)).toHaveLength(100)
    expect(journal.tidy(NOW + 300)).toEqual({ removed: 200 })
  })

  test('of a journal of the first version are the sources that it knew', () => {
    const before = open()
    before.rememberSuccess(prefix('192.0.2.7'), { at: NOW, until: NOW + 100 })
    before.close()
    const database = new Sqlite(file)
    database.exec(
      'DROP TABLE proven; DROP TABLE returning_sources; DROP TABLE baseline; DROP TABLE weather; PRAGMA user_version = 1',
    )
    database.close()
    const journal = open()
    expect(journal.returningEntries(0)).toEqual([{ source: '192.0.2.7/32', at: NOW, accounts: 1 }])
    expect(journal.knownSources(0)).toHaveLength(1)
    expect(journal.provenEntries(0)).toEqual([])
  })
})

describe('a broken world', () => {
  test.each([
    {
      kind: 'no database at all',
      damage: () => writeFileSync(file, 'not a database, but long enough to be one'.repeat(200)),
    },
    {
      kind: 'a database with its pages overwritten',
      damage: () => {
        const journal = open()
        for (let i = 0; i < 500; i++) journal.recordVerdict(verdict('192.0.2.7'))
        journal.close()
        const bytes = Buffer.alloc(statSync(file).size - 4_096, 0xa5)
        const database = new Sqlite(file)
        database.pragma('wal_checkpoint(TRUNCATE)')
        database.close()
        writeFileSync(file, bytes, { flag: 'r+' })
      },
    },
    {
      kind: "somebody else's database",
      damage: () => {
        const database = new Sqlite(file)
        database.exec('CREATE TABLE songs (title); PRAGMA user_version = 1')
        database.close()
      },
    },
  ])('$kind is moved aside, said, and a fresh one begun', ({ damage }) => {
    damage()
    const aside = `${file}.damaged-2026-01-02T03-04-05-000Z`
    const { journal, notice } = openJournal({ file, now: () => NOW })
    opened.push(journal)
    expect(notice).toBe(
      `the journal ${file} was damaged; it was moved to ${aside} and a fresh one begun: blocks, accounts and settings that were kept in it are gone`,
    )
    expect(journal.recordDecision(block('192.0.2.7')).id).toBe(1)
    expect(readdirSync(folder)).toContain('journal.sqlite.damaged-2026-01-02T03-04-05-000Z')
  })

  test('a journal of a later version is refused and left as it is', () => {
    open().close()
    const database = new Sqlite(file)
    database.pragma('user_version = 99')
    database.close()
    expect(faultOf(() => openJournal({ file, now: () => NOW }))).toEqual({
      fault: 'too-new',
      doing: 'open',
      message: `the journal ${file} was written by a later version of Ringfence; install that version, or move the file away`,
    })
    expect(readdirSync(folder)).toEqual(['journal.sqlite'])
  })

  test('a folder where the file should be is unavailable', () => {
    expect(faultOf(() => openJournal({ file: folder, now: () => NOW }))).toMatchObject({
      fault: 'unavailable',
      doing: 'open',
    })
  })

  test('a full journal throws a typed error, still answers, and takes entries again once there is room', () => {
    const journal = open({ fileBytes: 400_000, verdicts: { rows: 10, age: DAY } })
    const fill = () => {
      for (;;) journal.recordVerdict(verdict('192.0.2.7', { reason: 'x'.repeat(900) }))
    }
    expect(faultOf(fill)).toMatchObject({ fault: 'full', doing: 'recordVerdict' })
    expect(journal.verdictsOf(prefix('192.0.2.7'), { limit: 1 })).toHaveLength(1)
    expect(journal.tidy(NOW).removed).toBeGreaterThan(100)
    expect(journal.recordDecision(block('192.0.2.7')).id).toBe(1)
  })

  test('a locked journal throws a typed error and holds successes back until it is free', () => {
    const journal = open()
    const other = new Sqlite(file)
    other.exec('BEGIN IMMEDIATE')
    expect(faultOf(() => journal.putSetting('enforce-sip', 'true'))).toEqual({
      fault: 'locked',
      doing: 'putSetting',
      message: `the journal ${file} is locked by another program; end it (putSetting: SQLITE_BUSY)`,
    })
    journal.rememberSuccess(prefix('192.0.2.7'), { at: NOW, until: NOW })
    expect(faultOf(() => journal.flush())).toMatchObject({ fault: 'locked', doing: 'flush' })
    other.exec('ROLLBACK')
    other.close()
    journal.flush()
    expect(journal.knownSources(0)).toHaveLength(1)
  })

  test('a closed journal says so', () => {
    const journal = open()
    journal.close()
    journal.close()
    expect(faultOf(() => journal.listAllow())).toMatchObject({ fault: 'closed', doing: 'listAllow' })
  })

  test('nobody else can read it', () => {
    open()
    expect(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o077)).toEqual([0, 0, 0])
  })

  test('overlong reasons and evidence are cut', () => {
    const journal = open()
    const evidence = { first: 1, long: 'x'.repeat(9_000), after: 2 }
    const decision = journal.recordDecision(block('192.0.2.7', { reason: 'r'.repeat(5_000), evidence }))
    expect(decision.reason).toHaveLength(1_000)
    expect(decision.evidence).toEqual({ first: 1, truncated: true })
  })
})
