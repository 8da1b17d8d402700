import { describe, expect, it } from 'vitest'
import { listPhonesTouched } from '../../../agent/control/phones-touched.ts'
import type { DesiredState } from '../../../rules/desired-state.ts'
import {
  answered,
  DEFAULTS,
  denied,
  desired,
  gateway,
  limit,
  limits,
  prefix,
  proven,
  suspension,
  traffic,
} from '../../rules/desired.ts'

const NOW = 1_800_000_000_000
const LATER = NOW + 60_000
const members = [[proven('198.51.100.7', 5060, LATER), answered('198.51.100.8', 5060, LATER)]]
const before = desired({ members })
const alone = (cps: ReturnType<typeof limit>) => gateway('trunk', ['198.51.100.0/24'], cps)
const untouched = { proven: 1, traced: 1, worse: 0, first: [] }

describe('a registered phone', () => {
  it.each<{ what: string; from?: Partial<DesiredState>; to: Partial<DesiredState>; says: string | null }>([
    { what: 'is not touched by nothing', to: {}, says: null },
    {
      what: 'gets a lower limit',
      to: { limits: limits({ proven: limit(3, 50) }) },
      says: 'proven 10/s burst 50 → proven 3/s burst 50',
    },
    {
      what: 'gets a smaller burst',
      to: { limits: limits({ proven: limit(20, 9) }) },
      says: 'proven 10/s burst 50 → proven 20/s burst 9',
    },
    { what: 'is served better', to: { limits: limits({ proven: limit(20, 100) }) }, says: null },
    {
      what: 'does not mind the limit of others',
      to: { limits: limits({ answered: limit(1, 1) }) },
      says: null,
    },
    {
      what: 'falls out of the allowlist',
      from: { allow: [prefix('198.51.100.0/24')] },
      to: {},
      says: 'allowed 2000/s burst 4000 → proven 10/s burst 50',
    },
    { what: 'comes onto it', to: { allow: [prefix('198.51.100.0/24')] }, says: null },
    {
      what: 'is dropped',
      to: { blocks: [denied('198.51.100.7')] },
      says: 'A REGISTER from 198.51.100.7:5060 is dropped: ',
    },
    {
      what: 'was dropped before',
      from: { suspensions: [suspension('198.51.100.7', 5060, LATER)] },
      to: { suspensions: [suspension('198.51.100.7', 5060, LATER)] },
      says: null,
    },
    {
      what: 'shares a smaller gateway, of which the longer prefix counts',
      from: {
        gateways: [
          gateway('wide', ['198.51.0.0/16'], limit(5, 5)),
          gateway('near', ['198.51.100.0/24'], limit(20, 40)),
        ],
      },
      to: {
        gateways: [
          gateway('wide', ['198.51.0.0/16'], limit(5, 5)),
          gateway('near', ['198.51.100.0/24'], limit(19, 40)),
        ],
      },
      says: 'gateway 20/s burst 40 → gateway 19/s burst 40',
    },
    { what: 'gets a gateway of its own', to: { gateways: [alone(limit(10, 20))] }, says: null },
    {
      what: 'gets a gateway that is slower',
      to: { gateways: [alone(limit(9, 100))] },
      says: 'proven 10/s burst 50 → gateway 9/s burst 100',
    },
    {
      what: 'loses a gateway that was faster',
      from: { gateways: [alone(limit(11, 22))] },
      to: {},
      says: 'gateway 11/s burst 22 → proven 10/s burst 50',
    },
    { what: 'loses one that was slower', from: { gateways: [alone(limit(3, 6))] }, to: {}, says: null },
    {
      what: 'is not judged any more, which harms it least',
      to: { traffic: traffic({ udpPorts: [5070] }) },
      says: null,
    },
  ])('$what', async ({ from = {}, to, says }) => {
    const touched = await listPhonesTouched({ ...before, ...from }, { ...before, ...to }, NOW)
    if (says === null) {
      expect(touched).toEqual(untouched)
    } else {
      expect(touched).toEqual({
        ...untouched,
        worse: 1,
        first: [{ source: '198.51.100.7:5060', says: expect.stringContaining(says) }],
      })
    }
  })

  it('is one whose registration lasts, over UDP', async () => {
    const after = desired({ limits: limits({ proven: limit(1, 1) }) })
    const over = { ...before, members: [[proven('198.51.100.7', 5060, NOW)]] }
    expect(await listPhonesTouched(over, after, NOW)).toEqual({ ...untouched, proven: 0, traced: 0 })
    const tcpOnly = { ...before, traffic: traffic({ udpPorts: [] }) }
    expect(await listPhonesTouched(tcpOnly, after, NOW)).toEqual({ ...untouched, traced: 0 })
  })
})

it('shares a gateway with all the registered phones of its family within its prefixes', async () => {
  const phones = [
    ...Array.from({ length: 60 }, (_, i) => proven('198.18.5.7', 10_000 + i, LATER)),
    proven('2001:db8::7', 5060, LATER),
    proven('198.18.6.7', 5060, LATER),
  ]
  const state = desired({ members: [phones] })
  const plan = (cps: number) => {
    const gateways = [gateway('trunk', ['198.18.5.0/24', '2001:db8::/64'], limit(cps, 2 * cps))]
    return listPhonesTouched(state, { ...state, gateways }, NOW)
  }
  const { worse, first } = await plan(3)
  expect(worse).toBe(61)
  expect(first[0]).toEqual({
    source: '198.18.5.7:10000',
    says: 'proven 10/s burst 50 → gateway 3/s burst 6, shares 3 a second with 59 others, calls too',
  })
  // 600 a second are 10 for each of the 60, which is no less than they had.
  expect(await plan(599)).toMatchObject({ worse: 60 })
  expect(await plan(600)).toMatchObject({ worse: 0, first: [] })
})

it('of many phones counts all, lists twenty, and looks at twenty thousand', async () => {
  const many = Array.from({ length: 20_100 }, (_, i) => proven(`10.${i >> 8}.${i & 255}.7`, 5060, LATER))
  const state = desired({ members: [many] })
  const begun = performance.now()
  const { first, ...counts } = await listPhonesTouched(
    state,
    { ...state, limits: { ...DEFAULTS.limits, proven: limit(1, 1) } },
    NOW,
  )
  expect(counts).toEqual({ proven: 20_100, traced: 20_000, worse: 20_000 })
  expect(first).toHaveLength(20)
  // A bound against something quadratic, on any machine.
  expect(performance.now() - begun).toBeLessThan(15_000)
})
