import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DesiredStateError } from '../../rules/check-desired-state.ts'
import type { Block, DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { KernelError } from '../../rules/kernel.ts'
import { CHAINS, defineSets, WRITTEN_SETS } from '../../rules/names.ts'
import { block, DEFAULTS, desired, prefix, suspension, traffic } from './desired.ts'
import { FaultyKernel } from './faulty-kernel.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

const START = Date.UTC(2026, 0, 1)
/** How often the engine looks: so that what it finds is repaired within 5 s. */
const CHECK_EVERY = 4_000
const SETS = defineSets(DEFAULTS.sizes)
/** Chains and sets of both families. */
const EVERYTHING = 2 * CHAINS.length + SETS.length

let kernel: FaultyKernel
let engine: RulesEngine
let changes: number

beforeEach(() => {
  // Turns of the event loop stay real: a bulk gives others theirs.
  vi.useFakeTimers({
    now: START,
    toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
  })
  kernel = new FaultyKernel(Date.now)
  changes = 0
  engine = new RulesEngine({ kernel, clock: Date.now, onChange: () => changes++ })
})
afterEach(async () => {
  await engine.close()
  vi.useRealTimers()
})

/** What a rule of somebody else's program would do before it could destroy a set. */
async function flushWhatMentions(set: string): Promise<void> {
  const { own } = (await kernel.observe({ elements: [] })).chains[4]
  const chains = [...own].filter(([, rules]) => rules.some(({ text }) => text.includes(` ${set} `)))
  await kernel.foreign(4, ...chains.map(([name]) => `-F ${name}`))
}

async function apply(state: DesiredState): Promise<void> {
  engine.setDesired(state)
  await engine.settled()
}

/** What is left to plan for a state, planned without anything that the engine remembers. */
async function leftToDo(state: DesiredState): Promise<boolean> {
  return !isEmptyPlan(planChanges(state, await kernel.observe({ elements: WRITTEN_SETS }), Date.now()))
}

describe('what is desired', () => {
  test('is off before anything is desired', async () => {
    expect(engine.status()).toEqual({
      state: 'off',
      backend: 'imagined',
      lastAppliedAt: null,
      pendingChanges: 0,
      lastError: null,
      full: [],
      repairs: { count: 0, lastAt: null, last: null, contestedUntil: null },
    })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kernel.observations).toBe(0)
  })

  test('reaches the kernel, all of it', async () => {
    const state = desired({
      allow: [prefix('0.0.0.0/0')],
      blocks: [block('192.0.2.1', 'sip', START + 60_000), block('2001:db8::/64', 'register')],
      suspensions: [suspension('192.0.2.2', 5060, START + 60_000)],
    })
    engine.setDesired(state)
    expect(engine.status().state).toBe('pending')
    await engine.settled()
    expect(engine.status()).toMatchObject({ state: 'applied', lastAppliedAt: START, pendingChanges: 0 })
    expect(await leftToDo(state)).toBe(false)
    expect(changes).toBe(1)
  })

  test('costs nothing where it is equal', async () => {
    const state = desired({ blocks: [block('192.0.2.1'), block('192.0.2.2')] })
    await apply(state)
    const before = [kernel.lines.length, kernel.restores, kernel.observations]
    await apply(structuredClone(state))
    expect([kernel.lines.length, kernel.restores, kernel.observations]).toEqual(before)
  })

  test('costs one line where one block differs', async () => {
    const many: Block[] = Array.from({ length: 3_000 }, (_, i) => block(`10.0.${i >> 8}.${i & 255}`))
    await apply(desired({ blocks: many }))
    const [before, observations] = [kernel.lines.length, kernel.observations]
    await apply(desired({ blocks: [...many, block('192.0.2.1')] }))
    await apply(desired({ blocks: [...many.slice(0, 100), ...many.slice(101), block('192.0.2.1')] }))
    await apply(desired({ blocks: [block('192.0.2.1'), ...many.slice(101), ...many.slice(0, 100)] }))
    expect(kernel.lines.slice(before)).toEqual([
      'add rf-sip4 192.0.2.1 timeout 0 -exist',
      'del rf-sip4 10.0.0.100 -exist',
    ])
    expect([kernel.observations, kernel.restores]).toEqual([observations, 2])
  })

  test('may say one thing twice, and then once', async () => {
    const [short, long] = [block('192.0.2.1', 'sip', START + 60_000), block('192.0.2.1', 'sip', null)]
    await apply(desired({ blocks: [short, long] }))
    const before = kernel.lines.length
    await apply(desired({ blocks: [short] }))
    await apply(desired({ blocks: [] }))
    expect(kernel.lines.slice(before)).toEqual([
      'add rf-sip4 192.0.2.1 timeout 60 -exist',
      'del rf-sip4 192.0.2.1 -exist',
    ])
  })

  test('is not lost when it changes back while it is written', async () => {
    await apply(DEFAULTS)
    let open = () => {}
    kernel.gate = new Promise((resolve) => {
      open = resolve
    })
    engine.setDesired(desired({ blocks: [block('192.0.2.1')] }))
    await vi.advanceTimersByTimeAsync(1)
    engine.setDesired(DEFAULTS)
    open()
    await engine.settled()
    expect(await kernel.elements('rf-sip4')).toEqual([])
    expect(engine.status().state).toBe('applied')
  })

  test('may be a new block while a bulk is written: that goes first', async () => {
    await apply(DEFAULTS)
    const many: Block[] = Array.from({ length: 12_000 }, (_, i) => block(`10.0.${i >> 8}.${i & 255}`))
    const before = kernel.lines.length
    engine.setDesired(desired({ blocks: many }))
    await Promise.resolve()
    await Promise.resolve()
    engine.setDesired(desired({ blocks: [...many, block('192.0.2.1')] }))
    await engine.settled()
    // Each bulk begins with a line that makes the set where it is not there.
    const written = kernel.lines.slice(before).filter((line) => !line.startsWith('create rf-sip4 '))
    expect(written).toHaveLength(12_001)
    expect(written.indexOf('add rf-sip4 192.0.2.1 timeout 0 -exist')).toBeLessThanOrEqual(5_000)
  })

  test('replaces chains in one payload a family, protected destinations first and last', async () => {
    const gatewayTraffic = traffic({ destinations: [prefix('192.0.2.0/24')] })
    await apply(DEFAULTS)
    await apply(desired({ traffic: gatewayTraffic }))
    expect(kernel.restores).toBe(4)
    expect(await leftToDo(desired({ traffic: gatewayTraffic }))).toBe(false)
    await apply(DEFAULTS)
    expect(kernel.restores).toBe(6)
    expect(await kernel.elements('rf-dst4')).toEqual([])
  })

  test('is refused whole where a block would be of everybody', async () => {
    await apply(DEFAULTS)
    expect(() => engine.setDesired(desired({ blocks: [block('192.0.2.1'), block('0.0.0.0/0')] }))).toThrow(
      DesiredStateError,
    )
    await engine.settled()
    expect(await leftToDo(DEFAULTS)).toBe(false)
  })
})

