import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mostConnections, tableSizes } from '../../../agent/config/kernel-sizes.ts'

const AUTO = { elements: 'auto', buckets: 'auto', seen: 'auto' } as const
const GIB = 1024 ** 3

describe('table sizes', () => {
  it.each([
    { memory: 0.5, sizes: { elements: 65_536, buckets: 65_536, seen: 104_857 } },
    { memory: 2, sizes: { elements: 134_217, buckets: 65_536, seen: 419_430 } },
    { memory: 16, sizes: { elements: 1_048_576, buckets: 103_244, seen: 2_000_000 } },
    { memory: 256, sizes: { elements: 1_048_576, buckets: 1_048_576, seen: 2_000_000 } },
  ])('follow $memory GiB of memory', ({ memory, sizes }) => {
    expect(tableSizes(AUTO, memory * GIB)).toEqual(sizes)
  })

  it('are what the configuration says, where it says a number', () => {
    expect(tableSizes({ elements: 1_000, buckets: 'auto', seen: 5_000 }, GIB)).toEqual({
      elements: 1_000,
      buckets: 65_536,
      seen: 5_000,
    })
  })

  it('never take more than a 64th of the memory each, unless that is less than the least', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4096 }), (gigabytes) => {
        const memory = gigabytes * GIB
        const { elements, buckets, seen } = tableSizes(AUTO, memory)
        expect(elements === 65_536 || elements * 250 <= memory / 64).toBe(true)
        expect(buckets === 65_536 || buckets * 20 * 130 <= memory / 64).toBe(true)
        expect(seen === 100_000 || seen * 80 <= memory / 64).toBe(true)
        expect(Math.max(elements, buckets)).toBeLessThanOrEqual(1_048_576)
        expect(seen).toBeLessThanOrEqual(2_000_000)
      }),
    )
  })
})

describe('connections that stand', () => {
  it.each([
    { most: 'auto', tracksConnections: true, counted: 500 },
    // Counting them would switch connection tracking on for everything on the host.
    { most: 'auto', tracksConnections: false, counted: null },
    { most: 'none', tracksConnections: true, counted: null },
    { most: 7, tracksConnections: false, counted: 7 },
  ] as const)(
    '$most where tracking is $tracksConnections: $counted',
    ({ most, tracksConnections, counted }) => {
      const limit = { perSecond: 5, burst: 20 }
      const connections = { ...limit, prefix: limit, most }
      expect(mostConnections(connections, { memoryBytes: GIB, tracksConnections })).toBe(counted)
    },
  )
})
