import { describe, expect, it } from 'vitest'
import { backtest, type PolicyUnderTest } from '../../../agent/backtest/backtest.ts'
import type { DetectionPolicy } from '../../../agent/detect/verdict.ts'
import type { Observation } from '../../../agent/observe/observation.ts'
import { parsePrefix } from '../../../registrar/net/address.ts'
import { POLICY } from '../policy.ts'
import { at, ended, recorded, register, START, turn } from './traffic.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

const under = (name: string, policy: Partial<DetectionPolicy> = {}): PolicyUnderTest => ({
  name,
  policy: { ...POLICY, ...policy },
  allow: [],
  protect: [],
  gateways: [],
  registrarPorts: [],
})
const PRESENT = under('the present policy')

function compare(
  traffic: readonly Observation[],
  after: PolicyUnderTest,
  { from = START, to = START + 24 * HOUR, before = PRESENT } = {},
) {
  const { history } = recorded(traffic)
  return backtest(history, { from, to, before, after, notes: [] })
}

/** A phone that registers every five minutes for `hours`. */
const phone = (address: string, { hours = 2, port = 5060, account = '1001@example.com' } = {}) =>
  Array.from({ length: hours * 12 }, (_, i) =>
    turn(at(address, port), START + i * 5 * MINUTE, 'success', { account }),
  ).flat()

const failures = (address: string, times: number, begin = START + HOUR, account = '1001@example.com') =>
  Array.from({ length: times }, (_, i) => turn(at(address), begin + i * 5_000, 'failure', { account })).flat()

const flood = (address: string, perSecond: number, seconds: number, begin = START + HOUR) =>
  Array.from({ length: perSecond * seconds }, (_, i) =>
    register(at(address), begin + (i * 1_000) / perSecond, { account: '9000@example.com' }),
  )

