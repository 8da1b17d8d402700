import type { Database } from 'better-sqlite3'

/**
 * The schema, one step a version: step n leads from user_version n to n + 1. A step that was released is never
 * edited. Times are milliseconds since 1970 and may have fractions.
 */
const STEPS: readonly string[] = [
  `
  CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('block', 'suspend')),
    -- A prefix where port is null, else an address.
    target TEXT NOT NULL,
    port INTEGER,
    scope TEXT NOT NULL CHECK (scope IN ('register', 'sip')),
    since REAL NOT NULL,
    until REAL,
    by TEXT NOT NULL,
    who TEXT,
    grade TEXT CHECK (grade IN ('packet', 'path', 'account')),
    reason TEXT NOT NULL,
    evidence TEXT NOT NULL,
    ended_at REAL,
    ended_by TEXT
  ) STRICT;
  CREATE INDEX decisions_target ON decisions (target);
  CREATE INDEX decisions_open ON decisions (until) WHERE ended_at IS NULL;

  CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    source TEXT NOT NULL,
    port INTEGER,
    action TEXT NOT NULL CHECK (action IN ('limit', 'suspend', 'block')),
    scope TEXT NOT NULL CHECK (scope IN ('register', 'sip')),
    grade TEXT NOT NULL CHECK (grade IN ('packet', 'path', 'account')),
    reason TEXT NOT NULL,
    evidence TEXT NOT NULL
  ) STRICT;
  CREATE INDEX verdicts_source ON verdicts (source, id);
  CREATE INDEX verdicts_time ON verdicts (time);

  CREATE TABLE allowed (
    target TEXT PRIMARY KEY,
    since REAL NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    target TEXT NOT NULL
  ) STRICT;
  CREATE INDEX audit_time ON audit (time);

  CREATE TABLE known_sources (source TEXT PRIMARY KEY, at REAL NOT NULL, until REAL NOT NULL) STRICT, WITHOUT ROWID;
  -- Holds whole rows, so that all sources since a moment are read in one sweep.
  CREATE INDEX known_sources_at ON known_sources (at, until);
  `,
  `
  CREATE TABLE proven (
    account TEXT NOT NULL,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (account, address, port)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX proven_until ON proven (until);

  CREATE TABLE returning_sources (
    source TEXT PRIMARY KEY,
    at REAL NOT NULL,
    accounts INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX returning_sources_at ON returning_sources (at);
  -- How many accounts were behind a known source was not kept before.
  INSERT INTO returning_sources SELECT source, at, 1 FROM known_sources;
  `,
  `
  -- SQLite cannot widen a CHECK: the table is made anew, with what verdicts have besides.
  CREATE TABLE verdicts_next (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    source TEXT NOT NULL,
    port INTEGER,
    -- Null for verdicts of before it was kept.
    name TEXT,
    action TEXT NOT NULL CHECK (action IN ('limit', 'alert', 'suspend', 'block')),
    scope TEXT NOT NULL CHECK (scope IN ('register', 'sip')),
    grade TEXT NOT NULL CHECK (grade IN ('packet', 'path', 'account')),
    reason TEXT NOT NULL,
    evidence TEXT NOT NULL
  ) STRICT;
  INSERT INTO verdicts_next (id, time, source, port, action, scope, grade, reason, evidence)
    SELECT id, time, source, port, action, scope, grade, reason, evidence FROM verdicts;
  DROP TABLE verdicts;
  ALTER TABLE verdicts_next RENAME TO verdicts;
  CREATE INDEX verdicts_source ON verdicts (source, id);
  CREATE INDEX verdicts_time ON verdicts (time);
  `,
  `
  -- What was usual in each hour of the last weeks, and the changes between peace, attack and recovery.
  CREATE TABLE baseline (
    hour REAL PRIMARY KEY,
    minutes INTEGER NOT NULL,
    registers REAL NOT NULL,
    successes REAL,
    share REAL,
    endpoints REAL NOT NULL,
    new_sources REAL NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE weather (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    what TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    figures TEXT NOT NULL
  ) STRICT;
  CREATE INDEX weather_time ON weather (time);
  `,
  `
  -- Who is registered from an address is asked by address.
  CREATE INDEX proven_address ON proven (address);
  `,
]

const SCHEMA_VERSION = STEPS.length

/** Brings the schema up to date in one transaction. `too-new`: a later Ringfence wrote it; nothing is changed. */
export function migrate(database: Database): 'done' | 'too-new' {
  const version = Number(database.pragma('user_version', { simple: true }))
  if (version > SCHEMA_VERSION) return 'too-new'
  if (version === SCHEMA_VERSION) return 'done'
  database.transaction(() => {
    for (const step of STEPS.slice(version)) database.exec(step)
    database.pragma(`user_version = ${SCHEMA_VERSION}`)
  })()
  return 'done'
}
