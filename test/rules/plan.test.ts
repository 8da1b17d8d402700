import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressFromBytes, prefixOf } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { ImaginedKernel } from '../../rules/imagined-kernel.ts'
import type { Kernel, ObservedState } from '../../rules/kernel.ts'
import { isEmptyPlan, planChanges } from '../../rules/plan.ts'
import { applyPlan } from './apply-plan.ts'
import { block, DEFAULTS, desired, prefix, suspension } from './desired.ts'

const NOW = Date.UTC(2026, 0, 1)
const EMPTY: ObservedState = {
  chains: { 4: { own: new Map(), prerouting: [] }, 6: { own: new Map(), prerouting: [] } },
  sets: new Map(),
}

describe('a plan', () => {
  test('from nothing', () => {
    const plan = planChanges(
      desired({
        allow: [prefix('0.0.0.0/0'), prefix('2001:db8::/32')],
        blocks: [
          block('198.51.100.0/24', 'sip', NOW + 60_000),
          block('203.0.113.9', 'register', null),
          block('203.0.113.8', 'register', NOW - 1),
          block('2001:db8:1::/64', 'sip', NOW + 10 * 2_147_483_000),
        ],
        suspensions: [suspension('192.0.2.1', 5060, NOW + 1), suspension('2001:db8::7', 0, NOW + 180_000)],
      }),
      EMPTY,
      NOW,
    )
    expect(plan.rebuild).toEqual([])
    expect(plan.createSets).toHaveLength(14)
    expect(plan.createSets[2]).toBe(
      'create rf-sip4 hash:net family inet maxelem 1048576 timeout 0 counters -exist',
    )
    expect(plan.standing).toEqual([
      'add rf-allow4 0.0.0.0/1 -exist',
      'add rf-allow4 128.0.0.0/1 -exist',
      'add rf-allow6 2001:db8::/32 -exist',
    ])
    expect(plan.elements).toEqual([
      'add rf-sip4 198.51.100.0/24 timeout 60 -exist',
      'add rf-reg4 203.0.113.9 timeout 0 -exist',
      'add rf-sip6 2001:db8:1::/64 timeout 2147483 -exist',
      'add rf-susp4 192.0.2.1,udp:5060 timeout 1 -exist',
      'add rf-susa6 2001:db8::/64 timeout 180 -exist',
    ])
    expect(plan.chains[4]?.split('\n').slice(0, 9)).toEqual([
      '*raw',
      ':RINGFENCE - [0:0]',
      ':RINGFENCE-UDP - [0:0]',
      ':RINGFENCE-TCP - [0:0]',
      ':RINGFENCE-REGISTER - [0:0]',
      ':RINGFENCE-SIP - [0:0]',
      ':RINGFENCE-OVER - [0:0]',
      '-I PREROUTING -j RINGFENCE',
      '-A RINGFENCE -i lo -j RETURN',
    ])
  })

  test('of two blocks of one prefix the longer one counts', () => {
    const blocks = [
      block('192.0.2.1', 'sip', NOW + 9_000),
      block('192.0.2.1', 'sip', null),
      block('192.0.2.1', 'sip', NOW),
    ]
    expect(planChanges(desired({ blocks }), EMPTY, NOW).elements).toEqual([
      'add rf-sip4 192.0.2.1 timeout 0 -exist',
    ])
  })

  test('keeps remaining times, removes what is not desired, renews what outlasts the kernel', async () => {
    let now = NOW
    const kernel = new ImaginedKernel({ clock: () => now })
    const long = block('192.0.2.9', 'sip', NOW + 3 * 2_147_483_000)
    const kept = block('192.0.2.1', 'sip', NOW + 60_000)
    await applyPlan(
      kernel,
      planChanges(desired({ blocks: [kept, block('192.0.2.2'), long] }), await all(kernel), NOW),
    )
    now += 10_000
    const next = desired({ blocks: [kept, long] })
    expect(planChanges(next, await all(kernel), now).elements).toEqual(['del rf-sip4 192.0.2.2 -exist'])
    now += 1_073_741_500
    expect(planChanges(next, await all(kernel), now).elements).toContain(
      'add rf-sip4 192.0.2.9 timeout 2147483 -exist',
    )
  })

  test('a changed limit is one payload a family, and the jump stays', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const limits = { ...DEFAULTS.limits, register: { perSecond: 3, burst: 4 } }
    const plan = planChanges(desired({ limits }), await all(kernel), NOW)
    expect({ ...plan, chains: undefined }).toEqual({
      rebuild: [],
      createSets: [],
      standing: [],
      elements: [],
      chains: undefined,
    })
    expect(plan.chains[4]).not.toContain('PREROUTING')
    expect(plan.chains[4]).toContain('--hashlimit-name rf-reg4-3sec-4 ')
  })

  test('puts wrong jumps and chains of another version right', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await kernel.applyChains(
      4,
      '*raw\n:RINGFENCE - [0:0]\n:RINGFENCE-OLD - [0:0]\n-A RINGFENCE -j RINGFENCE-OLD\n-A PREROUTING -i eth0 -j RINGFENCE\n-A PREROUTING -j RINGFENCE\n-A PREROUTING -j RINGFENCE\nCOMMIT\n',
    )
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const { own, prerouting } = (await all(kernel)).chains[4]
    expect(prerouting.map(({ text }) => text)).toEqual(['-A PREROUTING -j RINGFENCE'])
    expect(own.has('RINGFENCE-OLD')).toBe(false)
  })

  test('a set of another form has its family built anew', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const observed = await all(kernel)
    const sets = new Map(observed.sets)
    sets.set('rf-sip6', { ...sets.get('rf-sip6')!, form: 'hash:ip family inet6 maxelem 5' })
    const plan = planChanges(DEFAULTS, { ...observed, sets }, NOW)
    expect([plan.rebuild, plan.createSets.length, plan.chains[4]]).toEqual([[6], 7, undefined])
    expect(plan.chains[6]).toContain('-I PREROUTING -j RINGFENCE')
  })
})

