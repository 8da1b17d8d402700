import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { CONTEST } from '../../rules/contest.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { KernelError } from '../../rules/kernel.ts'
import { CHAINS, COUNTED_SETS, WRITTEN_SETS } from '../../rules/names.ts'
import { block, DEFAULTS, denied, desired, limit, limits, prefix, proven, traffic } from './desired.ts'
import { FaultyKernel } from './faulty-kernel.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

const START = Date.UTC(2026, 0, 1)
const MINUTE = 60_000
/** How often the engine looks: so that what it finds is repaired within 5 s. */
const CHECK_EVERY = 4_000

let kernel: FaultyKernel
let engine: RulesEngine
let said: string[]

beforeEach(() => {
  vi.useFakeTimers({
    now: START,
    toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
  })
  kernel = new FaultyKernel(Date.now)
  said = []
  const say = (_fields: unknown, sentence: string) => said.push(sentence)
  engine = new RulesEngine({
    kernel,
    clock: Date.now,
    log: { info: say, warn: say },
    contest: { ...CONTEST, firstPause: CONTEST.pause },
  })
})
afterEach(async () => {
  await engine.close()
  vi.useRealTimers()
})

async function apply(state: DesiredState): Promise<void> {
  engine.setDesired(state)
  await engine.settled()
}

async function pass(milliseconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds)
  await engine.settled()
}

async function leftToDo(state: DesiredState): Promise<boolean> {
  return !isEmptyPlan(planChanges(state, await kernel.observe({ elements: WRITTEN_SETS }), Date.now()))
}

const hasJump = async () => (await kernel.rules(4, 'PREROUTING')).includes('-A PREROUTING -j RINGFENCE')

describe('another program that keeps at it', () => {
  const flush = () => kernel.foreign(4, '-F PREROUTING')
  const keepsAtIt = async (times: number) => {
    for (let i = 0; i < times; i++) {
      await flush()
      await pass(CHECK_EVERY)
    }
  }

  test('gets six answers in two minutes, then one each five minutes, and an alarm', async () => {
    await apply(DEFAULTS)
    await keepsAtIt(6)
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 6, contestedUntil: null } })
    await keepsAtIt(1)
    expect(engine.status()).toMatchObject({
      state: 'contested',
      repairs: {
        count: 6,
        last: 'IPv4: the jump from PREROUTING was gone',
        contestedUntil: START + 7 * CHECK_EVERY + 5 * MINUTE,
      },
    })
    expect(await hasJump()).toBe(false)
    await pass(4 * MINUTE)
    expect(await hasJump()).toBe(false)
    await pass(MINUTE)
    expect(await hasJump()).toBe(true)
    expect(engine.status()).toMatchObject({ state: 'contested', repairs: { count: 7 } })
    await keepsAtIt(1)
    expect(await hasJump()).toBe(false)
    await pass(5 * MINUTE)
    expect(await hasJump()).toBe(true)
    const keeps = 'Something else keeps changing the rules; they are repaired but seldom now.'
    expect(said.filter((sentence) => sentence === keeps)).toHaveLength(1)
    await pass(10 * MINUTE)
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 8, contestedUntil: null } })
    expect(said.at(-1)).toBe('Nothing else changes the rules any more.')
  })

  test('does not keep what the daemon decides from the sets', async () => {
    await apply(DEFAULTS)
    await keepsAtIt(7)
    await apply(desired({ blocks: [block('192.0.2.1')] }))
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.1'])
    expect(await hasJump()).toBe(false)
    expect(engine.status()).toMatchObject({ state: 'contested', pendingChanges: 0, lastError: null })
  })

  test('that takes sets away keeps their elements out, and no others', async () => {
    await apply(DEFAULTS)
    const takeAway = async () => {
      const { own } = (await kernel.observe({ elements: [] })).chains[4]
      await kernel.foreign(4, ...[...own.keys()].map((name) => `-F ${name}`))
      await kernel.foreignSets('destroy rf-sip4')
    }
    for (let i = 0; i < 7; i++) {
      await takeAway()
      await pass(CHECK_EVERY)
    }
    expect(engine.status().state).toBe('contested')
    await apply(desired({ blocks: [block('192.0.2.1'), denied('192.0.2.2')] }))
    expect(await kernel.elements('rf-deny4')).toEqual(['192.0.2.2'])
    await pass(5 * MINUTE)
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.1'])
    expect(engine.status()).toMatchObject({ lastError: null, pendingChanges: 0 })
  })

  test('is over when the operator says on(), and its budget begins anew', async () => {
    await apply(DEFAULTS)
    await keepsAtIt(7)
    expect(await hasJump()).toBe(false)
    expect(engine.status()).toMatchObject({ state: 'contested', repairs: { count: 6 } })
    engine.on()
    await engine.settled()
    expect(await hasJump()).toBe(true)
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 7, contestedUntil: null } })
    // What on() repaired is the first of the new budget.
    await keepsAtIt(5)
    expect(await hasJump()).toBe(true)
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 12 } })
    await keepsAtIt(1)
    expect(engine.status()).toMatchObject({ state: 'contested', repairs: { count: 12 } })
  })

  test('is answered at once when other chains are wanted', async () => {
    await apply(DEFAULTS)
    await keepsAtIt(7)
    expect(await hasJump()).toBe(false)
    engine.setDesired(desired({ traffic: traffic({ udpPorts: [5062] }) }))
    await engine.settled()
    expect(await hasJump()).toBe(true)
    expect(engine.status().state).toBe('contested')
    // A change of our own may be followed by one repair; then all waits again.
    await keepsAtIt(2)
    expect(await hasJump()).toBe(false)
    expect(engine.status().repairs.count).toBe(7)
  })

  test('is left alone by blocks alone', async () => {
    await apply(DEFAULTS)
    await keepsAtIt(7)
    await apply(desired({ allow: [prefix('198.51.100.0/24')], blocks: [block('192.0.2.1')] }))
    expect(await hasJump()).toBe(false)
  })

  test('and flushes a set is answered as often', async () => {
    const state = desired({ blocks: [block('192.0.2.1')] })
    await apply(state)
    for (let i = 0; i < 7; i++) {
      await kernel.foreignSets('flush rf-sip4')
      await pass(CHECK_EVERY)
    }
    expect(engine.status().state).toBe('contested')
    expect(await kernel.elements('rf-sip4')).toEqual([])
    const more = desired({ blocks: [block('192.0.2.1'), block('192.0.2.2')] })
    await apply(more)
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.2'])
    await pass(5 * MINUTE)
    expect(await leftToDo(more)).toBe(false)
  })

  test('is noticed as well when the kernel is read anew after a failure', async () => {
    await apply(DEFAULTS)
    for (let i = 0; i < 7; i++) {
      await flush()
      kernel.trouble = new KernelError('no-answer', 'ipset ended.')
      await engine.check().catch(() => {})
      kernel.trouble = undefined
      await pass(1_000)
    }
    expect(engine.status()).toMatchObject({ state: 'contested', repairs: { count: 6 }, lastError: null })
    expect(await hasJump()).toBe(false)
  })
})

