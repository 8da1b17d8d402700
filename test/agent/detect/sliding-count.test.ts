import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlidingCount } from '../../../agent/detect/sliding-count.ts'

describe('SlidingCount', () => {
  it('counts what lies within the span and forgets what does not', () => {
    const count = new SlidingCount(10)
    count.add(1_000_000)
    count.add(1_004_000, 4)
    expect(count.total(1_004_000)).toBe(5)
    expect(count.total(1_009_999)).toBe(5)
    expect(count.total(1_010_000)).toBe(4)
    expect(count.total(1_014_000)).toBe(0)
  })

  it('starts over after a long silence and takes a clock that steps back', () => {
    const count = new SlidingCount(10)
    count.add(1_000_000, 7)
    expect(count.total(9_000_000)).toBe(0)
    count.add(8_999_000)
    expect(count.total(9_000_000)).toBe(1)
  })

  it('never counts more than the span holds nor less than nine tenths of it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 60 }), (gaps) => {
        const count = new SlidingCount(10)
        const times: number[] = []
        let now = 1_700_000_000_000
        for (const gap of gaps) {
          now += gap
          count.add(now)
          times.push(now)
        }
        const within = (span: number) => times.filter((time) => now - time < span).length
        const total = count.total(now)
        expect(total).toBeLessThanOrEqual(within(10_000))
        expect(total).toBeGreaterThanOrEqual(within(9_000))
      }),
    )
  })
})
