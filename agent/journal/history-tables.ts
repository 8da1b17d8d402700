import type { Database } from 'better-sqlite3'
import { type Address, type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { MinuteTotals, RecordBatch, RecordedExchange, RegisterMinute } from '../observe/recorded.ts'
import { DAY, type History, type HistoryBounds, type HistoryExtent, type SourceSuccess } from './history.ts'

/** A table's rows that one look takes out at most: some 30 ms. */
const MOST_REMOVED = 5_000

export const HISTORY_VERSION = 1

/** Times are milliseconds since 1970 and may have fractions. A row's number only says what was written first. */
export const HISTORY_SCHEMA = `
  CREATE TABLE exchanges (
    slot REAL NOT NULL,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    account TEXT NOT NULL,
    outcome TEXT NOT NULL,
    grade TEXT NOT NULL,
    transport TEXT NOT NULL,
    -- Whether a success removed bindings; of a failure what its nonce proves: 1 of the port, 2 issued, 4 not certain.
    removal INTEGER NOT NULL,
    first REAL NOT NULL,
    last REAL NOT NULL,
    count INTEGER NOT NULL,
    server_port INTEGER NOT NULL,
    status INTEGER NOT NULL,
    -- 1: with credentials; 2: over a challenge that was sent to it.
    proofs INTEGER NOT NULL,
    expires REAL NOT NULL,
    user_agent TEXT NOT NULL,
    bindings TEXT NOT NULL,
    PRIMARY KEY (slot, address, port, account, outcome, grade, transport, removal)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE registers (
    minute REAL NOT NULL,
    source TEXT NOT NULL,
    port INTEGER NOT NULL,
    transport TEXT NOT NULL,
    slices TEXT NOT NULL,
    answering INTEGER NOT NULL,
    challenges INTEGER NOT NULL,
    accounts INTEGER NOT NULL,
    names TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    malformed INTEGER NOT NULL,
    PRIMARY KEY (minute, source)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE totals (
    minute REAL PRIMARY KEY,
    registers INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    of_sources INTEGER NOT NULL,
    sources_let_go INTEGER NOT NULL,
    of_sources_let_go INTEGER NOT NULL,
    challenges INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    overloads INTEGER NOT NULL,
    silences INTEGER NOT NULL,
    malformed INTEGER NOT NULL,
    exchanges_let_go INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- To count the rows of a large table takes long: they are counted as they come and go.
  CREATE TABLE sizes (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  INSERT INTO sizes VALUES ('exchanges', 0), ('registers', 0), ('removed', 0);
`

interface ExchangeRow {
  readonly slot: number
  readonly address: string
  readonly port: number
  readonly account: string
  readonly outcome: RecordedExchange['outcome']
  readonly grade: RecordedExchange['grade']
  readonly transport: RecordedExchange['transport']
  readonly removal: number
  readonly first: number
  readonly last: number
  readonly count: number
  readonly server_port: number
  readonly status: number
  readonly proofs: number
  readonly expires: number
  readonly user_agent: string
  readonly bindings: string
}

interface RegisterRow {
  readonly minute: number
  readonly source: string
  readonly port: number
  readonly transport: RegisterMinute['transport']
  readonly slices: string
  readonly answering: number
  readonly challenges: number
  readonly accounts: number
  readonly names: string
  readonly user_agent: string
  readonly malformed: number
}

const WITH_CREDENTIALS = 1
const ANSWERS_ITS_CHALLENGE = 2
const OF_PORT = 1
const ISSUED = 2
const UNCERTAIN = 4

type Size = 'exchanges' | 'registers' | 'removed'

/** The tables of the record. */
export function historyTables(database: Database, bounds: HistoryBounds): Omit<History, 'close'> {
  const size = database.prepare<unknown[], { value: number }>('SELECT value FROM sizes WHERE name = ?')
  const grow = database.prepare('UPDATE sizes SET value = value + ? WHERE name = ?')
  const putExchange = database.prepare<unknown[], { count: number }>(
    `INSERT INTO exchanges (slot, address, port, account, outcome, grade, transport, removal, first, last, count,
       server_port, status, proofs, expires, user_agent, bindings)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last),
       count = count + excluded.count, status = excluded.status, proofs = proofs | excluded.proofs,
       expires = excluded.expires, user_agent = excluded.user_agent, bindings = excluded.bindings
     RETURNING count`,
  )
  const putRegisters = database.prepare(
    `INSERT OR IGNORE INTO registers (minute, source, port, transport, slices, answering, challenges, accounts,
       names, user_agent, malformed)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const putTotals = database.prepare('INSERT OR IGNORE INTO totals VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)')
  const exchangesOf = database.prepare<unknown[], ExchangeRow>(
    'SELECT * FROM exchanges WHERE slot >= ? AND slot < ? ORDER BY slot',
  )
  const registersOf = database.prepare<unknown[], RegisterRow>(
    'SELECT * FROM registers WHERE minute >= ? AND minute < ? ORDER BY minute',
  )
  const successes = database.prepare<unknown[], { address: string; at: number; until: number }>(
    `SELECT address, max(last) AS at, max(last + expires * 1000) AS until FROM exchanges
     WHERE slot < ? AND outcome = 'success' AND removal = 0 GROUP BY address`,
  )
  const registrations = database.prepare<unknown[], ExchangeRow>(
    `SELECT * FROM exchanges WHERE slot >= ? AND outcome = 'success' AND (removal = 1 OR last + expires * 1000 > ?)
     ORDER BY last DESC LIMIT ?`,
  )
  const ends = database.prepare<unknown[], { from: number | null; to: number | null }>(
    'SELECT min(minute) AS "from", max(minute) AS "to" FROM totals',
  )
  const sums = database.prepare<
    unknown[],
    { minutes: number } & Record<'registers' | 'ofSources' | 'sourcesLetGo' | 'exchangesLetGo', number | null>
  >(
    `SELECT count(*) AS minutes, sum(registers) AS registers, sum(of_sources) AS ofSources,
       sum(sources_let_go) AS sourcesLetGo, sum(exchanges_let_go) AS exchangesLetGo
     FROM totals WHERE minute >= ? AND minute < ?`,
  )
  // A success is kept with its hour, which began before it: the rows of the first hour say when the first one came.
  const oldest = database.prepare<unknown[], { first: number | null }>(
    `SELECT min(max(slot, first)) AS first FROM exchanges WHERE slot < (SELECT min(slot) FROM exchanges) + ${DAY / 24}`,
  )
  const key = 'slot, address, port, account, outcome, grade, transport, removal'
  const removeExchanges = database.prepare(
    `DELETE FROM exchanges WHERE (${key}) IN (SELECT ${key} FROM exchanges WHERE slot < ? ORDER BY slot LIMIT ?)`,
  )
  const removeRegisters = database.prepare(
    `DELETE FROM registers WHERE (minute, source) IN
       (SELECT minute, source FROM registers WHERE minute < ? ORDER BY minute LIMIT ?)`,
  )
  const removeTotals = database.prepare('DELETE FROM totals WHERE minute < ?')
  const sizeOf = (name: Size) => size.get(name)?.value ?? 0

  function remove(
    before: EpochMilliseconds,
    most: Readonly<Record<'exchanges' | 'registers', number>>,
  ): number {
    const exchanges = most.exchanges > 0 ? removeExchanges.run(before, most.exchanges).changes : 0
    const registers = most.registers > 0 ? removeRegisters.run(before, most.registers).changes : 0
    grow.run(-exchanges, 'exchanges')
    grow.run(-registers, 'registers')
    return exchanges + registers
  }

  const write = database.transaction(({ exchanges, registers, totals }: RecordBatch) => {
    let fresh = 0
    for (const row of exchanges) {
      const { slot, first, last, count, source, account, outcome, grade, transport } = row
      const proofs =
        (row.withCredentials ? WITH_CREDENTIALS : 0) | (row.answersItsChallenge ? ANSWERS_ITS_CHALLENGE : 0)
      const key = [slot, source.address, source.port, account, outcome, grade, transport, removalOf(row)]
      const rest = [first, last, count, row.serverPort, row.status, proofs, row.grantedExpires, row.userAgent]
      const put = putExchange.get(...key, ...rest, JSON.stringify(row.bindings))
      if (put?.count === count) fresh++
    }
    let freshRegisters = 0
    for (const row of registers) freshRegisters += putRegisters.run(...valuesOf(row)).changes
    for (const row of totals) putTotals.run(...totalsOf(row))
    grow.run(fresh, 'exchanges')
    grow.run(freshRegisters, 'registers')
    const over = {
      exchanges: Math.min(MOST_REMOVED, sizeOf('exchanges') - bounds.exchanges),
      registers: Math.min(MOST_REMOVED, sizeOf('registers') - bounds.registers),
    }
    const removed = remove(Number.MAX_SAFE_INTEGER, over)
    if (removed > 0) grow.run(removed, 'removed')
  })

  return {
    write: (batch) => write(batch),
    exchangesBetween: (from, to) => exchangesOf.all(from, to).map(exchangeOf),
    registersBetween: (from, to) => registersOf.all(from, to).map(registerOf),
    successesBefore: (before) => latestOfSources(successes.all(before)),
    registrationsAt: (now, { limit }) =>
      registrations
        .all(now - DAY, now, limit)
        .reverse()
        .map(exchangeOf),
    extent(range = { from: 0, to: Number.MAX_SAFE_INTEGER }): HistoryExtent {
      const { from, to } = ends.get() ?? { from: null, to: null }
      const sum = sums.get(range.from, range.to)
      const first = oldest.get()?.first ?? null
      return {
        // Rows that had to go for lack of room went from the oldest on, whatever the totals still say.
        from: sizeOf('removed') > 0 ? first : smaller(from, first),
        to,
        exchangeRows: sizeOf('exchanges'),
        removedForRoom: sizeOf('removed'),
        minutes: sum?.minutes ?? 0,
        registers: sum?.registers ?? 0,
        ofSources: sum?.ofSources ?? 0,
        sourcesLetGo: sum?.sourcesLetGo ?? 0,
        exchangesLetGo: sum?.exchangesLetGo ?? 0,
      }
    },
    tidy: database.transaction((before: EpochMilliseconds) => {
      removeTotals.run(before)
      return { removed: remove(before, { exchanges: MOST_REMOVED, registers: MOST_REMOVED }) }
    }),
  }
}

function smaller(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}

function exchangeOf(row: ExchangeRow): RecordedExchange {
  const { slot, first, last, count, address, port, account, outcome, grade, transport, status, proofs } = row
  return {
    slot,
    first,
    last,
    count,
    source: { address: address as Address, port },
    serverPort: row.server_port,
    transport,
    account,
    outcome,
    status,
    grade,
    withCredentials: (proofs & WITH_CREDENTIALS) !== 0,
    answersItsChallenge: (proofs & ANSWERS_ITS_CHALLENGE) !== 0,
    ...(outcome === 'failure' ? nonceProofOf(row.removal) : {}),
    grantedExpires: row.expires,
    userAgent: row.user_agent,
    bindings: listOf<RecordedExchange['bindings'][number]>(row.bindings),
  }
}

/** The column that tells rows apart that are alike in all else. */
function removalOf({
  outcome,
  grantedExpires,
  nonceOfPort,
  nonceIssued,
  pathCertain = true,
}: RecordedExchange): number {
  if (outcome === 'success') return grantedExpires === 0 ? 1 : 0
  return (nonceOfPort ? OF_PORT : 0) | (nonceIssued ? ISSUED : 0) | (pathCertain ? 0 : UNCERTAIN)
}

function nonceProofOf(removal: number) {
  return {
    nonceOfPort: (removal & OF_PORT) !== 0,
    nonceIssued: (removal & ISSUED) !== 0,
    pathCertain: (removal & UNCERTAIN) === 0,
  }
}

function registerOf(row: RegisterRow): RegisterMinute {
  const { minute, port, transport, answering, challenges, accounts, malformed } = row
  return {
    minute,
    source: row.source as Prefix,
    port,
    transport,
    slices: listOf<number>(row.slices),
    answering,
    challenges,
    accounts,
    names: listOf<string>(row.names),
    userAgent: row.user_agent,
    malformed,
  }
}

function valuesOf(row: RegisterMinute): readonly (string | number)[] {
  const { minute, source, port, transport, slices, answering, challenges, accounts, names } = row
  const texts = [JSON.stringify(names), row.userAgent]
  const counts = [answering, challenges, accounts]
  return [minute, source, port, transport, JSON.stringify(slices), ...counts, ...texts, row.malformed]
}

function totalsOf(row: MinuteTotals): readonly number[] {
  const { minute, registers, sources, ofSources, sourcesLetGo, ofSourcesLetGo, challenges, successes } = row
  const { failures, overloads, silences, malformed, exchangesLetGo } = row
  const seen = [challenges, successes, failures, overloads, silences, malformed, exchangesLetGo]
  return [minute, registers, sources, ofSources, sourcesLetGo, ofSourcesLetGo, ...seen]
}

/** IPv6 is judged by /64, which the database does not know. */
function latestOfSources(rows: readonly { address: string; at: number; until: number }[]): SourceSuccess[] {
  const latest = new Map<Prefix, SourceSuccess>()
  for (const { address, at, until } of rows) {
    const source = sourcePrefixOf(address as Address)
    const known = latest.get(source)
    latest.set(source, {
      source,
      at: Math.max(at, known?.at ?? at),
      until: Math.max(until, known?.until ?? until),
    })
  }
  return [...latest.values()]
}

function listOf<T>(json: string): readonly T[] {
  try {
    const value: unknown = JSON.parse(json)
    return Array.isArray(value) ? (value as T[]) : []
  } catch {
    return []
  }
}