describe('a backtest', () => {
  it('judges every source alike with the policy of now, and says how many phones were there', () => {
    const view = compare(
      [...phone('198.51.100.7'), ...failures('203.0.113.9', 8), ...flood('203.0.113.66', 50, 30)],
      under('new.yaml'),
    )
    expect(view).toMatchObject({
      from: START,
      to: START + 24 * HOUR,
      before: { blocks: 1, suspensions: 1, sources: 2, phonesTouched: 0 },
      after: { name: 'new.yaml', blocks: 1, suspensions: 1, sources: 2, phonesTouched: 0 },
      phones: { registered: 1, touched: { count: 0 }, spared: 0 },
      changes: {
        new: { count: 0 },
        gone: { count: 0 },
        harder: { count: 0 },
        softer: { count: 0 },
        other: { count: 0 },
      },
      same: 2,
    })
  })

  it('tells which registered phone a lower registerRetry would have cut off', () => {
    const view = compare(
      [...phone('198.51.100.7'), ...failures('198.51.100.7', 15, START + 61 * MINUTE)],
      under('new.yaml', { registerRetry: 3 }),
    )
    expect(view.changes.new).toMatchObject({
      count: 1,
      first: [
        {
          source: '198.51.100.7',
          before: [],
          after: [{ verdict: 'retry-limit', action: 'suspend', target: '198.51.100.7:5060', count: 1 }],
          phonesTouched: 1,
        },
      ],
    })
    expect(view.phones.touched).toMatchObject({
      count: 1,
      first: [{ account: '1001@example.com', source: '198.51.100.7:5060' }],
    })
    expect(view.phones.touched.first[0]?.by).toContain('suspend of 198.51.100.7:5060 (retry-limit)')
  })

  it.each<{ says: string; policy: Partial<DetectionPolicy>; kind: 'new' | 'gone' | 'harder' | 'softer' }>([
    {
      says: 'a flood threshold far higher',
      policy: { flood: { ...POLICY.flood, registers: 5_000 } },
      kind: 'gone',
    },
    { says: 'a longer block', policy: { flood: { ...POLICY.flood, for: 7_200 } }, kind: 'harder' },
    { says: 'a shorter block', policy: { flood: { ...POLICY.flood, for: 60 } }, kind: 'softer' },
  ])('tells what $says does to a flood: $kind', ({ policy, kind }) => {
    const view = compare(
      [...phone('198.51.100.7'), ...flood('203.0.113.66', 50, 30)],
      under('new.yaml', policy),
    )
    const { changes } = view
    expect({ ...changes, [kind]: changes[kind].first.map(({ source }) => source) }).toEqual({
      new: { count: 0, first: [] },
      gone: { count: 0, first: [] },
      harder: { count: 0, first: [] },
      softer: { count: 0, first: [] },
      other: { count: 0, first: [] },
      [kind]: ['203.0.113.66'],
    })
    expect(view.phones.touched.count).toBe(0)
  })

  it('sees a lockout become a suspension, harder and softer by rank', () => {
    const guesses = Array.from({ length: 30 }, (_, i) =>
      turn(at('203.0.113.9'), START + HOUR + i * 8_000, 'failure', { account: `${2000 + i}@example.com` }),
    ).flat()
    const view = compare(guesses, under('new.yaml', { block: { ...POLICY.block, failures: 5_000 } }))
    expect(view.changes.softer.count + view.changes.gone.count).toBe(1)
    const [change] = [...view.changes.softer.first, ...view.changes.gone.first]
    expect(change?.before[0]).toMatchObject({ verdict: 'lockout', action: 'block', scope: 'sip' })
  })

  it('counts phones behind a punished address as spared where their ports are proven', () => {
    // A guesser without an own phone beside a neighbour on another port of the same address.
    const guesses = Array.from({ length: 40 }, (_, i) =>
      turn(at('198.51.100.7', 7000), START + HOUR + i * 4_000, 'failure', {
        account: `${3000 + i}@example.com`,
      }),
    ).flat()
    const view = compare(
      [...phone('198.51.100.7'), ...guesses],
      under('new.yaml', { block: { failures: 5, within: 600, for: 3_600 } }),
    )
    expect(view.phones).toMatchObject({ registered: 1, touched: { count: 0 } })
    expect(view.after.phonesTouched).toBe(0)
  })

  it('spares whom the new allowlist holds', () => {
    const allow = [parsePrefix('203.0.113.0/24')!]
    const view = compare(flood('203.0.113.66', 50, 30), { ...under('new.yaml'), allow })
    expect(view.changes).toMatchObject({ gone: { count: 1 }, new: { count: 0 } })
    expect(view.after.blocks).toBe(0)
  })

  it('warms up on what came before the time asked about, and tells nothing of it', () => {
    const traffic = [
      ...phone('198.51.100.7', { hours: 30 }),
      ...flood('203.0.113.66', 50, 30, START + HOUR),
      ...flood('203.0.113.67', 50, 30, START + 29 * HOUR),
    ]
    const view = compare(traffic, under('new.yaml', { flood: { ...POLICY.flood, registers: 9_000 } }), {
      from: START + 28 * HOUR,
      to: START + 30 * HOUR,
    })
    expect(view.changes.gone.first.map(({ source }) => source)).toEqual(['203.0.113.67'])
    expect(view.phones.registered).toBe(1)
    expect(view.from).toBe(START + 28 * HOUR)
  })

  it('does not take a phone that registers every minute for one whose registration ran out', () => {
    const often = Array.from({ length: 119 }, (_, i) =>
      turn(at('198.51.100.7'), START + i * MINUTE, 'success', { grantedExpires: 60 }),
    ).flat()
    const { history, rows } = recorded(often)
    expect(rows.exchanges).toBe(119)
    expect(history.extent().exchangeRows).toBe(2)
    // With a live binding a flood is limited; without one it would be blocked.
    const view = backtest(
      recorded([...often, ...flood('198.51.100.7', 50, 20, START + 90 * MINUTE)]).history,
      {
        from: START,
        to: START + 2 * HOUR,
        before: PRESENT,
        after: under('new.yaml'),
        notes: [],
      },
    )
    expect(view.after).toMatchObject({ blocks: 0, informing: expect.any(Number) })
    expect(view.after.informing).toBeGreaterThan(0)
  })

  it('says what it cannot know, and from when the record reaches', () => {
    const view = compare(
      phone('198.51.100.7'),
      under('new.yaml', { flood: { registers: 5, within: 30, for: 60 } }),
      {
        from: START - 10 * HOUR,
        to: START + 2 * HOUR,
      },
    )
    const notes = view.notes.join('\n')
    expect(notes).toContain(
      'the record begins at 2026-01-02T03:00:00.000Z: it reaches 2h back, 10h less than asked for',
    )
    expect(notes).toContain('sums of ten seconds')
    expect(notes).toContain('would have done otherwise is not in the record')
    expect(notes).toContain('policy.flood is lower than 20 REGISTERs a minute')
    expect(notes).toContain('of 48 REGISTERs came from sources with fewer than 20 a minute')
  })

  it('begins when its first row came, not with the hour of that row', () => {
    const begun = START + 33 * MINUTE + 53_000
    const traffic = Array.from({ length: 6 }, (_, i) =>
      turn(at('198.51.100.7'), begun + i * MINUTE, 'success'),
    )
    const view = compare(traffic.flat(), under('new.yaml'), { from: START - HOUR, to: START + HOUR })
    expect(view.from).toBe(START + 33 * MINUTE)
    expect(view.notes[0]).toContain('begins at 2026-01-02T03:33:00.000Z: it reaches 27m back, 1h 33m less')
  })

  it('judges an empty record as nothing, and says so', () => {
    const view = compare([], under('new.yaml'))
    expect(view).toMatchObject({ from: null, to: null, same: 0, phones: { registered: 0 } })
    expect(view.notes[0]).toContain('nothing is recorded yet')
  })

  it('stops when its time is over, and says how far it came', () => {
    const { history } = recorded(phone('198.51.100.7', { hours: 5 }))
    let asked = 0
    const view = backtest(
      history,
      { from: START, to: START + 5 * HOUR, before: PRESENT, after: under('new.yaml'), notes: [] },
      { isOver: () => ++asked > 3 },
    )
    expect(view.to).toBeLessThan(START + 2 * HOUR)
    expect(view.notes.join()).toContain('too much for the time that there is')
  })
})

