import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Block, DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { KernelError } from '../../rules/kernel.ts'
import { WRITTEN_SETS } from '../../rules/names.ts'
import {
  block,
  DEFAULTS,
  denied,
  desired,
  limits,
  prefix,
  proven,
  sizes,
  suspension,
  traffic,
} from './desired.ts'
import { FaultyKernel } from './faulty-kernel.ts'
import { isEmptyPlan, planChanges } from './whole-plan.ts'

const START = Date.UTC(2026, 0, 1)

let kernel: FaultyKernel
let engine: RulesEngine

beforeEach(() => {
  vi.useFakeTimers({
    now: START,
    toFake: ['Date', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
  })
  kernel = new FaultyKernel(Date.now)
  engine = new RulesEngine({ kernel, clock: Date.now })
})
afterEach(async () => {
  await engine.close()
  vi.useRealTimers()
})

async function apply(state: DesiredState): Promise<void> {
  engine.setDesired(state)
  await engine.settled()
}

async function leftToDo(state: DesiredState): Promise<boolean> {
  return !isEmptyPlan(planChanges(state, await kernel.observe({ elements: WRITTEN_SETS }), Date.now()))
}

function manyBlocks(amount: number, first = 10): readonly Block[] {
  return Array.from({ length: amount }, (_, i) => block(`${first}.${i >> 16}.${(i >> 8) & 255}.${i & 255}`))
}

describe('very many changes in one set', () => {
  const many = manyBlocks(25_000)

  test('are built aside and swapped in, and nothing is left over', async () => {
    await apply(DEFAULTS)
    const before = kernel.lines.length
    await apply(desired({ blocks: many }))
    const written = kernel.lines.slice(before)
    expect(written.slice(0, 2)).toEqual([
      'destroy rf-sip4-new',
      'create rf-sip4-new hash:net family inet maxelem 131072 timeout 0 counters hashsize 8192 -exist',
    ])
    expect(written.slice(2, -2).every((line) => /^(?:add|create) rf-sip4-new /.test(line))).toBe(true)
    expect(written.slice(-2)).toEqual(['swap rf-sip4-new rf-sip4', 'destroy rf-sip4-new'])
    expect(written.filter((line) => line.startsWith('add '))).toHaveLength(25_000)
    expect(engine.status()).toMatchObject({ state: 'applied', pendingChanges: 0 })
    expect(await leftToDo(desired({ blocks: many }))).toBe(false)
    expect(await engine.check()).toEqual([])
  })

  test('at the start as well, and a set that holds the most of it is not built anew', async () => {
    await apply(desired({ blocks: many }))
    await engine.close()
    engine = new RulesEngine({ kernel, clock: Date.now })
    const before = kernel.lines.length
    await apply(desired({ blocks: [...many, block('192.0.2.1')] }))
    expect(kernel.lines.slice(before)).toEqual(['add rf-sip4 192.0.2.1 timeout 0 -exist'])
  })

  test('keep the counters of blocks that stay', async () => {
    await apply(desired({ blocks: [block('192.0.2.1')] }))
    await kernel.foreignSets('add rf-sip4 192.0.2.1 timeout 0 packets 7 bytes 700')
    await apply(desired({ blocks: [block('192.0.2.1'), ...many] }))
    const { blocks } = await engine.counters()
    expect(blocks[0]).toMatchObject({ packets: 7, bytes: 700 })
  })

  test('leave room for what is decided meanwhile: it is in the present set at once, and in the new one', async () => {
    const old = desired({ blocks: manyBlocks(300, 20) })
    await apply(old)
    // One step after the other, so that changes come at every point of it.
    let step = () => {}
    const pause = () => {
      kernel.gate = new Promise((resolve) => {
        step = resolve
      })
    }
    pause()
    let state = desired({ blocks: many })
    engine.setDesired(state)
    const done = engine.settled()
    let isDone = false
    done.then(() => {
      isDone = true
    })
    let atOnce = 0
    for (let round = 1; !isDone; round++) {
      const passOn = step
      pause()
      passOn()
      await vi.advanceTimersByTimeAsync(1)
      if (isDone || round > 12) continue
      const before = kernel.lines.length
      const fresh = block(`192.0.2.${round}`)
      const some = round % 3 === 0 ? manyBlocks(150, 30 + round) : []
      state = desired({
        blocks: [...state.blocks.slice(round % 4 === 0 ? 200 : 1), fresh, ...some],
        // Other sets are written all the while.
        members: [[proven(`198.51.100.${round}`, 5060, START + 600_000)]],
      })
      engine.setDesired(state)
      if (kernel.lines.slice(before).length === 0) atOnce++
    }
    kernel.gate = undefined
    await done
    expect(atOnce).toBeGreaterThan(5)
    expect(engine.status()).toMatchObject({ state: 'applied', pendingChanges: 0 })
    expect(await leftToDo(state)).toBe(false)
    // What was decided on the way did not wait for the new set.
    const swap = kernel.lines.indexOf('swap rf-sip4-new rf-sip4')
    expect(kernel.lines.indexOf('add rf-sip4 192.0.2.1 timeout 0 -exist')).toBeLessThan(swap)
    expect(await engine.check()).toEqual([])
    expect(engine.status().repairs.count).toBe(0)
  })

  test('that are cut short are begun again', async () => {
    await apply(DEFAULTS)
    kernel.refuse = (line) => {
      if (!line.startsWith('swap')) return undefined
      kernel.trouble = new KernelError('no-answer', 'ipset ended.')
      return 'Set cannot be swapped: it is in use'
    }
    const state = desired({ blocks: many })
    engine.setDesired(state)
    for (let i = 0; engine.status().state !== 'failing' && i < 200; i++) await vi.advanceTimersByTimeAsync(20)
    expect(engine.status()).toMatchObject({ state: 'failing', lastError: { message: 'ipset ended.' } })
    kernel.refuse = () => undefined
    kernel.trouble = undefined
    await vi.advanceTimersByTimeAsync(1_000)
    await engine.settled()
    expect(engine.status().state).toBe('applied')
    expect(await leftToDo(state)).toBe(false)
  })

  test('wait while somebody reads the set', async () => {
    await apply(DEFAULTS)
    let left = 3
    kernel.refuse = (line) =>
      line.startsWith('swap') && left-- > 0 ? 'Sets cannot be swapped: the second set is in use' : undefined
    engine.setDesired(desired({ blocks: many }))
    for (let i = 0; engine.status().state !== 'applied' && i < 50; i++) await vi.advanceTimersByTimeAsync(20)
    expect(await leftToDo(desired({ blocks: many }))).toBe(false)
  })
})

test('who waits for a decision need not wait for all that come after it', async () => {
  await apply(DEFAULTS)
  const write = kernel.applySets.bind(kernel)
  let decided = 0
  kernel.applySets = (lines) => {
    if (decided < 100) engine.setDesired(desired({ blocks: manyBlocks(++decided) }))
    return write(lines)
  }
  engine.setDesired(desired({ blocks: [block('192.0.2.1')] }))
  await engine.settled()
  expect(kernel.lines).toContain('add rf-sip4 192.0.2.1 timeout 0 -exist')
  expect(decided).toBeLessThan(5)
  expect(engine.status().state).toBe('pending')
  for (let i = 0; engine.status().state === 'pending' && i < 200; i++) await engine.settled()
  expect(await leftToDo(desired({ blocks: manyBlocks(100) }))).toBe(false)
})

describe('sizes', () => {
  const until = START + 600_000
  const state = desired({
    allow: [prefix('198.51.100.0/24')],
    blocks: [block('192.0.2.1'), denied('192.0.2.2')],
    suspensions: [suspension('192.0.2.3', 5060, until)],
    members: [[proven('192.0.2.4', 5060, until)]],
  })

  test('that change have every set built aside, with what it holds, and swapped', async () => {
    await apply(state)
    await kernel.foreignSets(
      'add rf-asked4 203.0.113.1 timeout 800',
      'add rf-wsip4 203.0.113.2 timeout 500 packets 9 bytes 900',
    )
    const lines = kernel.lines.length
    const larger = { ...state, sizes: sizes({ elements: 200_000 }) }
    await apply(larger)
    expect(await leftToDo(larger)).toBe(false)
    const written = kernel.lines.slice(lines)
    // Nothing is taken out of a set that chains look at.
    expect(written.filter((line) => /^(?:flush|del|add rf-[a-z]+\d? )/.test(line))).toEqual([])
    expect(await kernel.elements('rf-asked4')).toEqual(['203.0.113.1'])
    expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: 0 } })
    expect((await kernel.observe({ elements: [] })).straySets).toEqual([])
  })

  test('that change twice end with the last ones', async () => {
    await apply(state)
    engine.setDesired({ ...state, sizes: sizes({ elements: 200_000 }) })
    for (let i = 0; i < 40; i++) await Promise.resolve()
    const last = { ...state, sizes: sizes({ elements: 300_000, seen: 1_000 }) }
    await apply(last)
    expect(await leftToDo(last)).toBe(false)
    expect((await kernel.observe({ elements: [] })).straySets).toEqual([])
  })

  test('that another daemon left behind are put right at the start', async () => {
    await apply({ ...state, sizes: sizes({ elements: 5_000 }) })
    await engine.close()
    await kernel.foreignSets('create rf-sip4-new hash:net family inet maxelem 5', 'create rf-old6 hash:ip')
    engine = new RulesEngine({ kernel, clock: Date.now })
    await apply(state)
    expect(await leftToDo(state)).toBe(false)
    expect((await kernel.observe({ elements: [] })).straySets).toEqual([])
  })
})

