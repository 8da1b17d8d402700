import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BASELINE_AGE,
  type BaselineHour,
  expectedAt,
  type Figures,
  type Range,
  summariseHour,
  withHour,
} from '../../../agent/decide/baseline.ts'
import { NO_ANOMALIES, nextAnomalies, sayAnomaly } from '../../../agent/decide/baseline-anomalies.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK = 7 * DAY
/** A Monday at midnight. */
const MONDAY = Date.UTC(2026, 0, 5)

/** Two thousand phones that register every five minutes, and half of them only while people work. */
function usual(at: number, phones = 2_000): Figures {
  const hour = Math.floor((at % DAY) / HOUR)
  const weekday = Math.floor((at - MONDAY + 100 * WEEK) / DAY) % 7 < 5
  const present = weekday && hour >= 8 && hour < 18 ? phones : phones / 2
  return { registers: present / 150, successes: present / 300, share: 0.5, endpoints: present, newSources: 1 }
}

function hoursOf(
  from: number,
  to: number,
  figures: (at: number) => Figures = usual,
): readonly BaselineHour[] {
  const hours: BaselineHour[] = []
  for (let hour = from; hour < to; hour += HOUR) hours.push({ hour, minutes: 60, ...figures(hour) })
  return hours
}

function rangesAt(hours: readonly BaselineHour[], at: number) {
  const expected = expectedAt(hours, at)
  if (expected.kind !== 'learnt') throw new Error(`${expected.hours} hours are too few`)
  return expected.ranges
}