describe('rules of others', () => {
  test('stay as they are, in their order, when ours goes to the front', async () => {
    await apply(DEFAULTS)
    const foreign = ['-A PREROUTING -i eth7 -j DROP', '-A PREROUTING -p udp -j NOTRACK']
    await kernel.foreign(4, ...foreign.map((rule) => rule.replace('-A', '-I')).reverse())
    await kernel.foreign(4, '-A PREROUTING -s 10.0.0.0/8 -j ACCEPT')
    const payloads = kernel.payloads.length
    await pass(CHECK_EVERY)
    expect(await kernel.rules(4, 'PREROUTING')).toEqual([
      '-A PREROUTING -j RINGFENCE',
      ...foreign,
      '-A PREROUTING -s 10.0.0.0/8 -j ACCEPT',
    ])
    expect(kernel.payloads.slice(payloads)).toEqual([
      { family: 4, text: '*raw\n-D PREROUTING -j RINGFENCE\n-I PREROUTING -j RINGFENCE\nCOMMIT\n' },
    ])
  })

  test('that decide nothing may stand before ours', async () => {
    await apply(DEFAULTS)
    await kernel.foreign(4, '-I PREROUTING -p udp -j CT --notrack', '-I OUTPUT -j ACCEPT')
    expect(await engine.check()).toEqual([])
  })
})

describe('one family that cannot be had', () => {
  const broken = new KernelError('no-answer', 'ip6tables-save did not answer within 30 s.')
  const state = desired({ blocks: [block('192.0.2.1'), block('2001:db8::/64')] })

  test.each([
    ['read', () => kernel.unreadable.set(6, broken)],
    ['written', () => kernel.unwritable.set(6, broken)],
  ])('because it cannot be %s does not keep the other from being applied', async (_name, breakIt) => {
    breakIt()
    await apply(state)
    expect(engine.status()).toMatchObject({
      state: 'failing',
      lastError: { message: 'IPv6: ip6tables-save did not answer within 30 s.', attempts: 1 },
    })
    expect(await hasJump()).toBe(true)
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.1'])
    await apply(desired({ blocks: [...state.blocks, block('192.0.2.2')] }))
    expect(await kernel.elements('rf-sip4')).toEqual(['192.0.2.1', '192.0.2.2'])
    await apply(desired({ ...state, limits: limits({ proven: limit(3, 3) }) }))
    await pass(2_000)
    expect((await kernel.rules(4, 'RINGFENCE-PROVEN')).join()).toContain('rf-pvn4-3sec-3')
    kernel.unreadable.clear()
    kernel.unwritable.clear()
    await pass(30_000)
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
    expect(await leftToDo(desired({ ...state, limits: limits({ proven: limit(3, 3) }) }))).toBe(false)
  })

  test('later is seen, and the other is repaired all the same', async () => {
    await apply(state)
    kernel.unreadable.set(6, broken)
    await kernel.foreign(4, '-F PREROUTING')
    await pass(CHECK_EVERY)
    expect(await hasJump()).toBe(true)
    expect(engine.status()).toMatchObject({
      state: 'failing',
      lastError: { message: expect.stringContaining('IPv6') },
    })
    kernel.unreadable.clear()
    await pass(30_000)
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 1 } })
  })

  test('is all that off() leaves behind', async () => {
    await apply(state)
    kernel.unreadable.set(6, broken)
    await expect(engine.off()).rejects.toThrow('ip6tables-save did not answer')
    const { chains, sets } = await kernel.observe({ elements: [] })
    expect([chains[4].own.size, [...sets.keys()].filter((name) => name.endsWith('4'))]).toEqual([0, []])
    kernel.unreadable.clear()
    // Chains and sets of the family that was left.
    expect(await engine.off()).toHaveLength(CHAINS.length + sets.size)
    engine.on()
    await engine.settled()
    expect(await leftToDo(state)).toBe(false)
  })
})