describe('time', () => {
  test('a block that is over needs no line, and none is written for what the kernel let go', async () => {
    await apply(desired({ blocks: [block('192.0.2.1', 'sip', START + 60_000)] }))
    const before = kernel.lines.length
    await vi.advanceTimersByTimeAsync(61_000)
    await apply(DEFAULTS)
    expect(kernel.lines.length).toBe(before)
    expect(engine.status().repairs.count).toBe(0)
  })

  test('a block that outlasts the longest timeout is renewed, and that is no repair', async () => {
    const state = desired({ blocks: [block('192.0.2.1', 'sip', START + 5 * 2_147_483_000)] })
    await apply(state)
    const before = kernel.lines.length
    vi.setSystemTime(START + 1_200_000_000)
    await engine.check()
    await engine.settled()
    expect(kernel.lines.slice(before)).toEqual(['add rf-sip4 192.0.2.1 timeout 2147483 -exist'])
    expect(engine.status().repairs.count).toBe(0)
  })

  test('a restart keeps what is there, with its remaining time, and removes what is not desired', async () => {
    const kept = block('192.0.2.1', 'sip', START + 600_000)
    await apply(desired({ blocks: [kept, block('192.0.2.2')] }))
    await engine.close()
    vi.setSystemTime(START + 100_400)
    const before = [kernel.lines.length, kernel.restores]
    engine = new RulesEngine({ kernel, clock: Date.now })
    await apply(desired({ blocks: [kept] }))
    expect(kernel.lines.slice(before[0])).toEqual(['del rf-sip4 192.0.2.2 -exist'])
    expect(kernel.restores).toBe(before[1])
    const { blocks } = await engine.counters()
    expect(blocks).toEqual([{ block: kept, packets: 0, bytes: 0, remaining: 499 }])
  })
})

