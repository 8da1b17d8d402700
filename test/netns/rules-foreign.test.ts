import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CONTEST } from '../../rules/contest.ts'
import { RulesEngine, type RulesEngineOptions } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { defineSets } from '../../rules/names.ts'
import { block, DEFAULTS, denied, desired, gateway, prefix } from '../rules/desired.ts'
import { eventually } from '../stage/running.ts'
import { Namespace } from './namespace.ts'

const BACKENDS = ['iptables-nft', 'iptables-legacy'] as const
const NOTICED_WITHIN = 5_000
/** What reading and repairing may take on a busy machine. */
const SLACK = 3_000

const STATE = desired({
  blocks: [block('192.0.2.1'), block('2001:db8::/64'), denied('192.0.2.2')],
  allow: [prefix('198.51.100.0/24')],
  gateways: [gateway('carrier', ['203.0.113.0/24'])],
})

/** A namespace of its own whose kernel holds the state, and what looks after it. */
async function openHands(
  iptables: (typeof BACKENDS)[number],
  options: Pick<RulesEngineOptions, 'contest'> = {},
) {
  const namespace = await new Namespace('hands').create()
  const kernel = new IptablesKernel({ iptables, netns: namespace.name })
  const engine = new RulesEngine({ kernel, clock: Date.now, ...options })
  engine.setDesired(STATE)
  await engine.settled()
  expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
  const program = (family: 4 | 6) => (family === 4 ? iptables : iptables.replace('iptables', 'ip6tables'))
  return {
    namespace,
    engine,
    program,
    raw: async (family: 4 | 6) =>
      (await namespace.run(`${program(family)}-save`, '-t', 'raw'))
        .split('\n')
        .filter((line) => line.startsWith('-A ')),
    elementsOf: async (set: string) =>
      [...(await namespace.run('ipset', 'save', set)).matchAll(/^add \S+ (\S+)/gm)].map((found) => found[1]),
    close: async () => {
      await engine.close()
      await namespace.remove()
    },
  }
}

test.each(BACKENDS)('an order to be on ends an argument with another program, by %s', async (iptables) => {
  // Nothing comes by itself within the test.
  const contest = { ...CONTEST, repairs: 2, firstPause: 600_000, pause: 600_000 }
  const { engine, namespace, program, raw, close } = await openHands(iptables, { contest })
  try {
    const jumps = async () => (await raw(4)).filter((rule) => rule === '-A PREROUTING -j RINGFENCE').length
    const flush = async () => {
      await namespace.run(program(4), '-t', 'raw', '-F', 'PREROUTING')
      await engine.check()
      await engine.settled()
      return [await jumps(), engine.status().state]
    }
    expect([await flush(), await flush(), await flush()]).toEqual([
      [1, 'applied'],
      [1, 'applied'],
      [0, 'contested'],
    ])
    engine.on()
    await engine.settled()
    expect([await jumps(), engine.status().state, engine.status().repairs.contestedUntil]).toEqual([
      1,
      'applied',
      null,
    ])
    // Putting it right at the order was the first of a new budget.
    expect([await flush(), await flush()]).toEqual([
      [1, 'applied'],
      [0, 'contested'],
    ])
  } finally {
    await close()
  }
})

