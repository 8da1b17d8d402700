import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from '../../../agent/config/config.ts'
import { readConfig } from '../../../agent/config/read-config.ts'
import type { AttackState } from '../../../agent/decide/attack.ts'
import { Decisions } from '../../../agent/decide/decisions.ts'
import { KernelFeed } from '../../../agent/decide/kernel-feed.ts'
import type { LaneEvidence } from '../../../agent/detect/lane-evidence.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import type { Journal } from '../../../agent/journal/journal.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'
import { type Address, parsePrefix } from '../../../registrar/net/address.ts'
import type { DesiredState } from '../../../rules/desired-state.ts'

beforeEach(() => vi.useFakeTimers({ now: 1_700_000_000_000 }))
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end()
  vi.useRealTimers()
})
const ends: (() => void)[] = []

function configOf(text = ''): Config {
  const reading = readConfig(`protect: { interfaces: [eth0] }\n${text}`, { file: 'F' })
  if (reading.kind === 'refused') throw new Error(JSON.stringify(reading.problems))
  return reading.config
}

function memory(): Journal {
  const { journal } = openJournal({ file: ':memory:', now: Date.now })
  ends.push(() => journal.close())
  return journal
}

function stage({
  journal = memory(),
  config = configOf(),
  left,
}: {
  journal?: Journal
  config?: Config
  left?: () => number
} = {}) {
  const returned: string[] = []
  const states: { at: number; state: DesiredState }[] = []
  const attacks: AttackState[] = []
  const held = { config }
  let feed: KernelFeed | undefined
  const decisions = new Decisions({
    journal,
    clock: Date.now,
    configured: { allow: [], protect: [], gateways: [] },
    ownAddresses: () => [],
    capacity: { verdicts: 1_000, orders: 1_000 },
    onChange: (what) => feed?.desire(what === 'verdict' ? 'soon' : 'now'),
  })
  feed = new KernelFeed({
    config: () => held.config,
    host: { memoryBytes: 1024 ** 3, tracksConnections: false },
    journal,
    clock: Date.now,
    decisions,
    hand: (state) => states.push({ at: Date.now(), state }),
    onAttack: (attack) => attacks.push(attack),
    onReturned: (account) => returned.push(account),
    ...(left ? { leftForUnknown: left } : {}),
    keep: (write) => write(),
  })
  ends.push(() => feed.close())
  return { feed, decisions, journal, states, attacks, returned, held, latest: () => states.at(-1)!.state }
}

const port = (number: number) => ({ address: '203.0.113.7' as Address, port: number })
const registered = (number: number): LaneEvidence => ({
  kind: 'registered',
  at: Date.now(),
  account: `${number}@example.com`,
  source: port(number),
  transport: 'udp',
  until: Date.now() + 600_000,
})
const answered = (number: number): LaneEvidence => ({
  kind: 'answered',
  at: Date.now(),
  source: port(number),
  own: true,
})
const flood = (i: number): Verdict => ({
  time: Date.now(),
  name: 'register-flood',
  address: `10.0.${i >> 8}.${i & 255}` as Address,
  port: null,
  action: 'block',
  scope: 'register',
  grade: 'packet',
  reason: '',
  evidence: {},
  duration: 600,
})

