import { expect, test } from 'vitest'
import { DEFAULT_BOUNDS } from '../../../agent/journal/bounds.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'

const NOW = Date.UTC(2026, 0, 5)
const HOUR = 3_600_000
const DAY = 24 * HOUR

function open(rows = 10_000) {
  const bounds = { ...DEFAULT_BOUNDS, weather: { ...DEFAULT_BOUNDS.weather, rows } }
  return openJournal({ file: ':memory:', now: () => NOW, bounds }).journal
}

test('hours of the baseline are kept, replaced, and forgotten when they are old', () => {
  const journal = open()
  const hour = (at: number, registers: number) => ({
    hour: at,
    minutes: 60,
    registers,
    successes: null,
    share: 0.5,
    endpoints: 7,
    newSources: 1.5,
  })
  for (const [at, registers] of [
    [NOW - 40 * DAY, 1],
    [NOW - HOUR, 2],
    [NOW - 2 * HOUR, 3],
    [NOW - HOUR, 4],
  ] as const)
    journal.recordBaseline(hour(at, registers))
  expect(journal.baseline(NOW - DAY)).toEqual([hour(NOW - 2 * HOUR, 3), hour(NOW - HOUR, 4)])
  journal.tidy(NOW)
  expect(journal.baseline(0)).toHaveLength(2)
  journal.close()
})

test('a change that still stands may be amended, and no other is', () => {
  const journal = open()
  const entry = (time: number, registers: number) => ({
    time,
    what: 'weather' as const,
    state: 'attack',
    why: 'W',
    figures: { registers },
  })
  journal.recordWeather(entry(NOW, 1))
  journal.recordWeather(entry(NOW + 1, 2))
  journal.amendWeather(entry(NOW, 3))
  expect(journal.listWeather({ limit: 9 })).toEqual([entry(NOW + 1, 2), entry(NOW, 3)])
  journal.close()
})

test('changes of state are kept newest first, within their bounds', () => {
  const journal = open(3)
  for (let i = 0; i < 5; i++) {
    const figures = { registers: i, share: null, figure: 'registers' }
    journal.recordWeather({ time: NOW + i, what: 'weather', state: 'attack', why: `W${i}`, figures })
  }
  journal.tidy(NOW)
  expect(journal.listWeather({ limit: 9 }).map(({ why }) => why)).toEqual(['W4', 'W3', 'W2'])
  expect(journal.listWeather({ limit: 1 })).toEqual([
    {
      time: NOW + 4,
      what: 'weather',
      state: 'attack',
      why: 'W4',
      figures: { registers: 4, share: null, figure: 'registers' },
    },
  ])
  journal.tidy(NOW + 400 * DAY)
  expect(journal.listWeather({ limit: 9 })).toEqual([])
  journal.close()
})
