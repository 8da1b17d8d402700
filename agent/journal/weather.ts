import type { Database } from 'better-sqlite3'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { boundedText, evidenceToJson, type JournalBounds, MOST_REMOVED_AT_ONCE } from './bounds.ts'
import type { BaselineEntry, Evidence, WeatherEntry } from './entries.ts'
import type { Journal } from './journal.ts'

interface WeatherRow extends Omit<WeatherEntry, 'figures'> {
  readonly figures: string
}

/** What is usual at each hour of the last weeks, and the changes of state. */
export function weatherTables(
  database: Database,
  bounds: JournalBounds['weather'],
): Pick<Journal, 'recordWeather' | 'amendWeather' | 'listWeather' | 'recordBaseline' | 'baseline'> & {
  tidyWeather(now: EpochMilliseconds): number
} {
  const insert = database.prepare(
    'INSERT INTO weather (time, what, state, why, figures) VALUES (?, ?, ?, ?, ?)',
  )
  const amend = database.prepare('UPDATE weather SET figures = ? WHERE time = ? AND what = ? AND state = ?')
  const list = database.prepare<unknown[], WeatherRow>(
    'SELECT time, what, state, why, figures FROM weather ORDER BY id DESC LIMIT ?',
  )
  const removeOver = database.prepare(
    `DELETE FROM weather WHERE id IN (
       SELECT id FROM weather WHERE id <= (SELECT max(id) FROM weather) - ? ORDER BY id LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const removeOld = database.prepare(
    `DELETE FROM weather WHERE id IN (SELECT id FROM weather WHERE time < ? LIMIT ${MOST_REMOVED_AT_ONCE})`,
  )
  const putHour = database.prepare(
    `INSERT OR REPLACE INTO baseline (hour, minutes, registers, successes, share, endpoints, new_sources)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
  )
  const hours = database.prepare<unknown[], BaselineEntry>(
    `SELECT hour, minutes, registers, successes, share, endpoints, new_sources AS newSources
     FROM baseline WHERE hour >= ? ORDER BY hour`,
  )
  const removeHours = database.prepare('DELETE FROM baseline WHERE hour < ?')
  return {
    recordWeather({ time, what, state, why, figures }) {
      insert.run(time, what, state, boundedText(why), evidenceToJson(figures))
    },
    amendWeather({ time, what, state, figures }) {
      amend.run(evidenceToJson(figures), time, what, state)
    },
    listWeather: ({ limit }) =>
      list.all(limit).map((row) => ({ ...row, figures: JSON.parse(row.figures) as Evidence })),
    recordBaseline({ hour, minutes, registers, successes, share, endpoints, newSources }) {
      putHour.run(hour, minutes, registers, successes, share, endpoints, newSources)
    },
    baseline: (since) => hours.all(since),
    tidyWeather: (now) =>
      removeOver.run(bounds.rows).changes +
      removeOld.run(now - bounds.age).changes +
      removeHours.run(now - bounds.baselineAge).changes,
  }
}
