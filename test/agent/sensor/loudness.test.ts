import { describe, expect, test } from 'vitest'
import { Loudness, type LoudSecond } from '../../../agent/sensor/loudness.ts'

const NOW = 1_700_000_000_000

/** Whether so many frames a second, for so many milliseconds, are loud. */
function isLoud(perSecond: number, span: number, loudness = new Loudness()): boolean {
  const frames = (perSecond * span) / 1_000
  return Array.from({ length: frames }, (_, i) => loudness.frame(NOW + (i * 1_000) / perSecond)).some(Boolean)
}

const second = (parts: Partial<LoudSecond>): LoudSecond => ({
  seconds: 1,
  answers: 0,
  samples: 1_000,
  mostSamples: 1_000,
  arrivals: undefined,
  ...parts,
})

/** After how many such seconds it is quiet; 20 where it is not. */
function quietAfter(parts: Partial<LoudSecond>, loudness = new Loudness()): number {
  for (let i = 1; i < 20; i++) if (loudness.second(second(parts))) return i
  return 20
}

describe('it is loud', () => {
  test.each([
    [9_000, 3_000, false],
    [11_000, 100, false],
    [11_000, 400, true],
    [250_000, 10, true],
  ])('%i frames a second for %i ms: %s', (perSecond, span, loud) => {
    expect(isLoud(perSecond, span)).toBe(loud)
  })

  test('by what the kernel had no room for', () => {
    const loudness = new Loudness()
    expect([loudness.lost(9_000, 1), loudness.lost(11_000, 1)]).toEqual([false, true])
  })

  test('not where the clock of the capture steps back', () => {
    const loudness = new Loudness()
    for (let i = 0; i < 2_000; i++) loudness.frame(NOW)
    expect(loudness.frame(NOW - 60_000)).toBe(false)
  })
})

describe('it is quiet again after ten seconds', () => {
  test.each<[string, Partial<LoudSecond>, number]>([
    ['of a sample that is whole', { samples: 400 }, 10],
    ['of few arrivals, by the rules’ counters', { arrivals: 4_900 }, 10],
    ['not while more than half arrives', { arrivals: 5_100 }, 20],
    [
      'not while the rules count more than a log that is short of time hands on',
      { samples: 300, arrivals: 11_000 },
      20,
    ],
    ['not while the sample is full and nobody says what it is of', {}, 20],
    ['not while the softswitch answers as much', { samples: 400, answers: 5_000 }, 20],
  ])('%s', (_name, parts, after) => {
    expect(quietAfter(parts)).toBe(after)
  })

  test('in a row', () => {
    const loudness = new Loudness()
    for (let i = 0; i < 9; i++) expect(loudness.second(second({ samples: 0 }))).toBe(false)
    expect(loudness.second(second({ arrivals: 60_000 }))).toBe(false)
    expect(quietAfter({ samples: 0 }, loudness)).toBe(10)
  })
})
