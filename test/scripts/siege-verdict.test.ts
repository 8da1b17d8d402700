import { describe, expect, it } from 'vitest'
import { readCallFigures } from '../../scripts/siege/calls.ts'
import { allMet } from '../../scripts/siege/campaign/all-met.ts'
import { readArguments } from '../../scripts/siege/campaign/asked-campaign.ts'
import { atHalf, siegesOf } from '../../scripts/siege/campaign/plan.ts'
import { renderCampaign } from '../../scripts/siege/campaign/table.ts'
import { limitCrossedAfter } from '../../scripts/siege/limit-crossing.ts'
import type { KindFigures } from '../../scripts/siege/phone-figures.ts'
import type { SiegeFigures } from '../../scripts/siege/report.ts'
import { judge, showVerdict } from '../../scripts/siege/verdict.ts'

const served: KindFigures = {
  phones: 500,
  registrations: 5_000,
  success: 1,
  late: 0,
  refused: 0,
  silence: 0,
  p50: 3,
  p99: 20,
}
const calls = { begun: 20, completed: 20, broken: 0 }

/** A siege in which all targets hold, but for what is said. */
function figures(other: Partial<SiegeFigures> = {}): SiegeFigures {
  return {
    attack: 'sources',
    guard: 'ringfence',
    nonces: 'shared',
    seconds: 60,
    seed: 1,
    share: 1,
    attackPerSecond: 80_000,
    attackSent: 4_800_000,
    kinds: { customer: served },
    newcomers: { phones: 50, within32: 1, p50: 500, p99: 900 },
    absent: {},
    unanswered: 0,
    troubledFor: null,
    convergedAfter: null,
    storm: 0,
    calls: { PBXs: calls, trunk: calls },
    firstDropAfter: 90,
    limitCrossedAfter: 50,
    tables: { sets: 50e6, limits: 50e6 },
    honestBlocked: [],
    bans: 0,
    reachedPerSecond: 500,
    answeredPerSecond: 500,
    cpu: { daemon: 3, sensor: 6, capture: 3 },
    cpuInKernel: { daemon: 1, sensor: 1, capture: 1 },
    memory: { daemon: 80e6, sensor: 80e6, capture: 60e6 },
    rings: 24e6,
    framesSeen: 1,
    framesLost: 0,
    strict: 'on: attack',
    dropped: {},
    droppedBy: {},
    full: [],
    guesses: null,
    machineBusy: 0.8,
    machineOwn: 0.8,
    queueDrops: 0,
    saturated: false,
    phonesTimersLate: 3,
    explained: [],
    ...other,
  }
}

const ALL = { customers: 'met', newcomers: 'met' } as const
const FRONTIER = { customers: 'frontier', newcomers: 'frontier' } as const
const lost = { kinds: { customer: { ...served, success: 0.999 } } }

describe('the verdict of a siege', () => {
  it('is met where all targets hold', () => {
    expect(judge(figures(), ALL)).toEqual({ kind: 'met', missed: [], beyond: [] })
  })

  it.each([
    ['a customer', lost, 'customers 99.9 % within 4 s'],
    [
      'the office',
      { kinds: { customer: served, office: { ...served, success: 0.5 } } },
      'phones of the office 50.0 % within 4 s',
    ],
    [
      'newcomers',
      { newcomers: { phones: 50, within32: 0.94, p50: 1, p99: 1 } },
      'newcomers 94.0 % within 32 s',
    ],
    ['somebody honest', { honestBlocked: ['10.50.0.10 by x: y'] }, '1 honest blocked or suspended'],
    ['a call', { calls: { PBXs: calls, trunk: { ...calls, broken: 2 } } }, '2 calls of the trunk broken'],
    ['a silent phone', { unanswered: 1 }, '1 phones unanswered for 32 s'],
    ['a phone kept out before', { absent: { office: 3 } }, '3 phones not registered before the attack'],
    ['the first drop', { firstDropAfter: 151 }, 'the first drop 101 ms after a limit was crossed'],
    ['no drop', { firstDropAfter: null }, 'no drop after a limit was crossed'],
    ['its processor', { cpu: { daemon: 16 } }, "the guard's processes 16 % of a core in user space"],
    ['its memory', { memory: { daemon: 251e6 } }, "the guard's processes 251 MB"],
    ["the kernel's tables", { tables: { sets: 100e6, limits: 51e6 } }, "the kernel's tables 151 MB"],
  ] as const)('is missed for %s', (_, other, missed) => {
    expect(judge(figures(other), ALL)).toEqual({ kind: 'missed', missed: [missed], beyond: [] })
  })

  it('is frontier where only that is missed which nobody can be asked for', () => {
    const verdict = judge(figures(lost), FRONTIER)
    expect(showVerdict(verdict)).toBe('frontier: frontier: customers 99.9 % within 4 s')
    expect(judge(figures({ ...lost, honestBlocked: ['x'] }), FRONTIER).kind).toBe('missed')
  })

  it('of a storm asks for its last phone by the time that the capacity gives', () => {
    const targets = { customers: 'none', newcomers: 'none', converges: true } as const
    // 30 s + 1.2 × 2 × 20,000 ÷ 3,200 = 45 s.
    const storm = (convergedAfter: number | null) =>
      judge(figures({ storm: 20_000, convergedAfter }), targets)
    expect(storm(45_000).kind).toBe('met')
    expect(storm(45_001).missed).toEqual(["the storm's last phone after 45.0 s, not by 45.0 s"])
    expect(storm(null).missed).toEqual(["the storm's last phone never, not by 45.0 s"])
  })

  it('asks a softswitch without a guard for nothing that a guard costs', () => {
    expect(judge(figures({ guard: 'none', firstDropAfter: null, cpu: null, memory: null }), ALL).kind).toBe(
      'met',
    )
  })
})