describe('a full set', () => {
  const small = { sizes: sizes({ elements: 3 }) }
  const until = START + 600_000
  const lane = (...numbers: readonly number[]) => [numbers.map((n) => proven(`192.0.2.${n}`, 5060, until))]

  test('of a lane is said, and is no failure; who had no room comes in when there is some', async () => {
    await apply(desired({ ...small, members: lane(1, 2, 3, 4, 5) }))
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null, pendingChanges: 0 })
    await engine.check()
    expect(engine.status().full).toEqual([
      'The set rf-pvn4 is full (3 of 3, 2 found no room): newly proven ports are served as returning or unknown ones. Raise kernel.elements.',
    ])
    expect(await engine.check()).toEqual([])
    // Known to be full, it is not asked for each of them.
    const lines = kernel.lines.length
    await apply(desired({ ...small, members: lane(1, 2, 3, 4, 5, 6) }))
    expect(kernel.lines.length).toBe(lines)
    await apply(desired({ ...small, members: lane(2, 5, 6) }))
    await engine.check()
    await engine.settled()
    expect(await kernel.elements('rf-pvn4')).toEqual([2, 5, 6].map((n) => `192.0.2.${n},udp:5060`))
    expect(engine.status().repairs.count).toBe(0)
  })

  test('of a lane leaves the operator his blocks', async () => {
    await apply(desired({ ...small, members: lane(1, 2, 3, 4) }))
    await apply(desired({ ...small, members: lane(1, 2, 3, 4), blocks: [denied('203.0.113.1')] }))
    expect(await kernel.elements('rf-deny4')).toEqual(['203.0.113.1'])
    expect(engine.status().state).toBe('applied')
  })

  test('of blocks is a failure, with the line; a block that is taken back makes room', async () => {
    const blocks = [1, 2, 3, 4].map((n) => denied(`192.0.2.${n}`))
    await apply(desired({ ...small, blocks }))
    expect(engine.status()).toMatchObject({
      state: 'failing',
      pendingChanges: 1,
      lastError: { line: 'add rf-deny4 192.0.2.4 timeout 0 -exist' },
    })
    await engine.check()
    expect(engine.status().full).toEqual([
      'The set rf-deny4 is full (3 of 3): new blocks of the operator are not made. Raise kernel.elements.',
    ])
    // One goes, the next one is tried at once although the set was full a moment ago.
    await apply(desired({ ...small, blocks: blocks.slice(1, 3) }))
    await apply(desired({ ...small, blocks: [...blocks.slice(1, 3), denied('203.0.113.1')] }))
    expect(await kernel.elements('rf-deny4')).toContain('203.0.113.1')
    expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
  })

  test('that refuses is tried again without reading the kernel anew', async () => {
    const blocks = [1, 2, 3, 4].map((n) => denied(`192.0.2.${n}`, n === 1 ? START + 4_500 : null))
    await apply(desired({ ...small, blocks }))
    const looks = kernel.observations
    await vi.advanceTimersByTimeAsync(3_800)
    expect(engine.status().lastError?.attempts).toBeGreaterThan(3)
    expect(kernel.observations).toBe(looks)
    await vi.advanceTimersByTimeAsync(4_000)
    await engine.settled()
    expect(await kernel.elements('rf-deny4')).toContain('192.0.2.4')
  })

  test('of what the kernel lists by itself is said as well', async () => {
    await apply(desired(small))
    await kernel.foreignSets(...[1, 2, 3].map((n) => `add rf-asked4 192.0.2.${n}`))
    await engine.check()
    expect(engine.status().full).toEqual([
      'The set rf-asked4 is full (3 of 3): a new peer of the softswitch is noted in the place of another, whose responses share limits.rest. Raise kernel.elements.',
    ])
  })
})