// Each of these waits for the engine's next look, so some run beside each other.
describe.each(BACKENDS)('foreign hands that nobody announces, by %s', (iptables) => {
  test.concurrent.each<
    [string, (run: Namespace['run'], tables: (family: 4 | 6) => string) => Promise<unknown>, RegExp]
  >([
    [
      'a flushed table',
      async (run, tables) => {
        await run(tables(4), '-t', 'raw', '-F')
        await run(tables(4), '-t', 'raw', '-X')
      },
      /^IPv4: the chain RINGFENCE was gone$/,
    ],
    [
      'a deleted jump from PREROUTING',
      (run, tables) => run(tables(6), '-t', 'raw', '-D', 'PREROUTING', '-j', 'RINGFENCE'),
      /^IPv6: the jump from PREROUTING was gone$/,
    ],
    [
      'a deleted jump from OUTPUT',
      (run, tables) => run(tables(4), '-t', 'raw', '-D', 'OUTPUT', '-j', 'RINGFENCE-OUT'),
      /^IPv4: the jump from OUTPUT was gone$/,
    ],
    [
      'a deleted set',
      async (run, tables) => {
        await run(tables(4), '-t', 'raw', '-F')
        // With nf_tables rules let go of their sets a moment later.
        await eventually(() => run('ipset', 'destroy', 'rf-sip4').then(() => true))
      },
      /^the set rf-sip4 was gone; IPv4: .* were other ones$/,
    ],
    [
      'a flushed set',
      (run) => run('ipset', 'flush', 'rf-deny4'),
      /^elements of the set rf-deny4 were gone: 1$/,
    ],
    [
      'a foreign rule in a chain of ours',
      (run, tables) => run(tables(4), '-t', 'raw', '-I', 'RINGFENCE-UDP', '-j', 'RETURN'),
      /^IPv4: the rules of the chain RINGFENCE-UDP were other ones$/,
    ],
    [
      'a rule that decides before our jump',
      (run, tables) => run(tables(4), '-t', 'raw', '-I', 'PREROUTING', '-i', 'eth7', '-j', 'ACCEPT'),
      /^IPv4: a rule that decides stood before the jump from PREROUTING: -A PREROUTING -i eth7 -j ACCEPT$/,
    ],
  ])('%s is noticed within 5 s, repaired, counted and said', async (_name, change, found) => {
    const { namespace, engine, program, raw, elementsOf, close } = await openHands(iptables)
    try {
      await change((...words) => namespace.run(...words), program)
      const at = Date.now()
      await eventually(() => engine.status().repairs.count === 1, NOTICED_WITHIN + SLACK)
      expect(engine.status().repairs.lastAt! - at).toBeLessThan(NOTICED_WITHIN + SLACK)
      expect(engine.status().repairs.last).toMatch(found)
      await eventually(() => engine.status().state === 'applied')
      for (const family of [4, 6] as const) {
        const rules = await raw(family)
        expect(rules[0]).toBe('-A PREROUTING -j RINGFENCE')
        expect(rules.filter((rule) => / -j RINGFENCE(-OUT)?$/.test(rule))).toHaveLength(2)
      }
      expect(await elementsOf('rf-sip4')).toEqual(['192.0.2.1'])
      expect(await elementsOf('rf-deny4')).toEqual(['192.0.2.2'])
      expect(await elementsOf('rf-gw4')).toEqual(['203.0.113.0/24'])
      expect(await engine.check()).toEqual([])
      expect(engine.status().repairs.count).toBe(1)
    } finally {
      await close()
    }
  })
})

