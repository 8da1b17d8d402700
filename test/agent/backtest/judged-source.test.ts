import { expect, it } from 'vitest'
import { JudgedSource } from '../../../agent/backtest/judged-source.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { at, START } from './traffic.ts'

const ADDRESS = '10.99.0.40'
const suspend = (port: number, time: number): Verdict => ({
  time,
  name: 'retry-limit',
  address: at(ADDRESS).address,
  port,
  action: 'suspend',
  scope: 'register',
  grade: 'path',
  reason: 'R',
  evidence: {},
  duration: 180,
})
const ALWAYS = Number.NEGATIVE_INFINITY

it('counts each port that is suspended, once more when it had run out, and not what only prolongs', () => {
  const source = new JudgedSource()
  for (let port = 30_000; port < 30_100; port++) {
    expect(source.note(suspend(port, START), ALWAYS)).toBe('begun')
    expect(source.note(suspend(port, START + 60_000), ALWAYS)).toBe('prolonged')
    expect(source.note(suspend(port, START + 600_000), ALWAYS)).toBe('begun')
  }
  expect([...source.deeds.values()]).toEqual([
    {
      verdict: suspend(30_000, START),
      first: START,
      count: 200,
      targets: 100,
      lasted: 100 * (240_000 + 180_000),
    },
  ])
})

it('meets a phone with what stands against its port or the whole address, and with no other', () => {
  const source = new JudgedSource()
  source.note(suspend(30_000, START), ALWAYS)
  source.note(suspend(30_001, START), ALWAYS)
  source.note({ ...suspend(0, START), port: null, action: 'block', name: 'lockout' }, ALWAYS)
  source.note({ ...suspend(30_001, START), action: 'limit', name: 'slow-guessing' }, ALWAYS)
  const met = [...source.measuresThat(at(ADDRESS, 30_001))]
  expect(met.map(({ verdict: { action, port } }) => [action, port])).toEqual([
    ['suspend', 30_001],
    ['block', null],
  ])
})

it('counts no time before the one that counts', () => {
  const source = new JudgedSource()
  source.note(suspend(30_000, START), START + 120_000)
  expect([...source.deeds.values()]).toMatchObject([{ first: START, lasted: 60_000 }])
})

it('goes on counting where there is no room, and takes what ran out for room', () => {
  const source = new JudgedSource()
  source.note({ ...suspend(0, START), port: null, action: 'block', duration: 1e6 }, ALWAYS)
  const noted = Array.from({ length: 3_000 }, (_, i) => source.note(suspend(1_000 + i, START), ALWAYS))
  expect(noted.filter((each) => each === 'begun')).toHaveLength(2_047)
  expect(noted.filter((each) => each === 'begun-apart')).toHaveLength(953)
  expect([...source.deeds.values()].at(-1)).toMatchObject({ count: 3_000, targets: 3_000 })
  const later = Array.from({ length: 2_000 }, (_, i) =>
    source.note(suspend(10_000 + i, START + 200_000), ALWAYS),
  )
  expect(new Set(later)).toEqual(new Set(['begun']))
})