test('a full table is said as long as it costs packets', async () => {
  await apply(DEFAULTS)
  const chain = await kernel.rules(4, 'RINGFENCE-UNKNOWN')
  const deciding = chain.findIndex((rule) => rule.includes('--hashlimit-name rf-src4-'))
  let entered = 0
  let out = 0
  kernel.packetsOf = (rule, i, family) => {
    if (rule !== '-A RINGFENCE-UNKNOWN' || family === 6) return 0
    return i < deciding ? entered : out
  }
  await engine.check()
  expect(engine.status().full).toEqual([])
  ;[entered, out] = [10_000, 4_000]
  await engine.check()
  expect(engine.status().full).toEqual([
    expect.stringMatching(
      /^The table rf-src4-\S+ is full \(6000 packets dropped since the last look\): REGISTERs of new unknown sources are dropped; proven, returning, gateway and allowed ones are not touched\. Raise kernel\.buckets\.$/,
    ),
  ])
  expect((await engine.counters()).dropped.full).toBe(6_000)
  await engine.check()
  expect(engine.status().full).toEqual([])
})

test('that no more first packets can be noted is said as long as it costs packets', async () => {
  await apply(DEFAULTS)
  let unnoted = 0
  kernel.packetsOf = (rule, _i, family) =>
    rule === '-A RINGFENCE-UNNOTED -j DROP' && family === 6 ? unnoted : 0
  await engine.check()
  expect(engine.status().full).toEqual([])
  unnoted = 7_000
  await engine.check()
  expect(engine.status().full).toEqual([
    'More comes than the set rf-seen6 may take in a second (7000 packets dropped since the last look): under attack, first packets of new unknown sources are dropped unnoted, and so are their second ones; proven, returning, gateway and allowed ones are not touched. Raise kernel.seen.',
  ])
  expect((await engine.counters()).dropped).toMatchObject({ firstPackets: 7_000, full: 0 })
  await engine.check()
  expect(engine.status().full).toEqual([])
})