describe('a campaign', () => {
  const asked = readArguments([])

  it('has every attack, guard and kind of nonces where nothing is said, guards beside each other', () => {
    if (typeof asked === 'string') throw new Error(asked)
    const orders = siegesOf(asked.order)
    expect(orders.length).toBe(asked.order.attacks.length * 6 * 2)
    expect(siegesOf({ ...asked.order, times: 3 }).length).toBe(3 * orders.length)
    expect(orders.slice(0, 2).map(({ guard, nonces }) => `${guard} ${nonces}`)).toEqual([
      'none shared',
      'ringfence shared',
    ])
  })

  it('is short on demand, and refuses what it does not know', () => {
    expect(readArguments(['--short', '--guard', 'ringfence,pike', '--attack', 'storm'])).toMatchObject({
      order: {
        attacks: ['storm'],
        guards: ['ringfence', 'pike'],
        nonces: ['shared'],
        seconds: 15,
        share: 0.1,
      },
    })
    expect(readArguments(['--guard', 'nobody'])).toContain('There is no guard "nobody".')
    expect(readArguments(['--nonces', 'x'])).toContain('There is no nonces "x".')
    expect(readArguments(['--share', '2'])).toContain('--share takes')
  })

  it('repeats a flood at half the rate where the machine was the limit and a target was missed', () => {
    const order = {
      attack: 'sources',
      guard: 'ringfence',
      nonces: 'shared',
      seconds: 60,
      share: 1,
      seed: 1,
    } as const
    const missed = { saturated: true, verdict: 'missed' } as const
    expect(atHalf(order, missed)).toEqual({ ...order, share: 0.5 })
    expect(atHalf({ ...order, share: 0.15 }, missed)).toBeNull()
    expect(atHalf(order, { ...missed, saturated: false })).toBeNull()
    expect(atHalf(order, { ...missed, verdict: 'met' })).toBeNull()
    expect(atHalf({ ...order, attack: 'guessers' }, missed)).toBeNull()
  })

  it('is won where Ringfence met all, by the repetition where there is one', () => {
    const met = { figures: figures(), verdict: judge(figures(), ALL) }
    const missed = { figures: figures(lost), verdict: judge(figures(lost), ALL) }
    const half = { ...met, figures: figures({ share: 0.5 }) }
    const other = figures({ ...lost, guard: 'pike' })
    expect(allMet([met, { figures: other, verdict: judge(other, ALL) }])).toBe(true)
    expect(allMet([met, missed])).toBe(false)
    expect(allMet([missed, half])).toBe(true)
    expect(allMet([half, missed])).toBe(false)
    expect(allMet([met, { attack: 'junk', guard: 'ringfence', nonces: 'shared', failed: 'x' }])).toBe(false)
  })

  it('is a table with a row for each siege, failed ones too', () => {
    const rows = [
      { figures: figures(), verdict: judge(figures(), ALL) },
      { attack: 'junk', guard: 'pike', nonces: 'shared', failed: 'a | b\nc' },
    ]
    const lines = renderCampaign(rows).split('\n')
    expect(new Set(lines.map((line) => line.replaceAll('\\|', '').split('|').length)).size).toBe(1)
    expect(lines[2]).toContain('| sources | ringfence | shared | 80,000 | 100.0 % | 3 ms, 20 ms |')
    expect(lines[3]).toContain('| failed: a \\| b c |')
  })
})

describe('the moment at which a flood crosses a limit', () => {
  it.each([
    ['one source', { kind: 'pool', amount: 1 }, 10_005, 1],
    // 4,000 of burst at 78,000 more a second than the total's.
    ['20,000 sources', { kind: 'pool', amount: 20_000 }, 80_000, 51],
    ['forged sources', { kind: 'new' }, 12_000, 400],
    ["customers' addresses", { kind: 'listed', addresses: ['10.50.0.10', '10.50.0.11'] }, 410, 100],
  ] as const)('is, of %s, when the burst is used up', (_, sources, perSecond, expected) => {
    expect(Math.round(limitCrossedAfter({ sources }, perSecond)!)).toBe(expected)
  })

  it('is none below the limits, and not known of what has others', () => {
    expect(limitCrossedAfter({ sources: { kind: 'new' } }, 1_900)).toBeNull()
    expect(limitCrossedAfter({ sources: { kind: 'new' }, packets: ['junk'] }, 50_000)).toBeNull()
    const registered = { kind: 'listed', addresses: ['10.50.0.10:5060'] } as const
    expect(limitCrossedAfter({ sources: registered }, 50_000)).toBeNull()
  })
})

describe('the calls', () => {
  it('that did not come to their end are broken, by the last line of what sipp counted', () => {
    const csv = [
      'StartTime;TotalCallCreated;CurrentCall;SuccessfulCall(P);SuccessfulCall(C);FailedCall(P);FailedCall(C);',
      'x;10;8;1;2;0;0;',
      'y;29;0;4;19;1;3;',
    ].join('\n')
    expect(readCallFigures(csv)).toEqual({ begun: 29, completed: 19, broken: 10 })
  })
})
