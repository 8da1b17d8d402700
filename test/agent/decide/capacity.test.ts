import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type AnsweredSecond,
  type CapacityState,
  capacityFromJson,
  capacityOf,
  capacityToJson,
  NO_CAPACITY,
  nextCapacity,
} from '../../../agent/decide/capacity.ts'
import { leftForUnknown, type Meter, nextMeter } from '../../../agent/decide/capacity-meter.ts'

const SECOND = 1_000
const DAY = 86_400_000
const START = 1_700_000_000_000

/** A softswitch that answers so many in time, and beyond that late and in part. */
class Softswitch {
  state: CapacityState = NO_CAPACITY
  now = START
  can: number

  constructor(can: number) {
    this.can = can
  }

  offered(rate: number, seconds: number): this {
    const late = rate > this.can
    return this.seconds(seconds, {
      answered: Math.min(rate, this.can),
      known: {
        answered: Math.min(rate, this.can),
        silent: late ? rate - this.can : 0,
        latencyP99: late ? 3_000 : 8,
      },
    })
  }

  seconds(count: number, second: Omit<AnsweredSecond, 'time'>): this {
    for (let i = 0; i < count; i++) {
      this.now += SECOND
      this.state = nextCapacity(this.state, { time: this.now, ...second })
    }
    return this
  }

  get capacity() {
    return capacityOf(this.state, 'auto', this.now)
  }
}

describe('the capacity of a softswitch', () => {
  it('is not known before it answered somebody', () => {
    expect(new Softswitch(4_000).capacity).toMatchObject({ perSecond: null, how: 'unknown' })
    expect(new Softswitch(4_000).seconds(60, { answered: 900, known: null }).capacity.how).toBe('unknown')
  })

  it('is what the file says, whatever was seen', () => {
    const { state } = new Softswitch(4_000).offered(900, 60)
    expect(capacityOf(state, 1_234, START)).toMatchObject({ perSecond: 1_234, how: 'configured' })
  })

  it('is at least what was answered in time, for five seconds in a row', () => {
    const softswitch = new Softswitch(4_000).offered(100, 4)
    expect(softswitch.capacity.how).toBe('unknown')
    expect(softswitch.offered(100, 1).capacity).toMatchObject({ perSecond: 100, how: 'at-least' })
    expect(softswitch.offered(900, 5).offered(20, 600).capacity).toMatchObject({ perSecond: 900 })
  })

  it('is measured where the softswitch comes to its end, and stays near it', () => {
    const softswitch = new Softswitch(4_000).offered(3_500, 10).offered(20_000, 60)
    expect(softswitch.capacity).toMatchObject({ perSecond: 4_000, how: 'measured' })
    softswitch.offered(300, 3_600)
    expect(softswitch.capacity.perSecond).toBeGreaterThan(3_900)
    expect(softswitch.capacity.perSecond).toBeLessThanOrEqual(4_001)
  })

  it('falls when its answers come late at a lower load, and heals slowly', () => {
    const softswitch = new Softswitch(4_000).offered(3_500, 10)
    softswitch.can = 800
    softswitch.offered(2_000, 30)
    expect(softswitch.capacity).toMatchObject({ perSecond: 800, how: 'measured' })
    softswitch.can = 4_000
    softswitch.offered(300, 600)
    expect(softswitch.capacity.perSecond).toBeGreaterThan(850)
    expect(softswitch.capacity.perSecond).toBeLessThan(1_000)
    softswitch.offered(300, 6 * 3_600)
    expect(softswitch.capacity.perSecond).toBeGreaterThan(3_400)
  })

  it('does not fall far for one pause of the softswitch', () => {
    const softswitch = new Softswitch(4_000).offered(3_500, 10)
    softswitch.can = 15
    softswitch.offered(30, 4)
    expect(softswitch.capacity.perSecond).toBeGreaterThan(2_500)
  })

  it('is not taken for gone, however bad it is', () => {
    const softswitch = new Softswitch(4_000).offered(3_500, 10)
    softswitch.can = 0
    softswitch.offered(30, 3_600)
    expect(softswitch.capacity.perSecond).toBeGreaterThanOrEqual(349)
  })

  it('is not lowered by a few answers that are late, nor by those that never were due', () => {
    const softswitch = new Softswitch(4_000).offered(3_500, 10)
    softswitch.seconds(60, { answered: 3, known: { answered: 2, silent: 1, latencyP99: 9_000 } })
    softswitch.seconds(60, { answered: 3_000, known: null })
    expect(softswitch.capacity).toMatchObject({ perSecond: 3_500, how: 'at-least' })
  })

  it('counts half after a month, and an end of last week no more', () => {
    const softswitch = new Softswitch(4_000).offered(9_000, 60)
    softswitch.now += 8 * DAY
    softswitch.offered(1_000, 10)
    expect(softswitch.capacity.how).toBe('at-least')
    softswitch.now += 22 * DAY
    softswitch.offered(10, 10)
    expect(softswitch.capacity.perSecond).toBeLessThan(2_100)
  })

  it('is kept over a restart; what cannot be read is not known', () => {
    const { state, now } = new Softswitch(4_000).offered(3_000, 9).offered(9_000, 60)
    const kept = capacityFromJson(capacityToJson(state))
    expect(capacityOf(kept, 'auto', now)).toEqual(capacityOf(state, 'auto', now))
    expect(capacityFromJson(capacityToJson(NO_CAPACITY))).toEqual(NO_CAPACITY)
    for (const text of [undefined, '', '{', 'null', '[]', '{"highest":"9"}', '{"highest":-1}'])
      expect(capacityFromJson(text)).toBe(NO_CAPACITY)
  })

  it('stays a number, whatever comes', () => {
    const second = fc.record({
      answered: fc.nat(100_000),
      known: fc.option(
        fc.record({ answered: fc.nat(9_000), silent: fc.nat(9_000), latencyP99: fc.option(fc.nat(32_000)) }),
      ),
    })
    fc.assert(
      fc.property(fc.array(second, { maxLength: 200 }), (seconds) => {
        const softswitch = new Softswitch(1)
        for (const each of seconds) softswitch.seconds(1, each)
        const { perSecond } = softswitch.capacity
        expect(perSecond === null || (Number.isInteger(perSecond) && perSecond >= 1)).toBe(true)
        expect(softswitch.state.well.length + softswitch.state.ill.length).toBeLessThanOrEqual(5)
      }),
    )
  })
})