describe('the figures of a backtest', () => {
  /** A flood that both block, and afterwards failures from four ports, eight minutes apart. */
  const FLOODER = [
    ...flood('10.99.0.40', 50, 30),
    ...Array.from({ length: 4 }, (_, port) =>
      Array.from({ length: 4 }, (_, i) =>
        turn(at('10.99.0.40', 30_000 + port), START + 2 * HOUR + port * 8 * MINUTE + i * 5_000, 'failure'),
      ),
    ).flat(3),
  ]
  const GUESSES = Array.from({ length: 30 }, (_, i) =>
    turn(at('203.0.113.9', 7000), START + HOUR + i * 8_000, 'failure', {
      account: `${2000 + i}@example.com`,
    }),
  ).flat()

  /** What the lists say of a side, added up. */
  function added(view: ReturnType<typeof compare>, side: 'before' | 'after') {
    const sum = { blocks: 0, suspensions: 0, informing: 0 }
    for (const { first } of Object.values(view.changes)) {
      for (const change of first) {
        for (const { action, count } of change[side]) {
          if (action === 'block') sum.blocks += count
          else if (action === 'suspend') sum.suspensions += count
          else sum.informing += count
        }
      }
    }
    return sum
  }

  it.each([
    { what: 'suspensions beside a block', traffic: FLOODER, policy: { registerRetry: 2 } },
    {
      what: 'a lockout that comes later',
      traffic: GUESSES,
      policy: { block: { ...POLICY.block, failures: 25 } },
    },
    { what: 'nobody suspended', traffic: failures('203.0.113.9', 40), policy: { registerSuspend: false } },
  ])('are in the list what they are in the summary: $what', ({ traffic, policy }) => {
    const view = compare(traffic, under('new.yaml', policy))
    // Nothing is judged alike here, so the lists hold all there is.
    expect(view.same).toBe(0)
    expect(view.before).toMatchObject(added(view, 'before'))
    expect(view.after).toMatchObject(added(view, 'after'))
  })

  it('tell of suspensions beside the block that both decide', () => {
    const view = compare(FLOODER, under('new.yaml', { registerRetry: 2 }))
    expect([view.before, view.after]).toMatchObject([
      { blocks: 1, suspensions: 0 },
      { blocks: 1, suspensions: 4 },
    ])
    expect(view.changes).toMatchObject({ harder: { count: 1 }, softer: { count: 0 }, other: { count: 0 } })
    expect(view.changes.harder.first[0]).toMatchObject({
      before: [{ verdict: 'register-flood', count: 1 }],
      after: [
        { verdict: 'register-flood', count: 1 },
        { verdict: 'retry-limit', action: 'suspend', target: '10.99.0.40:30000', targets: 4, count: 4 },
      ],
    })
  })

  it('tell a block that comes later, and is as long, from one that comes at once', () => {
    const view = compare(GUESSES, under('new.yaml', { block: { ...POLICY.block, failures: 25 } }))
    expect(view).toMatchObject({
      before: { blocks: 1 },
      after: { blocks: 1 },
      changes: { softer: { count: 1 } },
    })
  })
})

