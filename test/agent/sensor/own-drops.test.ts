import { expect, it } from 'vitest'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { OwnDrops } from '../../../agent/sensor/own-drops.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'

const START = 1_800_000_000_000
const PHONE: Source = { address: '203.0.113.7' as Address, port: 5062 }
const NEIGHBOUR: Source = { ...PHONE, port: 5063 }

function sends(perSecond: number, { seconds = 5, aggregator = false } = {}) {
  const drops = new OwnDrops({ perSecond: 10 })
  for (let i = 0; i < perSecond * seconds; i++)
    drops.register(PHONE, START + (i * 1_000) / perSecond, () => aggregator)
  return drops
}

it.each([
  { perSecond: 4, aggregator: false, dropped: false },
  { perSecond: 10, aggregator: false, dropped: true },
  { perSecond: 16, aggregator: false, dropped: true },
  { perSecond: 16, aggregator: true, dropped: false },
  { perSecond: 200, aggregator: true, dropped: true },
])('$perSecond REGISTERs a second (aggregator: $aggregator) may be dropped: $dropped', (of) => {
  const drops = sends(of.perSecond, of)
  expect(drops.mayHaveDropped(PHONE, START)).toBe(of.dropped)
  expect(drops.mayHaveDropped(NEIGHBOUR, START)).toBe(false)
})

it('is over when it has been slow for a while, and follows another limit', () => {
  const drops = sends(16)
  expect(drops.mayHaveDropped(PHONE, START + 4_000)).toBe(true)
  expect(drops.mayHaveDropped(PHONE, START + 5_000)).toBe(false)
  drops.configure({ perSecond: 30 })
  for (let i = 0; i < 16; i++) drops.register(PHONE, START + 60_000 + i, () => false)
  expect(drops.mayHaveDropped(PHONE, START + 60_000)).toBe(false)
})

it.each([
  { action: 'suspend', port: 5062, dropped: true },
  { action: 'block', port: 5062, dropped: true },
  { action: 'limit', port: 5062, dropped: false },
  // Ports that are registered stay served then.
  { action: 'suspend', port: null, dropped: false },
] as const)('a verdict to $action port $port drops what it sends: $dropped', ({ action, port, dropped }) => {
  const drops = new OwnDrops({ perSecond: 10 })
  drops.judged({ ...PHONE, action, port, time: START, duration: 180 } as Verdict)
  expect(drops.mayHaveDropped(PHONE, START + 179_000)).toBe(dropped)
  expect(drops.mayHaveDropped(PHONE, START + 181_000)).toBe(false)
})