describe('foreign hands', () => {
  const state = desired({
    blocks: [block('192.0.2.1'), block('192.0.2.2')],
    allow: [prefix('198.51.100.0/24')],
  })

  test.each<[string, () => Promise<void>, readonly string[]]>([
    [
      'a flushed chain',
      () => kernel.foreign(4, '-F RINGFENCE-UDP'),
      ['IPv4: the rules of the chain RINGFENCE-UDP were other ones'],
    ],
    [
      'a rule too many',
      () => kernel.foreign(6, '-I RINGFENCE -j RETURN'),
      ['IPv6: the rules of the chain RINGFENCE were other ones'],
    ],
    ['no jump', () => kernel.foreign(4, '-F PREROUTING'), ['IPv4: the jump from PREROUTING was gone']],
    [
      'no jump to what only watches',
      () => kernel.foreign(6, '-F OUTPUT'),
      ['IPv6: the jump from OUTPUT was gone'],
    ],
    [
      'a rule that decides before us',
      () => kernel.foreign(6, '-I PREROUTING -i eth0 -j ACCEPT'),
      ['IPv6: a rule that decides stood before the jump from PREROUTING: -A PREROUTING -i eth0 -j ACCEPT'],
    ],
    [
      'two jumps',
      () => kernel.foreign(4, '-A PREROUTING -j RINGFENCE'),
      ['IPv4: the jump from PREROUTING was not the one there should be'],
    ],
    [
      'a flushed set',
      () => kernel.foreignSets('flush rf-sip4'),
      ['elements of the set rf-sip4 were gone: 2'],
    ],
    [
      'an unblocked source and a stranger',
      () => kernel.foreignSets('del rf-sip4 192.0.2.1', 'add rf-sip4 203.0.113.1 timeout 500'),
      ['elements of the set rf-sip4 were gone: 1', 'foreign elements were in the set rf-sip4: 1'],
    ],
    [
      'a deleted set',
      async () => {
        await flushWhatMentions('rf-sip4')
        await kernel.foreignSets('destroy rf-sip4')
      },
      ['the set rf-sip4 was gone', 'IPv4: the rules of the chain RINGFENCE-TCP were other ones'],
    ],
    [
      'a set of another form',
      async () => {
        await flushWhatMentions('rf-sip4')
        await kernel.foreignSets('destroy rf-sip4', 'create rf-sip4 hash:net family inet maxelem 5')
      },
      [
        'the set rf-sip4 was of another form',
        'IPv4: the rules of the chain RINGFENCE-TCP were other ones',
        'elements of the set rf-sip4 were gone: 2',
      ],
    ],
    [
      'a set of another type',
      async () => {
        await flushWhatMentions('rf-sip4')
        await kernel.foreignSets('destroy rf-sip4', 'create rf-sip4 hash:ip family inet maxelem 5')
      },
      [
        'the set rf-sip4 was of another form',
        'IPv4: the rules of the chain RINGFENCE-TCP were other ones',
        'elements of the set rf-sip4 were gone: 2',
      ],
    ],
    [
      'nothing left at all',
      async () => {
        await kernel.foreign(
          4,
          '-F PREROUTING',
          '-F OUTPUT',
          ...CHAINS.map((name) => `-F ${name}`),
          ...CHAINS.map((name) => `-X ${name}`),
        )
      },
      ['IPv4: the chain RINGFENCE was gone'],
    ],
  ])('%s is noticed within 5 s, put right, counted and said', async (_name, change, found) => {
    await apply(state)
    await change()
    await vi.advanceTimersByTimeAsync(CHECK_EVERY)
    await engine.settled()
    expect(engine.status()).toMatchObject({
      state: 'applied',
      repairs: { count: 1, lastAt: START + CHECK_EVERY, last: found.join('; ') },
    })
    expect(await leftToDo(state)).toBe(false)
    expect(await engine.check()).toEqual([])
  })

  test('elements that the kernel lists by itself are left alone', async () => {
    await apply(state)
    await kernel.foreignSets('add rf-wsip4 203.0.113.7 timeout 600')
    expect(await engine.check()).toEqual([])
    expect((await engine.counters()).wouldLimit).toEqual([{ source: '203.0.113.7/32', packets: 0, bytes: 0 }])
  })

  test('beyond five thousand elements the kernel is asked for their number first', async () => {
    const blocks: Block[] = Array.from({ length: 5_001 }, (_, i) => block(`10.0.${i >> 8}.${i & 255}`))
    await apply(desired({ blocks }))
    await engine.check()
    await kernel.foreignSets('del rf-sip4 10.0.0.7')
    expect(await engine.check()).toEqual(['elements of the set rf-sip4 were gone: 1'])
    await engine.settled()
    expect(await kernel.elements('rf-sip4')).toContain('10.0.0.7')
  })
})