test('what is with the kernel at this moment is still pending', async () => {
  await apply(DEFAULTS)
  let open = () => {}
  kernel.gate = new Promise((resolve) => {
    open = resolve
  })
  engine.setDesired(
    desired({ blocks: Array.from({ length: 3_000 }, (_, i) => block(`10.0.${i >> 8}.${i & 255}`)) }),
  )
  await vi.advanceTimersByTimeAsync(10)
  expect(engine.status()).toMatchObject({ state: 'pending', pendingChanges: 3_000 })
  open()
  await engine.settled()
  expect(engine.status()).toMatchObject({ state: 'applied', pendingChanges: 0 })
})

describe('traffic and limits', () => {
  const faster = limits({ proven: { perSecond: 20, burst: 100 } })
  const slower = limits({ proven: { perSecond: 3, burst: 5 } })
  const provenRules = async () =>
    (await kernel.rules(4, 'RINGFENCE-PROVEN')).flatMap((rule) => {
      const found = /--hashlimit-name rf-pvn4-(\d+)sec\S*.*?( -[jg] \S+)?$/.exec(rule)
      return found ? [`${found[1]}${found[2] ? ' decides' : ' counts'}`] : []
    })

  test('the first ones decide at once', async () => {
    await apply(DEFAULTS)
    expect(await provenRules()).toEqual(['10 decides'])
    expect(engine.status().state).toBe('applied')
  })

  test.each([
    ['looser', faster, 20],
    ['tighter', slower, 3],
  ])('a %s limit counts for a second before it decides', async (_name, changed, rate) => {
    await apply(DEFAULTS)
    await apply(desired({ limits: changed }))
    expect(await provenRules()).toEqual([`${rate} counts`, '10 decides'])
    expect(engine.status()).toMatchObject({ state: 'pending', pendingChanges: 2 })
    await vi.advanceTimersByTimeAsync(999)
    await engine.settled()
    expect(await provenRules()).toEqual([`${rate} counts`, '10 decides'])
    await vi.advanceTimersByTimeAsync(1)
    await engine.settled()
    expect(await provenRules()).toEqual([`${rate} decides`])
    expect(engine.status()).toMatchObject({ state: 'applied', pendingChanges: 0 })
    expect(await leftToDo(desired({ limits: changed }))).toBe(false)
    // One payload a family and step.
    expect(kernel.restores).toBe(6)
  })

  test('a limit that changes again starts to count anew', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    await vi.advanceTimersByTimeAsync(900)
    await apply(desired({ limits: slower }))
    await vi.advanceTimersByTimeAsync(900)
    await engine.settled()
    expect(await provenRules()).toEqual(['3 counts', '10 decides'])
    await vi.advanceTimersByTimeAsync(100)
    await engine.settled()
    expect(await provenRules()).toEqual(['3 decides'])
  })

  test('a limit that changes back decides all the while', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    await apply(DEFAULTS)
    expect(await provenRules()).toEqual(['10 decides'])
    expect(engine.status().state).toBe('applied')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await provenRules()).toEqual(['10 decides'])
  })

  test('a limit that changes while the last one begins to decide counts beside that one', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    let isNew = false
    const write = kernel.applyChains.bind(kernel)
    kernel.applyChains = async (family, text) => {
      await write(family, text)
      if (!isNew) engine.setDesired(desired({ limits: slower }))
      isNew = true
    }
    await vi.advanceTimersByTimeAsync(1_000)
    await engine.settled()
    expect(await provenRules()).toEqual(['3 counts', '20 decides'])
    await vi.advanceTimersByTimeAsync(1_000)
    await engine.settled()
    expect(await provenRules()).toEqual(['3 decides'])
  })

  test('everything else changes at once, also while a limit counts', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    const enforced = { ...faster, sip: { ...faster.sip, enforced: true } }
    await apply(desired({ limits: enforced, traffic: traffic({ udpPorts: [5062] }) }))
    expect(await provenRules()).toEqual(['20 counts', '10 decides'])
    expect(await kernel.rules(4, 'RINGFENCE-OVER')).toContain('-A RINGFENCE-OVER -j DROP')
    expect((await kernel.rules(4, 'RINGFENCE'))[1]).toContain('--dports 5062 ')
  })

  test('a repair while a limit counts writes what should be there now', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    await vi.advanceTimersByTimeAsync(500)
    await kernel.foreign(4, '-F RINGFENCE-PROVEN')
    expect(await engine.check()).toEqual(['IPv4: the rules of the chain RINGFENCE-PROVEN were other ones'])
    await engine.settled()
    expect(await provenRules()).toEqual(['20 counts', '10 decides'])
    await vi.advanceTimersByTimeAsync(500)
    await engine.settled()
    expect(await provenRules()).toEqual(['20 decides'])
  })

  test('a failure while a limit counts does not make it decide before its time', async () => {
    await apply(DEFAULTS)
    kernel.unwritable.set(4, new KernelError('refused', 'line 3 failed'))
    await apply(desired({ limits: faster }))
    expect(engine.status().state).toBe('failing')
    await vi.advanceTimersByTimeAsync(5_000)
    kernel.unwritable.clear()
    await vi.advanceTimersByTimeAsync(8_000)
    await engine.settled()
    const seen = kernel.payloads.filter(({ family, text }) => family === 4 && text.includes('rf-pvn4-20sec'))
    expect(seen).toHaveLength(2)
    expect(seen[0]!.text).toContain('rf-pvn4-10sec')
    expect(await provenRules()).toEqual(['20 decides'])
  })

  test('off while a limit counts is off, and on begins with the new one', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    await engine.off()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await provenRules()).toEqual([])
    engine.on()
    await engine.settled()
    expect(await provenRules()).toEqual(['20 decides'])
  })

  test('a closed engine leaves the old limit in charge', async () => {
    await apply(DEFAULTS)
    await apply(desired({ limits: faster }))
    await engine.close()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await provenRules()).toEqual(['20 counts', '10 decides'])
  })
})