describe('the baseline', () => {
  it.each([0, 1, 23])('of %d hours says that it is not learnt', (count) => {
    const hours = hoursOf(MONDAY, MONDAY + count * HOUR)
    expect(expectedAt(hours, MONDAY + count * HOUR)).toEqual({ kind: 'learning', hours: count })
  })

  it('of a day expects the same hour of another day', () => {
    const ranges = rangesAt(hoursOf(MONDAY, MONDAY + DAY), MONDAY + DAY + 12.5 * HOUR)
    // The first weekend must not be a fall.
    expect(ranges.endpoints).toMatchObject({ usual: 2_000, low: 0, high: 4_000 })
    expect(ranges.registers!.usual).toBeCloseTo(13.3, 1)
    expect(ranges.registers!.high).toBeCloseTo(40, 0)
    expect(ranges.share).toEqual({ usual: 0.5, low: 0.25, high: 1 })
  })

  it('of three weeks knows a Sunday from a Monday', () => {
    const hours = hoursOf(MONDAY - 3 * WEEK, MONDAY)
    expect(rangesAt(hours, MONDAY + 6 * DAY + 12 * HOUR).endpoints!.usual).toBe(1_000)
    expect(rangesAt(hours, MONDAY + 12 * HOUR).endpoints!.usual).toBe(2_000)
  })

  it('takes the hours beside for usual too, since habits do not begin on the minute', () => {
    const hours = hoursOf(MONDAY - 3 * WEEK, MONDAY)
    const { low, high } = rangesAt(hours, MONDAY + 7.9 * HOUR).endpoints!
    expect([low, high]).toEqual([800, 4_000])
  })

  it('does not learn an attack that lasts two days, even where nobody left it out', () => {
    const isAttack = (at: number) => at >= MONDAY + 2 * WEEK && at < MONDAY + 2 * WEEK + 2 * DAY
    const hours = hoursOf(MONDAY, MONDAY + 3 * WEEK, (at) =>
      isAttack(at) ? { ...usual(at), registers: 80_000, share: 0.0001 } : usual(at),
    )
    for (let at = MONDAY + 3 * WEEK; at < MONDAY + 4 * WEEK; at += HOUR) {
      const { registers, share } = rangesAt(hours, at)
      expect(registers!.high).toBeLessThan(50)
      expect(share!.low).toBeGreaterThanOrEqual(0.2)
    }
  })

  it('follows a slow rise over weeks, and finds nothing unusual in it', () => {
    const phones = (at: number) => Math.round(1_000 * 1.06 ** ((at - MONDAY) / WEEK))
    const grown = (at: number) => usual(at, phones(at))
    let hours: readonly BaselineHour[] = []
    let watch = NO_ANOMALIES
    for (let at = MONDAY; at < MONDAY + 16 * WEEK; at += HOUR) {
      const expected = expectedAt(hours, at)
      // Three minutes of each hour are enough for an anomaly to begin.
      for (let i = 0; i < 4; i++) {
        const step = nextAnomalies(watch, { minute: grown(at), expected, now: at + i * MINUTE })
        expect(step.began).toEqual([])
        watch = step.watch
      }
      hours = withHour(
        hours,
        summariseHour(
          at,
          Array.from({ length: 60 }, () => grown(at)),
          expected,
        )!,
      )
    }
    const at = MONDAY + 16 * WEEK + 12 * HOUR
    expect(rangesAt(hours, at).endpoints!.usual).toBeGreaterThan(phones(at) * 0.8)
  })

  it('stays within its bound, and forgets what is old', () => {
    let hours: readonly BaselineHour[] = []
    for (let at = MONDAY; at < MONDAY + 10 * WEEK; at += HOUR)
      hours = withHour(hours, { hour: at, minutes: 60, ...usual(at) })
    expect(hours.length).toBeLessThanOrEqual(BASELINE_AGE / HOUR)
    expect(expectedAt(hours, MONDAY + 30 * WEEK)).toEqual({ kind: 'learning', hours: 0 })
  })

  it('leaves an hour out of which little was seen, and clips one that went too far', () => {
    const expected = expectedAt(hoursOf(MONDAY, MONDAY + DAY), MONDAY + DAY)
    const minutes = (count: number, changes: Partial<Figures> = {}) =>
      Array.from({ length: count }, () => ({ ...usual(MONDAY), ...changes }))
    expect(summariseHour(MONDAY + DAY, minutes(19), expected)).toBeUndefined()
    expect(summariseHour(MONDAY + DAY, minutes(20), expected)).toMatchObject({
      minutes: 20,
      endpoints: 1_000,
    })
    expect(summariseHour(MONDAY + DAY, minutes(60, { endpoints: 90_000 }), expected)!.endpoints).toBe(2_000)
    expect(
      summariseHour(MONDAY + DAY, minutes(60, { successes: null, share: null }), expected),
    ).toMatchObject({
      successes: null,
      share: null,
    })
  })

  it('keeps what is usual between its ends, whatever was seen', () => {
    const figures = fc.record({
      registers: fc.float({ min: 0, max: 1e6, noNaN: true }),
      successes: fc.option(fc.float({ min: 0, max: 1e6, noNaN: true })),
      share: fc.option(fc.float({ min: 0, max: 1, noNaN: true })),
      endpoints: fc.nat(1e6),
      newSources: fc.nat(1e6),
    })
    fc.assert(
      fc.property(fc.array(figures, { minLength: 24, maxLength: 200 }), (all) => {
        const hours = all.map((each, i) => ({ hour: MONDAY + i * HOUR, minutes: 60, ...each }))
        const ranges = rangesAt(hours, MONDAY + all.length * HOUR)
        for (const range of Object.values(ranges) as (Range | null)[]) {
          if (range === null) continue
          expect(range.low).toBeLessThanOrEqual(range.usual)
          expect(range.high).toBeGreaterThanOrEqual(range.usual)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('an anomaly', () => {
  const expected = expectedAt(hoursOf(MONDAY - 3 * WEEK, MONDAY), MONDAY + 12 * HOUR)
  const calm = usual(MONDAY + 12 * HOUR)

  /** What begins and ends over these minutes, as `minute: +figure direction`. */
  function told(minutes: readonly Figures[]): readonly string[] {
    let watch = NO_ANOMALIES
    return minutes.flatMap((minute, i) => {
      const step = nextAnomalies(watch, { minute, expected, now: MONDAY + i * MINUTE })
      watch = step.watch
      return [
        ...step.began.map(({ figure, direction }) => `${i}: +${figure} ${direction}`),
        ...step.ended.map(({ figure, direction }) => `${i}: -${figure} ${direction}`),
      ]
    })
  }
  const times = (count: number, changes: Partial<Figures> = {}) =>
    Array.from({ length: count }, () => ({ ...calm, ...changes }))

  it.each<{ name: string; minutes: readonly Figures[]; says: readonly string[] }>([
    { name: 'a quiet day', minutes: times(1_440), says: [] },
    { name: 'two minutes of chance', minutes: [...times(2, { registers: 900 }), ...times(5)], says: [] },
    {
      name: 'a flood',
      minutes: [...times(1), ...times(10, { registers: 900 }), ...times(10)],
      says: ['3: +registers rise', '15: -registers rise'],
    },
    {
      name: 'phones that are lost',
      minutes: [...times(5), ...times(10, { endpoints: 1_500, successes: 5 }), ...times(6)],
      says: ['7: +endpoints fall', '19: -endpoints fall'],
    },
    {
      name: 'a softswitch that died',
      minutes: [...times(1), ...times(10, { successes: 0, share: 0, registers: 20 }), ...times(9)],
      says: ['3: +successes fall', '3: +share fall', '15: -successes fall', '15: -share fall'],
    },
    {
      name: 'a line that died',
      minutes: times(4, { registers: 0, successes: 0, share: null }),
      says: ['2: +registers fall', '2: +successes fall'],
    },
    {
      name: 'strangers',
      minutes: times(4, { newSources: 20_000 }),
      says: ['2: +newSources rise'],
    },
    {
      name: 'one that trembles at its end',
      minutes: [...times(4, { registers: 41 }), ...times(60, { registers: 39 })],
      says: ['2: +registers rise'],
    },
    {
      name: 'one that is back for a while only',
      minutes: [...times(3, { registers: 90 }), ...times(4), ...times(1, { registers: 90 }), ...times(4)],
      says: ['2: +registers rise'],
    },
    {
      name: 'answers that are not seen',
      minutes: times(9, { successes: null, share: null }),
      says: [],
    },
  ])('$name', ({ minutes, says }) => {
    expect(told(minutes)).toEqual(says)
  })

  it('is none while nothing is learnt', () => {
    const learning = { kind: 'learning', hours: 5 } as const
    let watch = NO_ANOMALIES
    for (let i = 0; i < 10; i++) {
      const step = nextAnomalies(watch, {
        minute: times(1, { registers: 9e5 })[0]!,
        expected: learning,
        now: i,
      })
      expect(step.began).toEqual([])
      watch = step.watch
    }
  })

  it('says what it is, with its figures', () => {
    const anomaly = { since: 0, furthest: 0 }
    expect(
      sayAnomaly({
        ...anomaly,
        figure: 'registers',
        direction: 'rise',
        value: 912.4,
        usual: 13.33,
        bound: 40,
      }),
    ).toBe('912 REGISTERs a second; usual at this hour: 13, up to 40.')
    expect(
      sayAnomaly({ ...anomaly, figure: 'share', direction: 'fall', value: 0.02, usual: 0.5, bound: 0.25 }),
    ).toBe('2 % of REGISTERs successful; usual at this hour: 50 %, down to 25 %.')
  })
})