describe('failures', () => {
  const trouble = new KernelError(
    'refused',
    'iptables-restore refused what it was given: line 7 failed',
    '-A X',
  )

  test('keep the change pending, are visible, and are retried with longer and longer pauses', async () => {
    kernel.trouble = trouble
    await apply(DEFAULTS)
    expect(engine.status()).toMatchObject({
      state: 'failing',
      // Nothing was read, and the chains of neither family were written.
      pendingChanges: 3,
      lastError: {
        at: START,
        message: trouble.message,
        line: '-A X',
        attempts: 1,
        nextAttemptAt: START + 250,
      },
    })
    const pauses: number[] = []
    for (let i = 0; i < 9; i++) {
      const { nextAttemptAt } = engine.status().lastError!
      pauses.push(nextAttemptAt - Date.now())
      await vi.advanceTimersByTimeAsync(nextAttemptAt - Date.now())
      await engine.settled()
    }
    expect(pauses).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    kernel.trouble = undefined
    await vi.advanceTimersByTimeAsync(30_000)
    await engine.settled()
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null, pendingChanges: 0 })
    expect(await leftToDo(DEFAULTS)).toBe(false)
  })

  test('a new change has an attempt made, but not at every change', async () => {
    kernel.trouble = trouble
    await apply(DEFAULTS)
    vi.advanceTimersByTime(0)
    for (let i = 1; i <= 50; i++) await apply(desired({ blocks: [block(`192.0.2.${i}`)] }))
    expect(kernel.observations).toBe(1)
    await vi.advanceTimersByTimeAsync(100_000)
    const before = kernel.observations
    await vi.advanceTimersByTimeAsync(3_000)
    kernel.trouble = undefined
    await apply(desired({ blocks: [block('192.0.2.99')] }))
    expect(kernel.observations).toBeGreaterThan(before)
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.99'])
  })

  test('one line that is refused does not keep others from being applied', async () => {
    kernel.refuse = (line) => (line.includes(' 192.0.2.13 ') ? 'Hash is full' : undefined)
    const bad = block('192.0.2.13')
    await apply(desired({ blocks: [block('192.0.2.1'), bad] }))
    expect(engine.status()).toMatchObject({
      state: 'failing',
      pendingChanges: 1,
      lastError: { line: 'add rf-sip4 192.0.2.13 timeout 0 -exist', attempts: 1 },
    })
    const state = desired({ blocks: [block('192.0.2.1'), bad, block('192.0.2.2')] })
    await apply(state)
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(engine.status().lastError?.attempts).toBe(1)
    kernel.refuse = () => undefined
    await vi.advanceTimersByTimeAsync(250)
    await engine.settled()
    expect(engine.status().state).toBe('applied')
    expect(await leftToDo(state)).toBe(false)
  })

  test('a kernel that cannot be read is no reason to forget', async () => {
    await apply(DEFAULTS)
    kernel.trouble = trouble
    await vi.advanceTimersByTimeAsync(CHECK_EVERY)
    expect(engine.status()).toMatchObject({ state: 'failing', lastError: { attempts: 1 } })
    kernel.trouble = undefined
    await vi.advanceTimersByTimeAsync(250)
    await engine.settled()
    expect(engine.status().state).toBe('applied')
  })
})

describe('off', () => {
  test('removes everything, says what, stays off, and comes back with what was desired meanwhile', async () => {
    await apply(desired({ blocks: [block('192.0.2.1')] }))
    expect(await engine.off()).toHaveLength(EVERYTHING)
    expect(await engine.off()).toEqual([])
    await apply(desired({ blocks: [block('192.0.2.2')] }))
    await vi.advanceTimersByTimeAsync(60_000)
    expect((await kernel.observe({ elements: [] })).sets.size).toBe(0)
    expect(engine.status()).toMatchObject({ state: 'off', pendingChanges: 0, lastError: null })
    engine.on()
    await engine.settled()
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.2'])
    expect(engine.status().state).toBe('applied')
  })

  test('waits for what is being written', async () => {
    engine.setDesired(desired({ blocks: [block('192.0.2.1')] }))
    await engine.off()
    const { sets, chains } = await kernel.observe({ elements: [] })
    expect([sets.size, chains[4].own.size, chains[6].own.size]).toEqual([0, 0, 0])
  })

  test('and on at once', async () => {
    await apply(DEFAULTS)
    const off = engine.off()
    engine.on()
    expect(await off).toHaveLength(EVERYTHING)
    await engine.settled()
    expect(engine.status().state).toBe('applied')
    expect(await leftToDo(DEFAULTS)).toBe(false)
  })
})
