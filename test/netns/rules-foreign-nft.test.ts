import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { removeEverything } from '../../rules/remove-everything.ts'
import { block, DEFAULTS, desired } from '../rules/desired.ts'
import { eventually } from '../stage/running.ts'
import { Namespace } from './namespace.ts'

/** A rule of which iptables understands nothing, so that `iptables-save` shows nothing at all of its table. */
const UNREADABLE = 'ct mark vmap { 1 : accept }'
const ABSENT_NFT = 'nft-that-is-not-installed'
const NOTICED_WITHIN = 8_000
/** The longest pause between two attempts, and what they take. */
const TRIED_AGAIN_WITHIN = 40_000

describe.each([
  { family: 4, table: 'ip raw', program: 'iptables-nft', source: '192.0.2.1', another: '192.0.2.9' },
  {
    family: 6,
    table: 'ip6 raw',
    program: 'ip6tables-nft',
    source: '2001:db8::/64',
    another: '2001:db8:9::/64',
  },
] as const)('rules of nft in the table raw, IPv$family', ({ family, table, program, source, another }) => {
  let namespace: Namespace
  const engines: RulesEngine[] = []
  const state = desired({ blocks: [block(source)] })
  const more = desired({ blocks: [...state.blocks, block(another)] })
  const otherLimits = desired({
    blocks: more.blocks,
    limits: { ...DEFAULTS.limits, rest: { perSecond: 777, burst: 888 } },
  })

  beforeEach(async () => {
    namespace = await new Namespace('nft').create()
  })
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.close()
    await namespace.remove()
  })

  const kernel = (nft = 'nft') => new IptablesKernel({ iptables: 'iptables-nft', netns: namespace.name, nft })
  const begin = async (nft?: string) => {
    const engine = new RulesEngine({ kernel: kernel(nft), clock: Date.now })
    engines.push(engine)
    engine.setDesired(state)
    await engine.settled()
    return engine
  }
  const nft = (text: string) => namespace.run('nft', text)
  /** The rules of a chain as nft lists them, from which to see what iptables does not show. */
  const rulesOf = async (chain: string) =>
    (await namespace.run('nft', '-a', 'list', 'chain', ...table.split(' '), chain))
      .split('\n')
      .filter((line) => / # handle \d+$/.test(line) && !line.includes('chain '))
      .map((line) => line.trim().replace(/ # handle \d+$/, ''))
  const removeTheirs = async (chain = 'PREROUTING') => {
    const listed = await namespace.run('nft', '-a', 'list', 'chain', ...table.split(' '), chain)
    const handle = /vmap.* # handle (\d+)$/m.exec(listed)![1]
    await nft(`delete rule ${table} ${chain} handle ${handle}`)
  }
  const elementsOf = async (set: string) =>
    [...(await namespace.run('ipset', 'save', set)).matchAll(/^add \S+ (\S+)/gm)].map((found) => found[1])
  const jumps = async () =>
    (await rulesOf('PREROUTING')).filter((rule) => rule.endsWith('jump RINGFENCE')).length
  const saved = () => namespace.run(`${program}-save`, '-t', 'raw')

  test('one behind our jump disturbs nothing: changes come in, and nothing is written again', async () => {
    const engine = await begin()
    await nft(`add rule ${table} PREROUTING ${UNREADABLE}`)
    expect(await saved()).toContain('is incompatible')
    expect(await engine.check()).toEqual([])
    engine.setDesired(otherLimits)
    await eventually(() => engine.status().state === 'applied')
    expect(await elementsOf(`rf-sip${family}`)).toEqual(expect.arrayContaining([source, another]))
    expect(await namespace.run(program, '-t', 'raw', '-S', 'RINGFENCE-REST')).toContain('-777sec-888')
    expect(await rulesOf('PREROUTING')).toEqual([
      expect.stringMatching(/ jump RINGFENCE$/),
      expect.stringMatching(/^ct mark vmap/),
    ])
    const before = await namespace.run('nft', '-a', 'list', 'table', ...table.split(' '))
    expect(await engine.check()).toEqual([])
    expect((await engine.counters()).judged).toEqual({ udp: 0, tcp: 0 })
    expect(await namespace.run('nft', '-a', 'list', 'table', ...table.split(' '))).toBe(before)
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null, repairs: { count: 0 } })
    await removeTheirs()
    expect(await engine.check()).toEqual([])
  })

  test('one before our jump is overtaken once', async () => {
    const engine = await begin()
    await nft(`insert rule ${table} PREROUTING ${UNREADABLE}`)
    expect(await engine.check()).toEqual([
      expect.stringMatching(
        /^IPv\d: a rule that may decide stood before the jump from PREROUTING: -A PREROUTING \(made with nft, handle \d+\)$/,
      ),
    ])
    await engine.settled()
    expect(await rulesOf('PREROUTING')).toEqual([
      expect.stringMatching(/ jump RINGFENCE$/),
      expect.stringMatching(/^ct mark vmap/),
    ])
    expect(await engine.check()).toEqual([])
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 1 } })
  })

  test('a reload that flushes everything and brings one is repaired', async () => {
    const engine = await begin()
    await nft(
      `flush ruleset; add table ${table}; add chain ${table} PREROUTING { type filter hook prerouting priority -300; }; add rule ${table} PREROUTING ${UNREADABLE}`,
    )
    expect(await saved()).toContain('is incompatible')
    await eventually(() => engine.status().repairs.count === 1, NOTICED_WITHIN)
    await eventually(() => engine.status().state === 'applied')
    expect((await rulesOf('PREROUTING'))[0]).toMatch(/ jump RINGFENCE$/)
    expect(await engine.check()).toEqual([])
  })

  test('one in a chain of ours is taken out', async () => {
    const engine = await begin()
    await nft(`insert rule ${table} RINGFENCE-UDP ${UNREADABLE}`)
    expect(await engine.check()).toEqual([
      `IPv${family}: the rules of the chain RINGFENCE-UDP were other ones`,
    ])
    await engine.settled()
    expect(await saved()).not.toContain('is incompatible')
    expect(await engine.check()).toEqual([])
  })

  test('one that is there before us, also across a restart, and off leaves it alone', async () => {
    await nft(
      `add table ${table}; add chain ${table} PREROUTING { type filter hook prerouting priority -300; }; add rule ${table} PREROUTING ${UNREADABLE}`,
    )
    const first = await begin()
    expect(first.status()).toMatchObject({ state: 'applied', lastError: null })
    await first.close()
    const engine = await begin()
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null, repairs: { count: 0 } })
    expect(await rulesOf('PREROUTING')).toEqual([
      expect.stringMatching(/ jump RINGFENCE$/),
      expect.stringMatching(/^ct mark vmap/),
    ])
    expect((await engine.off()).length).toBeGreaterThan(10)
    expect(await rulesOf('PREROUTING')).toEqual([expect.stringMatching(/^ct mark vmap/)])
    expect(await namespace.run('nft', 'list', 'table', ...table.split(' '))).not.toContain('RINGFENCE')
    expect(await namespace.run('ipset', 'list', '-n')).toBe('')
    expect(await engine.off()).toEqual([])
  })

  test('a table of its own never disturbs', async () => {
    const own = table.replace('raw', 'mytable')
    await nft(
      `add table ${own}; add set ${own} known { type mark; }; add chain ${own} early { type filter hook prerouting priority -301; }; add rule ${own} early ${UNREADABLE}; add rule ${own} early ct mark @known counter`,
    )
    const theirs = await namespace.run('nft', '-a', 'list', 'table', ...own.split(' '))
    const engine = await begin()
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
    expect(await engine.check()).toEqual([])
    engine.setDesired(otherLimits)
    await eventually(() => engine.status().state === 'applied')
    expect(engine.status().repairs.count).toBe(0)
    await engine.off()
    expect(await namespace.run('nft', '-a', 'list', 'table', ...own.split(' '))).toBe(theirs)
  })

  test('without nft it is said what to do, blocks go on, and changes come in when the rule goes', async () => {
    const engine = await begin(ABSENT_NFT)
    await nft(`add rule ${table} PREROUTING ${UNREADABLE}`)
    await engine.check()
    const { state: outcome, lastError } = engine.status()
    expect(outcome).toBe('failing')
    expect(lastError!.message).toBe(
      `IPv${family}: The table raw holds a rule made with nft that iptables cannot read, so what is in the table cannot be checked or changed (nft is not installed): install nft (apt-get install nftables), or move that rule into a table of its own; "nft -a list table ${table}" shows it.`,
    )
    engine.setDesired(otherLimits)
    await eventually(async () => (await elementsOf(`rf-sip${family}`)).includes(another))
    // More than one look and more than one attempt: nothing of ours is written meanwhile.
    await eventually(() => (engine.status().lastError?.attempts ?? 0) >= 4, NOTICED_WITHIN)
    expect(engine.status().pendingChanges).toBeGreaterThan(0)
    expect(await jumps()).toBe(1)
    expect(await namespace.run(program, '-t', 'raw', '-S', 'RINGFENCE-REST')).not.toContain('-777sec-888')
    await removeTheirs()
    await eventually(() => engine.status().state === 'applied', TRIED_AGAIN_WITHIN)
    expect(await namespace.run(program, '-t', 'raw', '-S', 'RINGFENCE-REST')).toContain('-777sec-888')
    expect(engine.status()).toMatchObject({ pendingChanges: 0, lastError: null })
    expect(await engine.check()).toEqual([])
  }, 90_000)

  test('without nft, removal says what stays and why, and removes it when the rule is gone', async () => {
    const engine = await begin(ABSENT_NFT)
    await nft(`add rule ${table} PREROUTING ${UNREADABLE}`)
    await expect(engine.off()).rejects.toThrow(
      /The table raw holds a rule made with nft .* The jump to its chains was taken out all the same/,
    )
    expect(await jumps()).toBe(0)
    expect(await namespace.run('ipset', 'list', '-n')).not.toContain(`rf-sip${family === 4 ? 6 : 4}`)
    await removeTheirs()
    const patient = kernel(ABSENT_NFT)
    expect((await removeEverything(patient)).length).toBeGreaterThan(10)
    await patient.close()
    expect(await saved()).not.toContain('RINGFENCE')
    expect(await namespace.run('ipset', 'list', '-n')).toBe('')
  })
})