describe('what is read', () => {
  test('counters read the sets that count, and no others', async () => {
    await apply(desired({ blocks: [denied('192.0.2.1')] }))
    kernel.looks.length = 0
    expect(await engine.counters()).toEqual({
      blocks: [{ block: denied('192.0.2.1'), packets: 0, bytes: 0, remaining: null }],
      suspensions: [],
      wouldLimit: [],
      judged: { udp: 0, tcp: 0 },
      dropped: {
        blocks: 0,
        suspensions: 0,
        registerLimit: 0,
        firstPackets: 0,
        sipLimit: 0,
        rest: 0,
        gateways: 0,
        ceiling: 0,
        connections: 0,
        full: 0,
      },
    })
    expect(kernel.looks).toEqual([COUNTED_SETS])
  })

  test('a look at very many elements is a look at their number, once a minute at all, and at what seems to lack some', async () => {
    const members = Array.from({ length: 6_000 }, (_, i) =>
      proven(`10.0.${i >> 8}.${i & 255}`, 5060, START + 60 * MINUTE),
    )
    await apply(desired({ members: [members] }))
    kernel.looks.length = 0
    for (let i = 0; i < 13; i++) await engine.check()
    expect(kernel.looks.map((purposes) => purposes.length)).toEqual([
      WRITTEN_SETS.length,
      ...Array<number>(11).fill(0),
      WRITTEN_SETS.length,
    ])
    await kernel.foreignSets('del rf-pvn4 10.0.0.7,udp:5060')
    kernel.looks.length = 0
    expect(await engine.check()).toEqual(['elements of the set rf-pvn4 were gone: 1'])
    expect(kernel.looks).toEqual([[], ['pvn']])
    await engine.settled()
    expect(await kernel.elements('rf-pvn4')).toHaveLength(6_000)
  })

  test('one renewal among very many members is one line', async () => {
    const until = START + 60 * MINUTE
    const parts = Array.from({ length: 10 }, (_, part) =>
      Array.from({ length: 500 }, (_, i) => proven(`10.${part}.${i >> 8}.${i & 255}`, 5060, until)),
    )
    await apply(desired({ members: parts }))
    const lines = kernel.lines.length
    const renewed = parts[3]!.with(7, proven('10.3.0.7', 5060, until + MINUTE))
    await apply(desired({ members: parts.with(3, renewed) }))
    expect(kernel.lines.slice(lines)).toEqual(['add rf-pvn4 10.3.0.7,udp:5060 timeout 3660 -exist'])
  })

  test('the switch to the strict limits is an entry in both families that ends by itself', async () => {
    await apply(desired({ strictUntil: START + 2 * MINUTE }))
    const halves = ['0.0.0.0/1', '128.0.0.0/1']
    expect(await kernel.elements('rf-strict4')).toEqual(halves)
    const lines = kernel.lines.length
    await pass(MINUTE)
    await apply(desired({ strictUntil: START + 3 * MINUTE }))
    expect(kernel.lines.slice(lines)).toEqual([
      'add rf-strict4 0.0.0.0/1 timeout 120 -exist',
      'add rf-strict4 128.0.0.0/1 timeout 120 -exist',
      'add rf-strict6 ::/1 timeout 120 -exist',
      'add rf-strict6 8000::/1 timeout 120 -exist',
    ])
    await pass(2 * MINUTE)
    expect(await kernel.elements('rf-strict4')).toEqual([])
    expect(engine.status().repairs.count).toBe(0)
    await apply(desired({ strictUntil: Date.now() + MINUTE }))
    await apply(DEFAULTS)
    expect(await kernel.elements('rf-strict6')).toEqual([])
  })
})