const v4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 })
const v6Bytes = fc.uint8Array({ minLength: 16, maxLength: 16 })
const anyAddress = fc.oneof(v4Bytes, v6Bytes).map((bytes) => addressFromBytes(bytes, 0, bytes.length))
const anyPrefix = (shortest: number) =>
  fc.tuple(anyAddress, fc.double({ min: 0, max: 1, noNaN: true })).map(([text, part]) => {
    const longest = text.includes(':') ? 128 : 32
    return prefixOf(text, shortest + Math.round(part * (longest - shortest)))
  })
const anyUntil = fc.integer({ min: -10_000, max: 3_000_000_000_000 }).map((after) => NOW + after)
const anyState: fc.Arbitrary<DesiredState> = fc.record({
  traffic: fc.record({
    interfaces: fc.uniqueArray(fc.constantFrom('eth0', 'eth1', 'br-lan', 'wan+'), { maxLength: 3 }),
    destinations: fc.oneof(fc.constant('local' as const), fc.array(anyPrefix(0), { maxLength: 3 })),
    udpPorts: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 40 }),
    tcpPorts: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3 }),
  }),
  limits: fc.record({
    register: fc.record({
      perSecond: fc.integer({ min: 1, max: 1000 }),
      burst: fc.integer({ min: 1, max: 1000 }),
    }),
    sip: fc.record({
      perSecond: fc.integer({ min: 1, max: 1000 }),
      burst: fc.integer({ min: 1, max: 1000 }),
      enforced: fc.boolean(),
    }),
  }),
  allow: fc.array(anyPrefix(0), { maxLength: 5 }),
  blocks: fc.array(
    fc.record({
      target: anyPrefix(1),
      scope: fc.constantFrom('sip' as const, 'register' as const),
      until: fc.oneof(fc.constant(null), anyUntil),
    }),
    { maxLength: 10 },
  ),
  suspensions: fc.array(
    fc.record({ address: anyAddress, port: fc.constantFrom(0, 5060, 65_535), until: anyUntil }),
    { maxLength: 10 },
  ),
})

test('whatever was there, the kernel takes the plan, and then there is nothing left to plan', async () => {
  await fc.assert(
    fc.asyncProperty(anyState, anyState, async (first, second) => {
      const kernel = new ImaginedKernel({ clock: () => NOW })
      for (const state of [first, second]) {
        await applyPlan(kernel, planChanges(state, await all(kernel), NOW))
        expect(isEmptyPlan(planChanges(state, await all(kernel), NOW))).toBe(true)
      }
    }),
    { numRuns: 80 },
  )
})

function all(kernel: Kernel): Promise<ObservedState> {
  return kernel.observe({ elements: true })
}