describe('what the record makes the detector decide', () => {
  /** Every kind of trouble at once; what was decided while it happened is decided again from the record. */
  const TRAFFIC = [
    ...phone('198.51.100.7', { hours: 3 }),
    ...phone('198.51.100.8', { hours: 3, account: '1002@example.com' }),
    ...failures('203.0.113.9', 10),
    // A registered phone's first minute of refusals waits for others to come: it may be the softswitch.
    ...failures('198.51.100.8', 18, START + 2 * HOUR + MINUTE, '1002@example.com'),
    ...flood('203.0.113.66', 200, 60),
    ...flood('203.0.113.67', 8, 60),
    ...flood('198.51.100.7', 30, 30, START + 100 * MINUTE),
    ...Array.from({ length: 40 }, (_, i) =>
      turn(at('203.0.113.10', 6000 + i), START + HOUR + i * 3_000, 'failure', { account: `${4000 + i}@x` }),
    ).flat(),
    ended(at('203.0.113.11'), START, { outcome: 'refused', status: 403 }),
  ]

  it('is what it decided from the packets, source by source', () => {
    const { history, verdicts } = recorded(TRAFFIC)
    const view = backtest(history, {
      from: START,
      to: START + 4 * HOUR,
      before: under('none', {
        registerSuspend: false,
        flood: { registers: 1e6, within: 10, for: 1 },
        block: { failures: 1e6, within: 1, for: 1 },
      }),
      after: PRESENT,
      notes: [],
    })
    const hardest = new Map<string, string>()
    const order = ['alert', 'limit', 'suspend', 'block']
    for (const { address, action } of verdicts) {
      const known = hardest.get(address)
      if (known === undefined || order.indexOf(action) > order.indexOf(known)) hardest.set(address, action)
    }
    const found = Object.values(view.changes)
      .flatMap(({ first }) => first)
      .flatMap(({ source, after }) => after.slice(0, 1).map(({ action }) => [source, action] as const))
    expect(new Map(found)).toEqual(hardest)
    expect(hardest.size).toBeGreaterThanOrEqual(5)
  })
})
