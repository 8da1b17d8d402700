import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressFromBytes, prefixOf } from '../../registrar/net/address.ts'
import type { DesiredState, Member } from '../../rules/desired-state.ts'
import { ImaginedKernel } from '../../rules/imagined-kernel.ts'
import type { Kernel, ObservedRule, ObservedState } from '../../rules/kernel.ts'
import { CHAINS, defineSets, WRITTEN_SETS } from '../../rules/names.ts'
import { NO_CHAINS } from '../../rules/plan-chains.ts'
import { renderChains } from '../../rules/render-chains.ts'
import { applyPlan } from './apply-plan.ts'
import { block, DEFAULTS, denied, desired, limit, limits, prefix, sizes, suspension } from './desired.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

const NOW = Date.UTC(2026, 0, 1)
const EMPTY: ObservedState = {
  chains: { 4: NO_CHAINS, 6: NO_CHAINS },
  sets: new Map(),
  straySets: [],
}

const NO_PLAN = {
  destroySets: [],
  rebuild: [],
  createSets: [],
  replaceSets: [],
  standing: [],
  chains: {},
  elements: [],
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
          denied('203.0.113.7'),
          block('2001:db8:1::/64', 'sip', NOW + 10 * 2_147_483_000),
        ],
        suspensions: [suspension('192.0.2.1', 5060, NOW + 1), suspension('2001:db8::7', 0, NOW + 180_000)],
      }),
      EMPTY,
      NOW,
    )
    expect(plan.rebuild).toEqual([])
    expect(plan.createSets).toHaveLength(defineSets(DEFAULTS.sizes).length)
    expect(plan.createSets).toContain(
      'create rf-sip4 hash:net family inet maxelem 131072 timeout 0 counters -exist',
    )
    expect(plan.standing).toEqual([
      // Nobody whom a rule before the proven names may take their short way for a moment.
      'add rf-named4 0.0.0.0/1 -exist',
      'add rf-named4 128.0.0.0/1 -exist',
      'add rf-named6 2001:db8::/32 -exist',
      'add rf-named4 203.0.113.7 -exist',
      'add rf-allow4 0.0.0.0/1 -exist',
      'add rf-allow4 128.0.0.0/1 -exist',
      'add rf-allow6 2001:db8::/32 -exist',
    ])
    expect(plan.elements).toEqual([
      'add rf-sip4 198.51.100.0/24 timeout 60 -exist',
      'add rf-reg4 203.0.113.9 timeout 0 -exist',
      'add rf-deny4 203.0.113.7 timeout 0 -exist',
      'add rf-sip6 2001:db8:1::/64 timeout 2147483 -exist',
      'add rf-susp4 192.0.2.1,udp:5060 timeout 1 -exist',
      'add rf-susa6 2001:db8::/64 timeout 180 -exist',
    ])
    const text = plan.chains[4]!.split('\n')
    expect(text.slice(0, 1 + CHAINS.length)).toEqual(['*raw', ...CHAINS.map((name) => `:${name} - [0:0]`)])
    expect(text.slice(1 + CHAINS.length, 4 + CHAINS.length)).toEqual([
      '-I PREROUTING -j RINGFENCE',
      '-I OUTPUT -j RINGFENCE-OUT',
      renderChains(desired(), 4).get('RINGFENCE')![0],
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
    const slower = limits({ proven: limit(3, 4) })
    const plan = planChanges(desired({ limits: slower }), await all(kernel), NOW)
    expect({ ...plan, chains: undefined }).toEqual({ ...NO_PLAN, chains: undefined })
    expect(plan.chains[4]).not.toContain('PREROUTING')
    expect(plan.chains[4]).not.toContain('-OUT -j')
    expect(plan.chains[4]).toContain('--hashlimit-name rf-pvn4-3sec-4-65536 ')
  })

  test('puts wrong jumps and chains of another version right', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await kernel.applyChains(
      4,
      '*raw\n:RINGFENCE - [0:0]\n:RINGFENCE-OLD - [0:0]\n-A RINGFENCE -j RINGFENCE-OLD\n-A PREROUTING -i eth0 -j RINGFENCE\n-A PREROUTING -j RINGFENCE\n-A PREROUTING -j RINGFENCE\nCOMMIT\n',
    )
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const { own, builtIn } = (await all(kernel)).chains[4]
    expect(builtIn.PREROUTING.map(({ text }) => text)).toEqual(['-A PREROUTING -j RINGFENCE'])
    expect(builtIn.OUTPUT.map(({ text }) => text)).toEqual(['-A OUTPUT -j RINGFENCE-OUT'])
    expect(own.has('RINGFENCE-OLD')).toBe(false)
  })

  test('a set of another type has its family built anew', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const observed = await all(kernel)
    const sets = new Map(observed.sets)
    sets.set('rf-sip6', { ...sets.get('rf-sip6')!, form: 'hash:ip family inet6 maxelem 5' })
    const plan = planChanges(DEFAULTS, { ...observed, sets }, NOW)
    expect([plan.rebuild, plan.createSets.length, plan.chains[4]]).toEqual([
      [6],
      defineSets(DEFAULTS.sizes).length / 2,
      undefined,
    ])
    expect(plan.chains[6]).toContain('-I PREROUTING -j RINGFENCE')
  })

  test('sets of another size are replaced, and nothing else happens', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const larger = desired({ sizes: sizes({ seen: 500 }) })
    const plan = planChanges(larger, await all(kernel), NOW)
    expect(plan.replaceSets.map(({ name }) => name)).toEqual(['rf-seen4', 'rf-seen6'])
    // How many first packets are noted a second follows the size.
    expect({ ...plan, replaceSets: [], chains: undefined }).toEqual({ ...NO_PLAN, chains: undefined })
  })

  test('leftovers of a change that was cut short go first', async () => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    await kernel.applySets(['create rf-sip4-new hash:net family inet maxelem 5'])
    expect(planChanges(DEFAULTS, await all(kernel), NOW)).toEqual({
      ...NO_PLAN,
      destroySets: ['destroy rf-sip4-new'],
    })
  })

  test.each([
    ['no target, which a verdict map of nft has neither', '-A PREROUTING -p udp', false],
    ['nothing that iptables can read', '-A PREROUTING', false],
    ['a target that goes on', '-A PREROUTING -p udp -j CT --notrack', true],
    ['a log that quotes a verdict', '-A PREROUTING -j LOG --log-prefix "x -j DROP "', true],
    ['a drop', '-A PREROUTING -s 192.0.2.0/24 -j DROP', false],
    ['an accept', '-A PREROUTING -j ACCEPT', false],
    ['a return', '-A PREROUTING -i eth7 -j RETURN', false],
    ['a chain of somebody else', '-A PREROUTING -j DOCKER', false],
    ['a goto', '-A PREROUTING -g DOCKER', false],
    ['a verdict behind a comment', '-A PREROUTING -m comment --comment "a -j LOG" -j ACCEPT', false],
  ])('before our jump, %s is %o right', async (_name, rule, isRight) => {
    const kernel = new ImaginedKernel({ clock: () => NOW })
    await applyPlan(kernel, planChanges(DEFAULTS, await all(kernel), NOW))
    const observed = await all(kernel)
    const rules = (...texts: string[]) => texts.map((text) => ({ text, packets: 0, bytes: 0 }))
    const withRules = (PREROUTING: readonly ObservedRule[]): ObservedState => ({
      ...observed,
      chains: {
        ...observed.chains,
        4: { ...observed.chains[4], builtIn: { ...observed.chains[4].builtIn, PREROUTING } },
      },
    })
    const before = withRules(rules(rule, '-A PREROUTING -j RINGFENCE'))
    // The jump alone is moved: our chains keep their counters, the rules of others their places.
    const moved = '*raw\n-D PREROUTING -j RINGFENCE\n-I PREROUTING -j RINGFENCE\nCOMMIT\n'
    expect(planChanges(DEFAULTS, before, NOW).chains[4]).toBe(isRight ? undefined : moved)
    const behind = withRules(rules('-A PREROUTING -j RINGFENCE', rule))
    expect(planChanges(DEFAULTS, behind, NOW).chains[4]).toBeUndefined()
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
const anyPort = fc.constantFrom(1, 5060, 65_535)
const anyLimit = fc.record({
  perSecond: fc.integer({ min: 1, max: 1000 }),
  burst: fc.integer({ min: 1, max: 1000 }),
})
const anySource = fc.record({ address: anyAddress, port: anyPort, until: anyUntil })
const anyMember: fc.Arbitrary<Member> = fc.oneof(
  anySource.chain((source) =>
    fc.constantFrom({ lane: 'proven' as const, ...source }, { lane: 'answered' as const, ...source }),
  ),
  fc.record({
    lane: fc.constant('returning' as const),
    source: anyPrefix(1),
    accounts: fc.constantFrom(1, 5, 6, 50, 51, 10_000),
    until: anyUntil,
  }),
  fc.record({ lane: fc.constant('ignoring' as const), source: anyPrefix(1), until: anyUntil }),
)
const anyState: fc.Arbitrary<DesiredState> = fc.record({
  traffic: fc.record({
    interfaces: fc.uniqueArray(fc.constantFrom('eth0', 'eth1', 'br-lan', 'wan+'), { maxLength: 3 }),
    destinations: fc.oneof(fc.constant('local' as const), fc.array(anyPrefix(0), { maxLength: 3 })),
    udpPorts: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 40 }),
    tcpPorts: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 3 }),
    responses: fc.constantFrom('asked' as const, 'any' as const),
  }),
  limits: fc.record({
    unknown: fc.record({ source: anyLimit, prefix: anyLimit, total: anyLimit }),
    strict: fc.record({ port: anyLimit, source: anyLimit, prefix: anyLimit, total: anyLimit }),
    proven: anyLimit,
    answered: anyLimit,
    returning: anyLimit,
    ignoring: anyLimit,
    sip: fc
      .tuple(anyLimit, anyLimit, anyLimit, fc.boolean())
      .map(([some, prefix, total, enforced]) => ({ ...some, prefix, total, enforced })),
    ceiling: anyLimit,
    rest: anyLimit,
    connections: fc.record({
      source: anyLimit,
      prefix: anyLimit,
      most: fc.oneof(fc.constant(null), fc.integer({ min: 1, max: 1000 })),
    }),
  }),
  sizes: fc.constant(DEFAULTS.sizes),
  strictUntil: fc.oneof(fc.constant(null), anyUntil),
  allow: fc.array(anyPrefix(0), { maxLength: 5 }),
  gateways: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('carrier', 'b-2', 'c'),
      prefixes: fc.array(anyPrefix(1), { maxLength: 3 }),
      cps: anyLimit,
    }),
    { maxLength: 3, selector: ({ name }) => name },
  ),
  blocks: fc.array(
    fc.record({
      target: anyPrefix(1),
      scope: fc.constantFrom('sip' as const, 'register' as const),
      sparesProven: fc.boolean(),
      until: fc.oneof(fc.constant(null), anyUntil),
    }),
    { maxLength: 10 },
  ),
  suspensions: fc.array(
    fc.record({ address: anyAddress, port: fc.constantFrom(0, 5060, 65_535), until: anyUntil }),
    { maxLength: 10 },
  ),
  members: fc.array(fc.array(anyMember, { maxLength: 8 }), { maxLength: 4 }),
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
  return kernel.observe({ elements: WRITTEN_SETS })
}