describe('the feed of the kernel', () => {
  it('says nothing before it is started', () => {
    const { feed, states } = stage()
    feed.desire('now')
    expect(states).toEqual([])
    feed.start()
    expect(states).toHaveLength(1)
  })

  it('hands a lone verdict and every order on at once', () => {
    const { feed, decisions, states, latest } = stage()
    feed.start()
    vi.advanceTimersByTime(100)
    decisions.decide(flood(1))
    expect(latest().blocks.flat()).toHaveLength(1)
    decisions.order({ target: parsePrefix('192.0.2.1')!, until: null, reason: '', who: 'a' })
    expect(latest().blocks.flat()).toHaveLength(2)
    feed.setSipEnforced(true)
    expect(latest().limits.sip.enforced).toBe(true)
    expect(states.map(({ at }) => at - states[0]!.at)).toEqual([0, 100, 100, 100])
  })

  it('hands a storm of verdicts and of lane changes on in steps, each within 50 ms', () => {
    const { feed, decisions, states, latest } = stage()
    feed.start()
    for (let i = 0; i < 1_000; i++) {
      decisions.decide(flood(i))
      feed.take({ evidence: [registered(1 + i)], dropped: 0 })
      vi.advanceTimersByTime(1)
      if (i % 50 === 49) expect(latest().blocks.flat().length).toBeGreaterThanOrEqual(i - 49)
    }
    vi.advanceTimersByTime(50)
    expect(latest().blocks.flat()).toHaveLength(1_000)
    expect(
      latest()
        .members.flat()
        .filter(({ lane }) => lane === 'proven'),
    ).toHaveLength(1_000)
    expect(states.length).toBeLessThanOrEqual(260)
    expect(states.length).toBeGreaterThan(20)
  })

  it('keeps parts that did not change, and does nothing for evidence that changes nothing', () => {
    const { feed, states, latest } = stage()
    feed.start()
    vi.advanceTimersByTime(100)
    feed.take({ evidence: [registered(1)], dropped: 0 })
    vi.advanceTimersByTime(50)
    const before = latest()
    const handed = states.length
    vi.advanceTimersByTime(100)
    feed.take({ evidence: [registered(1), answered(1)], dropped: 3 })
    vi.advanceTimersByTime(100)
    expect(states).toHaveLength(handed)
    feed.take({ evidence: [answered(2)], dropped: 0 })
    vi.advanceTimersByTime(50)
    expect(latest().members.filter((part, i) => part !== before.members[i])).toHaveLength(1)
    expect(feed.lanes()).toMatchObject({ proven: 1, returning: 1, answered: 1, letGo: { evidence: 3 } })
  })

  it('puts back who was proven and who returns before the first state', () => {
    const journal = memory()
    const first = stage({ journal })
    first.feed.start()
    first.feed.take({ evidence: [registered(1), registered(2), answered(3)], dropped: 0 })
    // Nothing was said to the journal but by the second that goes by.
    vi.advanceTimersByTime(1_000)
    first.feed.take({ evidence: [{ ...registered(2), kind: 'unregistered' } as LaneEvidence], dropped: 0 })
    first.feed.close()
    vi.advanceTimersByTime(60_000)
    const second = stage({ journal })
    second.feed.start()
    expect(
      second.states[0]!.state.members.flat().map((member) => [
        member.lane,
        'port' in member ? member.port : 'accounts' in member && member.accounts,
      ]),
    ).toEqual(
      expect.arrayContaining([
        ['proven', 1],
        ['returning', 2],
      ]),
    )
    expect(second.states[0]!.state.members.flat()).toHaveLength(2)
    const [proven] = second.states[0]!.state.members.flat().filter(({ lane }) => lane === 'proven')
    expect(second.feed.registered()).toEqual([
      { source: '203.0.113.7/32', accounts: 2, until: proven!.until },
    ])
  })

  it('lets go of what is over', () => {
    const { feed, latest } = stage()
    feed.start()
    feed.take({ evidence: [answered(1), registered(2)], dropped: 0 })
    vi.advanceTimersByTime(120_000)
    expect(
      latest()
        .members.flat()
        .map(({ lane }) => lane)
        .sort(),
    ).toEqual(['proven', 'returning'])
    vi.advanceTimersByTime(20 * 60_000)
    expect(
      latest()
        .members.flat()
        .map(({ lane }) => lane),
    ).toEqual(['returning'])
  })

  it('goes over to strict limits and back, renewing them in the kernel', () => {
    const { feed, attacks, latest } = stage()
    feed.start()
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(1_000)
      feed.summarised({ registers: 5_000, seconds: 1 })
    }
    expect(attacks.map(({ state }) => state)).toEqual(['strict'])
    expect(feed.strict()).toMatchObject({ state: 'strict', order: 'auto' })
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(1_000)
      feed.summarised({ registers: 5_000, seconds: 1 })
      expect(latest().strictUntil! - Date.now()).toBeGreaterThan(85_000)
    }
    vi.advanceTimersByTime(60_000)
    expect(attacks.map(({ state }) => state)).toEqual(['strict', 'peace'])
    expect(latest().strictUntil).toBeNull()
  })

  it('obeys the operator’s order, also after a restart, and the configuration', () => {
    const journal = memory()
    const first = stage({ journal })
    first.feed.start()
    first.feed.setStrict('on')
    expect(first.latest().strictUntil).toBe(Date.now() + 120_000)
    first.feed.close()
    const second = stage({ journal })
    second.feed.start()
    expect(second.states[0]!.state.strictUntil).toBe(Date.now() + 120_000)
    expect(second.feed.strict()).toMatchObject({ state: 'strict', order: 'on' })
    second.feed.setStrict('auto')
    expect(second.latest().strictUntil).toBeNull()
    second.held.config = configOf('limits: { strict: { when: always } }')
    second.feed.reconfigured()
    expect(second.latest().strictUntil).not.toBeNull()
    expect(second.feed.strict().order).toBe('auto')
  })

  it('has the limits of all strangers follow the capacity, where the file says auto', () => {
    let left = 800
    const auto = 'limits: { total: { perSecond: auto }, strict: { total: { perSecond: auto } } }'
    const { feed, states, attacks, latest, held } = stage({ config: configOf(auto), left: () => left })
    feed.start()
    expect(latest().limits.unknown.total).toEqual({ perSecond: 800, burst: 1_600 })
    expect(latest().limits.strict.total).toEqual({ perSecond: 600, burst: 600 })
    left = 300
    feed.metered()
    expect(latest().limits.unknown.total).toEqual({ perSecond: 300, burst: 600 })
    const { limits } = latest()
    vi.advanceTimersByTime(100)
    feed.desire('now')
    expect(latest().limits).toBe(limits)
    // What strangers may send is also what an attack is measured by.
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(1_000)
      feed.summarised({ registers: 400, seconds: 1 })
    }
    expect(attacks.map(({ state }) => state)).toEqual(['strict'])
    held.config = configOf()
    feed.reconfigured()
    expect(latest().limits.unknown.total).toEqual({ perSecond: 2_000, burst: 4_000 })
    expect(states.length).toBeGreaterThan(3)
  })

  it('says which accounts come back to a source that registered before', () => {
    const { feed, returned } = stage()
    feed.start()
    feed.take({ evidence: [registered(1)], dropped: 0 })
    expect(returned).toEqual([])
    feed.take({ evidence: [registered(1), registered(2), answered(3)], dropped: 0 })
    expect(returned).toEqual(['1@example.com', '2@example.com'])
  })

  it('says what another configuration would ask for, and does not ask for it', () => {
    const { feed, states } = stage()
    feed.start()
    feed.take({ evidence: [registered(1)], dropped: 0 })
    const under = feed.desiredUnder(configOf('limits: { register: { perSecond: 9 } }'))
    expect(under.limits.unknown.source.perSecond).toBe(9)
    expect(under.members.flat()).toHaveLength(2)
    vi.advanceTimersByTime(50)
    expect(states.at(-1)!.state.limits.unknown.source.perSecond).toBe(5)
    expect(states.at(-1)!.state.members.flat()).toHaveLength(2)
  })

  it('has lower bounds take effect', () => {
    const { feed, held, latest } = stage()
    feed.start()
    for (let i = 1; i <= 5; i++) {
      feed.take({ evidence: [{ ...registered(i), account: 'one' } as LaneEvidence], dropped: 0 })
    }
    held.config = configOf('registrar: { maxBindings: 2 }')
    feed.reconfigured()
    expect(
      latest()
        .members.flat()
        .filter(({ lane }) => lane === 'proven'),
    ).toHaveLength(2)
  })
})
