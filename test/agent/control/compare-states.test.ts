import { describe, expect, it } from 'vitest'
import { compareStates, isSameState } from '../../../agent/control/compare-states.ts'
import { diffLines } from '../../../agent/control/diff-lines.ts'
import type { DesiredState } from '../../../rules/desired-state.ts'
import { ImaginedKernel } from '../../../rules/imagined-kernel.ts'
import { WRITTEN_SETS } from '../../../rules/names.ts'
import { renderChains } from '../../../rules/render-chains.ts'
import { applyPlan } from '../../rules/apply-plan.ts'
import {
  DEFAULTS,
  denied,
  desired,
  gateway,
  limit,
  limits,
  prefix,
  proven,
  traffic,
} from '../../rules/desired.ts'
import { isEmptyPlan, planChanges } from '../../rules/whole-plan.ts'

const NOW = 1_800_000_000_000
const NOTHING = {
  limits: [],
  warmed: false,
  chains: [],
  sets: [],
  elements: { added: { count: 0, first: [] }, removed: { count: 0, first: [] } },
}

const changes: { what: string; after: DesiredState }[] = [
  { what: 'nothing', after: desired() },
  { what: 'a limit', after: desired({ limits: limits({ proven: limit(3, 9) }) }) },
  { what: 'a port', after: desired({ traffic: traffic({ udpPorts: [5060, 5080] }) }) },
  { what: 'the allowlist', after: desired({ allow: [prefix('198.51.100.0/24')] }) },
  { what: 'a gateway', after: desired({ gateways: [gateway('trunk', ['192.0.2.0/24'])] }) },
  { what: 'sizes', after: desired({ sizes: { ...DEFAULTS.sizes, elements: 262_144 } }) },
  { what: 'a block', after: desired({ blocks: [denied('203.0.113.7')] }) },
]

describe('the difference of two desired states', () => {
  it.each(changes)(
    'has something in it exactly where the kernel would have to be changed: $what',
    async ({ after }) => {
      const kernel = new ImaginedKernel({ clock: () => NOW })
      const empty = await kernel.observe({ elements: WRITTEN_SETS })
      await applyPlan(kernel, planChanges(desired(), empty, NOW))
      const plan = planChanges(after, await kernel.observe({ elements: WRITTEN_SETS }), NOW)
      expect(isSameState(compareStates(desired(), after, NOW))).toBe(isEmptyPlan(plan))
    },
  )

  it('is nothing between two that are equal', () => {
    const state = desired({
      members: [[proven('198.51.100.7', 5060, NOW + 60_000)]],
      blocks: [denied('203.0.113.7')],
    })
    expect(compareStates(state, structuredClone(state), NOW)).toEqual(NOTHING)
  })

  it('names limits by their keys, in words, and says that they are warmed', () => {
    const after = desired({
      limits: limits({
        proven: limit(20, 100),
        ignoring: limit(12 / 60, 4),
        connections: { ...DEFAULTS.limits.connections, most: null },
        sip: { ...DEFAULTS.limits.sip, enforced: true },
      }),
      gateways: [gateway('trunk', ['192.0.2.0/24'], limit(80, 160))],
    })
    const { limits: said, warmed, chains, sets, elements } = compareStates(desired(), after, NOW)
    expect(said).toEqual([
      'limits.proven: 10/s burst 50 → 20/s burst 100',
      'limits.ignoring: 6/min burst 2 → 12/min burst 4',
      'limits.connections.most: 100 at once → not counted',
      'limits.sip.enforce: only observed → enforced',
      'gateway trunk: no gateway → 80/s burst 160',
    ])
    expect(warmed).toBe(true)
    expect(sets).toEqual([])
    expect(elements).toEqual({
      added: { count: 1, first: ['rf-gw4 192.0.2.0/24'] },
      removed: NOTHING.elements.removed,
    })
    expect(chains.filter(({ family }) => family === 4).map(({ chain }) => chain)).toEqual(
      expect.arrayContaining(['RINGFENCE-PROVEN', 'RINGFENCE-CPS', 'RINGFENCE-IGNORING', 'RINGFENCE-OVER']),
    )
  })

  it('shows the rules of a chain that go and come', () => {
    const { chains, warmed } = compareStates(
      desired(),
      desired({ traffic: traffic({ udpPorts: [5070] }) }),
      NOW,
    )
    const entrance = chains.find(({ family, chain }) => family === 4 && chain === 'RINGFENCE')
    const udp = renderChains(desired(), 4)
      .get('RINGFENCE')!
      .filter((rule) => rule.includes('-p udp'))
    expect(entrance?.removed).toEqual(udp)
    expect(entrance?.added).toEqual(udp.map((rule) => rule.replace(/(--dports?) 5060/, '$1 5070')))
    expect(warmed).toBe(false)
  })

  it('counts elements, shows the first twenty, and passes over those that ended', () => {
    const many = Array.from({ length: 25 }, (_, i) => prefix(`198.51.100.${i}`))
    const before = desired({ allow: many, blocks: [denied('203.0.113.7', NOW - 1)] })
    const { elements } = compareStates(before, desired(), NOW)
    expect(elements.added.count).toBe(0)
    expect(elements.removed).toEqual({
      count: 25,
      first: many.slice(0, 20).map((_, i) => `rf-allow4 198.51.100.${i}`),
    })
  })

  it('says how large sets become, those of one size together', () => {
    const { sets } = compareStates(desired(), desired({ sizes: { ...DEFAULTS.sizes, seen: 131_072 } }), NOW)
    expect(sets).toEqual(['rf-seen4, rf-seen6: 65536 → 131072 elements'])
  })
})

it.each([
  { before: 'a b c', after: 'a b c', removed: '', added: '' },
  { before: '', after: 'a b', removed: '', added: 'a b' },
  { before: 'a b c d', after: 'a c d', removed: 'b', added: '' },
  { before: 'a b c d', after: 'a x c y d', removed: 'b', added: 'x y' },
  { before: 'a b', after: 'b a', removed: 'a', added: 'a' },
  { before: 'a a a', after: 'a a', removed: 'a', added: '' },
])('the lines $before become $after', ({ before, after, removed, added }) => {
  const words = (text: string) => text.split(' ').filter(Boolean)
  expect(diffLines(words(before), words(after))).toEqual({ removed: words(removed), added: words(added) })
})