describe('what is left for unknown sources', () => {
  it.each([
    { how: 'unknown', perSecond: null, honest: 900, left: 2_000 },
    { how: 'at-least', perSecond: 300, honest: 100, left: 2_000 },
    { how: 'at-least', perSecond: 9_000, honest: 100, left: 8_000 },
    { how: 'measured', perSecond: 4_000, honest: 600, left: 3_000 },
    { how: 'measured', perSecond: 4_000, honest: 9_000, left: 200 },
    { how: 'configured', perSecond: 60, honest: 60, left: 10 },
  ] as const)('$how $perSecond, $honest of them for known phones: $left', ({ left, honest, ...capacity }) => {
    expect(leftForUnknown({ ...capacity, why: '' }, { honest, usual: 2_000 })).toBe(left)
  })

  /** The rates that the meter takes over, and when. */
  function followed(
    wanted: readonly number[],
    { underAttack = false, before = 1_000 }: { underAttack?: boolean; before?: number } = {},
  ) {
    let meter: Meter = { perSecond: before, changedAt: Number.NEGATIVE_INFINITY }
    return wanted.flatMap((each, second) => {
      const next = nextMeter(meter, { wanted: each, now: START + second * SECOND, underAttack })
      const changed = next !== meter
      meter = next
      return changed ? [`${second}: ${next.perSecond}`] : []
    })
  }
  const for60 = (rate: number) => Array.from({ length: 60 }, () => rate)

  it('changes in steps of a fifth, at most once a minute', () => {
    expect(followed([1_199, 801, 1_200, ...for60(3_000)])).toEqual(['2: 1200', '62: 3000'])
  })

  it('does not tremble with a load that does', () => {
    const trembling = Array.from({ length: 600 }, (_, i) => 1_000 + (i % 2 === 0 ? 150 : -150))
    expect(followed(trembling)).toEqual([])
  })

  it('does not wait for a clock that was set back', () => {
    const before: Meter = { perSecond: 1_000, changedAt: START + 9_000 * SECOND }
    expect(nextMeter(before, { wanted: 300, now: START, underAttack: false }).perSecond).toBe(300)
  })

  it('changes only downwards under attack, and sooner', () => {
    expect(followed([9_000, 500, ...for60(300)], { underAttack: true })).toEqual(['1: 500', '11: 300'])
  })
})
