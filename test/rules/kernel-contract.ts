import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Kernel, KernelError } from '../../rules/kernel.ts'
import { CHAINS, defineSets, type SetPurpose } from '../../rules/names.ts'
import { renderCreate } from '../../rules/plan.ts'
import { removeEverything } from '../../rules/remove-everything.ts'
import { applyPlan } from './apply-plan.ts'
import {
  answered,
  block,
  DEFAULTS,
  denied,
  desired,
  gateway,
  ignoring,
  limit,
  limits,
  prefix,
  proven,
  returning,
  sizes,
  suspension,
  traffic,
} from './desired.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

/** A fresh kernel that holds nothing of ours. */
export interface KernelUnderTest {
  readonly kernel: Kernel
  dispose(): Promise<void>
}

const SETS = defineSets(DEFAULTS.sizes)
const CREATE = SETS.map((definition) => renderCreate(definition))
const ALL: readonly SetPurpose[] = [...new Set(SETS.map(({ purpose }) => purpose))]
const FAMILIES = [4, 6] as const

/** What every kernel does, the real ones and the imagined one. */
export function kernelContract(name: string, start: () => Promise<KernelUnderTest>): void {
  describe(name, () => {
    let under: KernelUnderTest
    let kernel: Kernel

    beforeEach(async () => {
      under = await start()
      kernel = under.kernel
    })
    afterEach(() => under.dispose())

    const all = () => kernel.observe({ elements: ALL })
    const elementsOf = async (set: string) =>
      [...((await all()).sets.get(set)?.elements ?? [])]
        .map(([text, { timeout }]) => [text, timeout] as const)
        .sort()
    const restore = (family: 4 | 6, ...lines: readonly string[]) =>
      kernel.applyChains(family, ['*raw', ...lines, 'COMMIT', ''].join('\n'))
    const chainsOf = async (family: 4 | 6) => {
      const { own, builtIn } = (await all()).chains[family]
      const text = (rules: readonly { text: string }[]) => rules.map((rule) => rule.text)
      return {
        own: Object.fromEntries([...own].map(([key, rules]) => [key, text(rules)])),
        jumps: [...text(builtIn.PREROUTING), ...text(builtIn.OUTPUT)],
      }
    }
    const refusalOf = async (promise: Promise<unknown>) => {
      const error = await promise.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(KernelError)
      return error as KernelError
    }

    test('holds nothing at first', async () => {
      const observed = await all()
      expect([observed.sets.size, observed.chains[4].own.size, observed.chains[6].own.size]).toEqual([
        0, 0, 0,
      ])
      expect(observed.straySets).toEqual([])
      expect(await removeEverything(kernel)).toEqual([])
    })

    test('reads the elements of the sets that are asked for, and of no other', async () => {
      await kernel.applySets([
        ...CREATE,
        'add rf-deny4 192.0.2.1 timeout 0 packets 7 bytes 700 -exist',
        'add rf-pvn6 2001:db8::1,udp:5060 timeout 0 -exist',
        'add rf-seen4 192.0.2.2,udp:5060 -exist',
      ])
      const { sets } = await kernel.observe({ elements: ['deny', 'reg'] })
      expect(sets.get('rf-deny4')).toMatchObject({
        size: 1,
        elements: new Map([['192.0.2.1', { timeout: 0, packets: 7, bytes: 700 }]]),
      })
      expect(sets.get('rf-reg6')).toMatchObject({ size: 0, elements: new Map() })
      expect(sets.get('rf-pvn6')).toMatchObject({ size: 1, elements: undefined })
      expect(sets.get('rf-seen4')).toMatchObject({ size: 1, elements: undefined })
    })

    test('swaps two sets that differ in size alone, while a chain holds one of them', async () => {
      await kernel.applySets([...CREATE, 'add rf-sip4 192.0.2.1 timeout 0 -exist'])
      await restore(4, ':RINGFENCE - [0:0]', '-A RINGFENCE -m set --match-set rf-sip4 src -j DROP')
      const aside = SETS.find(({ name }) => name === 'rf-sip4')!
      const larger = defineSets({ ...DEFAULTS.sizes, elements: 777 }).find(({ name }) => name === 'rf-sip4')!
      expect(
        await kernel.applySets([
          renderCreate(larger, { as: 'rf-sip4-new', expected: 20_000 }),
          'add rf-sip4-new 192.0.2.2 timeout 600 packets 5 bytes 50 -exist',
        ]),
      ).toEqual([])
      expect((await all()).straySets).toEqual(['rf-sip4-new'])
      // Lines around a swap are taken in their order, and the swap once, also where one of them is refused.
      const bad = 'add rf-sip4 0.0.0.0/0 timeout 0 -exist'
      const refused = await kernel.applySets([
        bad,
        'swap rf-sip4-new rf-sip4',
        bad,
        bad,
        'destroy rf-sip4-new',
      ])
      expect(refused.map(({ line }) => line)).toEqual([bad, bad, bad])
      const { sets, straySets } = await all()
      expect([sets.get('rf-sip4')!.form, straySets]).toEqual([larger.form, []])
      expect(larger.form).not.toBe(aside.form)
      expect([...sets.get('rf-sip4')!.elements!]).toEqual([
        ['192.0.2.2', { timeout: expect.toSatisfy((left: number) => left > 590), packets: 5, bytes: 50 }],
      ])
      expect(await chainsOf(4)).toEqual({
        own: { RINGFENCE: ['-A RINGFENCE -m set --match-set rf-sip4 src -j DROP'] },
        jumps: [],
      })
    })

    test('swaps no sets of different types, and destroys what is not there without a word', async () => {
      await kernel.applySets(CREATE)
      const line = 'swap rf-sip4 rf-susp4'
      expect(await kernel.applySets([line])).toEqual([{ line, message: expect.stringContaining('type') }])
      expect(await kernel.applySets(['destroy rf-sip4-new', 'destroy rf-reg4', 'destroy rf-reg4'])).toEqual(
        [],
      )
    })

    test('counts leftovers of a change that was cut short among what is removed', async () => {
      await kernel.applySets([
        ...CREATE,
        'create rf-pvn4-new hash:ip,port family inet maxelem 5 timeout 0 -exist',
        'create rf-old6 hash:net family inet6 maxelem 5 -exist',
      ])
      expect([...(await all()).straySets].sort()).toEqual(['rf-old6', 'rf-pvn4-new'])
      expect(await removeEverything(kernel)).toHaveLength(SETS.length + 2)
      expect((await all()).straySets).toEqual([])
    })

    test('is emptied as far as rules of others let it, the jumps first, and says who holds the rest', async () => {
      const state = desired({ sizes: { ...DEFAULTS.sizes, elements: 1_000, seen: 1_000 } })
      await applyPlan(kernel, planChanges(state, await all(), Date.now()))
      await restore(4, ':mine - [0:0]', '-A mine -j RINGFENCE-UDP', '-I OUTPUT -j mine')
      await restore(6, ':theirs - [0:0]', '-A theirs -m set --match-set rf-deny6 src -j DROP')
      const refusal = await removeEverything(kernel).catch((error: unknown) => error)
      expect(refusal).toBeInstanceOf(KernelError)
      expect((refusal as KernelError).message.replaceAll(/(ip6?tables)-(?:nft|legacy)/g, '$1')).toBe(
        'What of Ringfence had to stay: the empty chain RINGFENCE-UDP (IPv4), used by "iptables -t raw -A mine -j RINGFENCE-UDP"; the set rf-deny6, used by "ip6tables -t raw -A theirs -m set --match-set rf-deny6 src -j DROP". All else is gone, and nothing of Ringfence drops packets any more.',
      )
      expect([await chainsOf(4), await chainsOf(6), [...(await all()).sets.keys()]]).toEqual([
        { own: { 'RINGFENCE-UDP': [] }, jumps: ['-A OUTPUT -j mine'] },
        { own: {}, jumps: [] },
        ['rf-deny6'],
      ])
      // What stayed is filled again, and goes when nobody holds it any more.
      await applyPlan(kernel, planChanges(state, await all(), Date.now()))
      expect(isEmptyPlan(planChanges(state, await all(), Date.now()))).toBe(true)
      await restore(4, '-D OUTPUT -j mine', '-F mine', '-X mine')
      await restore(6, '-F theirs', '-X theirs')
      await removeEverything(kernel)
      expect([await chainsOf(4), await chainsOf(6), (await all()).sets.size]).toEqual([
        { own: {}, jumps: [] },
        { own: {}, jumps: [] },
        0,
      ])
    })

    test('keeps a rule that only counts, and both jumps', async () => {
      await restore(
        4,
        ':RINGFENCE - [0:0]',
        ':RINGFENCE-OUT - [0:0]',
        '-I PREROUTING -j RINGFENCE',
        '-I OUTPUT -j RINGFENCE-OUT',
        '-A RINGFENCE',
        '-A RINGFENCE -i lo -j RETURN',
        '-A RINGFENCE',
      )
      expect(await chainsOf(4)).toEqual({
        own: {
          RINGFENCE: ['-A RINGFENCE', '-A RINGFENCE -i lo -j RETURN', '-A RINGFENCE'],
          'RINGFENCE-OUT': [],
        },
        jumps: ['-A PREROUTING -j RINGFENCE', '-A OUTPUT -j RINGFENCE-OUT'],
      })
      expect(await removeEverything(kernel)).toHaveLength(2)
      expect(await chainsOf(4)).toEqual({ own: {}, jumps: [] })
    })

    test('prints the sets back in the form they were created with', async () => {
      expect(await kernel.applySets(CREATE)).toEqual([])
      expect(await kernel.applySets(CREATE)).toEqual([])
      for (const elements of [ALL, []]) {
        const { sets } = await kernel.observe({ elements })
        expect(Object.fromEntries([...sets].map(([key, { form }]) => [key, form]))).toEqual(
          Object.fromEntries(SETS.map((set) => [set.name, set.form])),
        )
      }
    })

    test('adds, changes and deletes elements, each line idempotent', async () => {
      await kernel.applySets(CREATE)
      const lines = [
        'add rf-sip4 192.0.2.1 timeout 100 -exist',
        'add rf-sip4 192.0.2.1 timeout 500 -exist',
        'add rf-sip4 198.51.100.0/24 timeout 0 -exist',
        'add rf-sip4 203.0.113.1 timeout 2147483 -exist',
        'del rf-sip4 203.0.113.9 -exist',
        'add rf-susp4 192.0.2.1,udp:5060 timeout 100 -exist',
        'add rf-susp6 2001:db8::1,udp:5060 timeout 0 -exist',
        'add rf-reg6 2001:db8:1::/64 timeout 0 -exist',
        'add rf-allow6 ::102:304 -exist',
        'add rf-reg6 2001:db8:2::/64 timeout 0 -exist',
        'del rf-reg6 2001:db8:2::/64 -exist',
      ]
      expect(await kernel.applySets(lines)).toEqual([])
      const near = (timeout: number) =>
        expect.toSatisfy((seen: number) => seen <= timeout && seen >= timeout - 5)
      expect(await elementsOf('rf-sip4')).toEqual([
        ['192.0.2.1', near(500)],
        ['198.51.100.0/24', 0],
        ['203.0.113.1', near(2_147_483)],
      ])
      expect(await elementsOf('rf-susp4')).toEqual([['192.0.2.1,udp:5060', near(100)]])
      expect(await elementsOf('rf-susp6')).toEqual([['2001:db8::1,udp:5060', 0]])
      expect(await elementsOf('rf-reg6')).toEqual([['2001:db8:1::/64', 0]])
      expect(await elementsOf('rf-allow6')).toEqual([['::102:304', 0]])
      expect((await kernel.observe({ elements: [] })).sets.get('rf-sip4')?.size).toBe(3)
    })

    test('names the lines that it refuses, and takes the others', async () => {
      await kernel.applySets(CREATE)
      const bad = [
        'add rf-sip4 0.0.0.0/0 timeout 0 -exist',
        'add rf-nothing4 192.0.2.1 -exist',
        'add rf-sip4 2001:db8::1 timeout 0 -exist',
        'add rf-sip4 192.0.2.3 timeout 2147484 -exist',
        'create rf-reg4 hash:net family inet maxelem 5 timeout 0 counters -exist',
      ]
      const good = bad.map((_, i) => `add rf-reg4 192.0.2.${i} timeout 0 -exist`)
      const refused = await kernel.applySets(bad.flatMap((line, i) => [line, good[i]!]))
      expect(refused.map(({ line }) => line)).toEqual(bad)
      expect(refused.every(({ message }) => message.length > 10)).toBe(true)
      expect(await elementsOf('rf-reg4')).toHaveLength(good.length)
      expect(await elementsOf('rf-sip4')).toEqual([])
      expect(await kernel.applySets(good)).toEqual([])
    })

    test('takes thousands of lines at once, and names the one that is bad', async () => {
      await kernel.applySets(CREATE)
      const lines = Array.from(
        { length: 3_000 },
        (_, i) => `add rf-sip4 10.0.${i >> 8}.${i & 255} timeout 600 -exist`,
      )
      const bad = 'add rf-sip4 0.0.0.0/0 timeout 0 -exist'
      const refused = await kernel.applySets([...lines.slice(0, 1_500), bad, ...lines.slice(1_500)])
      expect(refused.map(({ line }) => line)).toEqual([bad])
      expect(await elementsOf('rf-sip4')).toHaveLength(3_000)
      expect(
        await kernel.applySets(lines.map((line) => line.replace(/^add (.*) timeout 600/, 'del $1'))),
      ).toEqual([])
      expect(await elementsOf('rf-sip4')).toEqual([])
    })

    test('a full set refuses what is new, by name', async () => {
      const create = 'create rf-sip4 hash:net family inet maxelem 2 timeout 0 counters -exist'
      const lines = [1, 2, 3].map((n) => `add rf-sip4 192.0.2.${n} timeout 0 -exist`)
      const refused = await kernel.applySets([create, ...lines, lines[0]!])
      expect(refused).toEqual([{ line: lines[2], message: expect.stringContaining('full') }])
    })

    test('loads chains as one transaction', async () => {
      await restore(
        4,
        ':RINGFENCE - [0:0]',
        ':RINGFENCE-UDP - [0:0]',
        '-I PREROUTING -j RINGFENCE',
        '-A RINGFENCE -j RINGFENCE-UDP',
      )
      const before = await chainsOf(4)
      expect(before).toEqual({
        own: { RINGFENCE: ['-A RINGFENCE -j RINGFENCE-UDP'], 'RINGFENCE-UDP': [] },
        jumps: ['-A PREROUTING -j RINGFENCE'],
      })
      const broken = [
        ['-F RINGFENCE', '-A RINGFENCE -j RINGFENCE-NOWHERE'],
        [':RINGFENCE - [0:0]', '-A RINGFENCE -m set --match-set rf-sip4 src -j DROP'],
        ['-F RINGFENCE-UDP', '-D PREROUTING -i eth9 -j RINGFENCE'],
        ['-F RINGFENCE-UDP', '-X RINGFENCE-UDP'],
      ]
      for (const lines of broken) {
        const error = await refusalOf(restore(4, ...lines))
        expect(error.kind).toBe('refused')
        expect(await chainsOf(4)).toEqual(before)
      }
      expect((await chainsOf(6)).own).toEqual({})
      await restore(
        4,
        ':RINGFENCE - [0:0]',
        '-A RINGFENCE -i lo -j RETURN',
        '-F RINGFENCE-UDP',
        '-X RINGFENCE-UDP',
      )
      expect(await chainsOf(4)).toEqual({
        own: { RINGFENCE: ['-A RINGFENCE -i lo -j RETURN'] },
        jumps: ['-A PREROUTING -j RINGFENCE'],
      })
    })

    test('keeps a set that a chain mentions', async () => {
      await kernel.applySets(CREATE)
      await restore(4, ':RINGFENCE - [0:0]', '-A RINGFENCE -m set --match-set rf-sip4 src -j DROP')
      const refused = await kernel.applySets(['destroy rf-reg4', 'destroy rf-sip4'])
      expect(refused).toEqual([{ line: 'destroy rf-sip4', message: expect.stringContaining('in use') }])
      expect((await all()).sets.has('rf-reg4')).toBe(false)
      await removeEverything(kernel)
      expect((await all()).sets.size).toBe(0)
    })

    test.each([
      ['a fresh installation', DEFAULTS],
      [
        'a gateway with everything',
        desired({
          traffic: traffic({
            interfaces: ['eth0', 'wan+'],
            destinations: [prefix('192.0.2.0/24'), prefix('2001:db8:ff::/48')],
            udpPorts: Array.from({ length: 33 }, (_, i) => 5060 + i),
            tcpPorts: [5060, 5061],
            responses: 'any',
          }),
          limits: limits({
            unknown: { source: limit(0.5, 3), prefix: limit(100, 200), total: limit(1_500, 1_500) },
            sip: { ...limit(7, 900), prefix: limit(30, 900), total: limit(70, 1_800), enforced: true },
            connections: { source: limit(5, 20), prefix: limit(50, 100), most: null },
          }),
          sizes: sizes({ elements: 2_000, buckets: 3_000, seen: 4_000 }),
          strictUntil: Date.now() + 120_000,
          gateways: [
            gateway('carrier', ['198.51.100.0/24', '2001:db8:77::/48'], limit(80, 160)),
            gateway('second-one', ['198.51.100.7'], limit(0.2, 3)),
          ],
          members: [
            [
              proven('203.0.113.40', 5060, Date.now() + 600_000),
              proven('2001:db8::40', 65_535, Date.now() + 600_000),
              answered('203.0.113.41', 1, Date.now() + 600_000),
            ],
            [
              returning('203.0.113.42', 1, Date.now() + 600_000),
              returning('203.0.113.43', 20, Date.now() + 600_000),
              returning('2001:db8:0:1::/64', 2_000, Date.now() + 600_000),
              ignoring('203.0.113.44', Date.now() + 600_000),
            ],
          ],
          allow: [prefix('0.0.0.0/0'), prefix('::/0'), prefix('10.0.0.0/8')],
          blocks: [
            block('198.51.100.0/24', 'sip', Date.now() + 600_000),
            block('203.0.113.9', 'register'),
            denied('203.0.113.10', Date.now() + 600_000),
            block('::fffe:0:0/95', 'sip'),
            block('2001:db8::/32', 'register', Date.now() + 1e13),
          ],
          suspensions: [
            suspension('203.0.113.1', 5060, Date.now() + 600_000),
            suspension('203.0.113.1', 0, Date.now() + 600_000),
            suspension('2001:db8::1', 5061, Date.now() + 600_000),
            suspension('2001:db8::1', 0, Date.now() + 600_000),
          ],
        }),
      ],
    ])(
      'takes what is planned for %s, has nothing left to plan then, and can be cleared',
      async (_name, state) => {
        await applyPlan(kernel, planChanges(state, await all(), Date.now()))
        const again = planChanges(state, await all(), Date.now())
        expect(again).toEqual({
          destroySets: [],
          rebuild: [],
          createSets: [],
          replaceSets: [],
          standing: [],
          chains: {},
          elements: [],
        })
        expect(isEmptyPlan(again)).toBe(true)
        const other = desired({ sizes: state.sizes, blocks: [block('192.0.2.77')] })
        await applyPlan(kernel, planChanges(other, await all(), Date.now()))
        expect(isEmptyPlan(planChanges(other, await all(), Date.now()))).toBe(true)
        const removed = await removeEverything(kernel)
        expect(removed).toHaveLength(FAMILIES.length * CHAINS.length + SETS.length)
        expect([await chainsOf(4), await chainsOf(6), (await all()).sets.size]).toEqual([
          { own: {}, jumps: [] },
          { own: {}, jumps: [] },
          0,
        ])
        expect(await removeEverything(kernel)).toEqual([])
      },
    )
  })
}