describe.each(BACKENDS)('foreign hands, by %s', (iptables) => {
  let namespace: Namespace
  let engine: RulesEngine
  let program: (family: 4 | 6) => string
  let raw: (family: 4 | 6) => Promise<string[]>
  let close: () => Promise<void>

  beforeEach(async () => {
    ;({ namespace, engine, program, raw, close } = await openHands(iptables))
  })
  afterEach(() => close())

  test('a rule without a target is overtaken once, and goes on counting behind ours', async () => {
    await namespace.run(iptables, '-t', 'raw', '-I', 'PREROUTING', '-p', 'udp', '-m', 'udp', '--dport', '53')
    expect(await engine.check()).toEqual([
      'IPv4: a rule that may decide stood before the jump from PREROUTING: -A PREROUTING -p udp -m udp --dport 53',
    ])
    await engine.settled()
    expect((await raw(4)).filter((rule) => rule.startsWith('-A PREROUTING'))).toEqual([
      '-A PREROUTING -j RINGFENCE',
      '-A PREROUTING -p udp -m udp --dport 53',
    ])
    expect(await engine.check()).toEqual([])
    expect(engine.status().repairs.count).toBe(1)
  })

  test.runIf(iptables === 'iptables-nft')(
    'a verdict map that nft put before our jump is overtaken',
    async () => {
      const maps = ['udp dport vmap { 5060 : accept }', 'meta iifname vmap { "eth7" : drop }']
      for (const map of maps) {
        await namespace.run('nft', `insert rule ip raw PREROUTING ${map}`)
        expect(await engine.check()).toEqual([
          expect.stringMatching(/^IPv4: a rule that may decide stood before the jump from PREROUTING: /),
        ])
        await engine.settled()
        const listed = await namespace.run('nft', 'list', 'chain', 'ip', 'raw', 'PREROUTING')
        const [jump, theirs] = ['jump RINGFENCE', 'vmap'].map((text) => listed.indexOf(text))
        expect(jump).toBeGreaterThan(0)
        expect(theirs).toBeGreaterThan(jump!)
        expect(await engine.check()).toEqual([])
      }
      expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 2 } })
    },
  )

  test('rules of others keep their order and their counters when ours goes to the front', async () => {
    const others = ['-i eth7 -j ACCEPT', '-i eth8 -j NOTRACK', '-i eth9 -j DROP']
    const shown = ['-i eth7 -j ACCEPT', /^-i eth8 -j (?:NOTRACK|CT --notrack)$/, '-i eth9 -j DROP']
    for (const [i, rule] of others.entries()) {
      const words = rule.split(' ')
      await namespace.run(iptables, '-t', 'raw', '-I', 'PREROUTING', `${i + 1}`, '-c', '7', '700', ...words)
    }
    expect(await engine.check()).toHaveLength(1)
    await engine.settled()
    const saved = await namespace.run(`${iptables}-save`, '-c', '-t', 'raw')
    const rules = [...saved.matchAll(/^\[(\d+:\d+)\] -A PREROUTING (.*)$/gm)]
    expect(rules.map(([, counters, rule]) => [rule, counters])).toEqual([
      ['-j RINGFENCE', expect.any(String)],
      ...shown.map((rule) => [typeof rule === 'string' ? rule : expect.stringMatching(rule), '7:700']),
    ])
  })

  test('everything is as planned after a reload of all tables', async () => {
    for (const family of [4, 6] as const) {
      const reload =
        '*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:FW - [0:0]\n-A PREROUTING -j FW\nCOMMIT\n'
      await namespace.feed(reload, `${program(family)}-restore`)
    }
    expect(await engine.check()).toEqual([
      'IPv4: the chain RINGFENCE was gone',
      'IPv6: the chain RINGFENCE was gone',
    ])
    await engine.settled()
    expect((await raw(4)).filter((rule) => rule.startsWith('-A PREROUTING'))).toEqual([
      '-A PREROUTING -j RINGFENCE',
      '-A PREROUTING -j FW',
    ])
    expect(await engine.check()).toEqual([])
  })

  test('foreign sets are not read, however large they are', async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `add crowd 10.0.${i >> 8}.${i & 255}`)
    await namespace.feed(`create crowd hash:ip\n${lines.join('\n')}\n`, 'ipset', 'restore')
    const kernel = new IptablesKernel({ iptables, netns: namespace.name })
    const { sets, straySets } = await kernel.observe({ elements: ['sip', 'deny'] })
    expect([...sets.keys()].sort()).toEqual(
      defineSets(DEFAULTS.sizes)
        .map(({ name }) => name)
        .sort(),
    )
    expect(straySets).toEqual([])
    expect([...sets.get('rf-sip4')!.elements!.keys()]).toEqual(['192.0.2.1'])
    expect(sets.get('rf-pvn4')!.elements).toBeUndefined()
    await kernel.close()
  })
})
