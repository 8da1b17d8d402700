import { afterEach, describe, expect, it } from 'vitest'
import { Decisions } from '../../../agent/decide/decisions.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { type Journal, JournalError } from '../../../agent/journal/journal.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'
import { type Address, type Prefix, parsePrefix } from '../../../registrar/net/address.ts'

const START = 1_700_000_000_000
let now = START
const journals: Journal[] = []
afterEach(() => {
  now = START
  for (const journal of journals.splice(0)) journal.close()
})

function memory(): Journal {
  const { journal } = openJournal({ file: ':memory:', now: () => now })
  journals.push(journal)
  return journal
}

interface StageOptions {
  readonly allow?: readonly string[]
  readonly protect?: readonly string[]
  readonly gateways?: readonly string[]
  readonly own?: readonly string[]
  readonly journal?: Journal
  readonly orders?: number
}

function stage(options: StageOptions = {}) {
  const journal = options.journal ?? memory()
  const changes: string[] = []
  const { allow = [], protect = [], gateways = [], own = [] } = options
  const decisions = new Decisions({
    journal,
    clock: () => now,
    configured: {
      allow: allow.map(prefix),
      protect: protect.map(prefix),
      gateways: gateways.map(prefix),
    },
    ownAddresses: () => own as Address[],
    capacity: { verdicts: 1_000, orders: options.orders ?? 1_000 },
    onChange: (when) => changes.push(when),
  })
  return { decisions, journal, changes }
}

const prefix = (text: string): Prefix => parsePrefix(text)!

function verdict(rest: Partial<Verdict> = {}): Verdict {
  return {
    time: now,
    name: 'register-flood',
    address: '203.0.113.7' as Address,
    port: null,
    action: 'block',
    scope: 'register',
    grade: 'packet',
    reason: 'too many',
    evidence: { registers: 100 },
    duration: 600,
    ...rest,
  }
}

describe('a verdict', () => {
  it('becomes a decision that stands until its time is over', () => {
    const { decisions } = stage()
    expect(decisions.decide(verdict())).toMatchObject({
      kind: 'made',
      decision: {
        kind: 'block',
        target: { kind: 'prefix', prefix: '203.0.113.7/32' },
        scope: 'register',
        until: START + 600_000,
        by: 'register-flood',
        grade: 'packet',
      },
    })
    expect(decisions.blocks().flat()).toEqual([
      { target: '203.0.113.7/32', scope: 'register', sparesProven: true, until: START + 600_000 },
    ])
    now = START + 599_999
    expect(decisions.size).toBe(1)
    now = START + 600_000
    expect([decisions.size, decisions.blocks().flat(), decisions.standing()]).toEqual([0, [], []])
  })

  it('that is made again extends what stands, and never shortens it', () => {
    const { decisions } = stage()
    decisions.decide(verdict())
    const [before] = decisions.blocks().flat()
    now = START + 10_000
    expect(decisions.decide(verdict())).toMatchObject({
      kind: 'extended',
      decision: { until: START + 610_000 },
    })
    expect(decisions.decide(verdict({ duration: 5 }))).toEqual({ kind: 'none', why: 'stands-already' })
    expect(decisions.standing()).toHaveLength(1)
    expect(decisions.blocks().flat()[0]).not.toBe(before)
    expect(decisions.blocks().flat()[0]).toBe(decisions.blocks().flat()[0])
  })

  it('of an IPv6 address is about its /64', () => {
    const { decisions } = stage()
    decisions.decide(verdict({ address: '2001:db8:1:2:3::9' as Address }))
    expect(
      decisions
        .blocks()
        .flat()
        .map(({ target }) => target),
    ).toEqual(['2001:db8:1:2::/64'])
    expect(decisions.about('2001:db8:1:2:ffff::1' as Address)).toHaveLength(1)
    expect(decisions.about('2001:db8:1:3::1' as Address)).toEqual([])
  })

  it.each<[string, Partial<Verdict>, string]>([
    ['that only informs', { action: 'limit' }, 'informs-only'],
    ['that is an alert', { action: 'alert', name: 'hijack', grade: 'account' }, 'informs-only'],
    ['against somebody on the allowlist', { address: '198.51.100.9' as Address }, 'allowed'],
    ['against this host', { address: '192.0.2.1' as Address }, 'own-address'],
    ['against a port of this host', { address: '192.0.2.1' as Address, port: 5060 }, 'own-address'],
    [
      'against the /64 that this host is in',
      { address: '2001:db8:1:2::99' as Address, scope: 'sip' },
      'own-address',
    ],
    ['against what is protected', { address: '198.18.0.77' as Address }, 'own-address'],
    ['against a /64 around what is protected', { address: '2001:db8:5:5:1::1' as Address }, 'own-address'],
    ['against a gateway', { address: '203.0.113.130' as Address, scope: 'sip' }, 'gateway'],
    ['that suspends a port of a gateway', { address: '203.0.113.130' as Address, port: 5060 }, 'gateway'],
  ])('%s changes nothing', (_, rest, why) => {
    const { decisions, changes } = stage({
      allow: ['198.51.100.0/24'],
      own: ['192.0.2.1', '2001:db8:1:2::1'],
      protect: ['198.18.0.0/24', '2001:db8:5:5::7'],
      gateways: ['203.0.113.128/25'],
    })
    expect(decisions.decide(verdict(rest))).toEqual({ kind: 'none', why })
    expect([decisions.size, changes]).toEqual([0, []])
  })

  it('that suspends a port goes to the kernel as a port, a whole source as a block of scope register', () => {
    const { decisions } = stage()
    decisions.decide(verdict({ action: 'suspend', port: 5061, duration: 180 }))
    expect(decisions.suspensions().flat()).toEqual([
      { address: '203.0.113.7', port: 5061, until: START + 180_000 },
    ])
    expect(decisions.blocks().flat()).toEqual([])
    decisions.decide(verdict({ action: 'suspend', duration: 180 }))
    decisions.decide(verdict({ duration: 600 }))
    expect(decisions.blocks().flat()).toEqual([
      { target: '203.0.113.7/32', scope: 'register', sparesProven: true, until: START + 600_000 },
    ])
    now = START + 200_000
    expect(decisions.standing().map(({ kind }) => kind)).toEqual(['block'])
    expect(decisions.blocks().flat()).toHaveLength(1)
  })
})

describe('the operator', () => {
  const order = (target: string, until: number | null = null) => ({
    target: prefix(target),
    until,
    reason: 'by hand',
    who: 'root@cli',
  })

  it('blocks with scope sip, and a second order takes the place of the first', () => {
    const { decisions, journal } = stage()
    decisions.order(order('203.0.113.0/24', now + 60_000))
    decisions.order(order('203.0.113.0/24'))
    expect(decisions.blocks().flat()).toEqual([
      { target: '203.0.113.0/24', scope: 'sip', sparesProven: false, until: null },
    ])
    expect(journal.standingDecisions(now)).toHaveLength(1)
  })

  it('blocks beside a verdict on the same target: only what he ordered spares nobody', () => {
    const { decisions } = stage()
    decisions.decide(verdict({ scope: 'sip', duration: 3_600 }))
    decisions.order(order('203.0.113.7', now + 60_000))
    expect(decisions.blocks().flat()).toHaveLength(2)
    expect(decisions.blocks().flat()).toEqual(
      expect.arrayContaining([
        { target: '203.0.113.7/32', scope: 'sip', sparesProven: true, until: START + 3_600_000 },
        { target: '203.0.113.7/32', scope: 'sip', sparesProven: false, until: START + 60_000 },
      ]),
    )
    now = START + 61_000
    expect(
      decisions
        .blocks()
        .flat()
        .map(({ sparesProven }) => sparesProven),
    ).toEqual([true])
    decisions.order(order('203.0.113.7'))
    expect(decisions.decide(verdict({ scope: 'sip', duration: 9_000 }))).toEqual({
      kind: 'none',
      why: 'stands-already',
    })
    expect(decisions.lift(prefix('203.0.113.7'), 'a')).toHaveLength(2)
    expect(decisions.blocks().flat()).toEqual([])
  })

  it.each([
    ['192.0.2.1', '192.0.2.1 is an address of this host: blocking it would cut the host off from itself.'],
    [
      '192.0.0.0/16',
      '192.0.0.0/16 holds 192.0.2.1, an address of this host: blocking it would cut the host off from itself.',
    ],
    [
      '2001:db8::/32',
      '2001:db8::/32 holds 2001:db8:1:2::1, an address of this host: blocking it would cut the host off from itself.',
    ],
    [
      '0.0.0.0/0',
      '0.0.0.0/0 cannot be blocked: it is every IPv4 address there is. Block a longer prefix, for example 198.51.100.0/24.',
    ],
    ['203.0.113.130', undefined],
    ['198.18.0.0/15', undefined],
    ['192.0.2.2', undefined],
  ])('may or may not block %s', (target, sentence) => {
    const { decisions } = stage({
      own: ['127.0.0.1', '192.0.2.1', '2001:db8:1:2::1'],
      protect: ['198.18.0.0/24'],
      gateways: ['203.0.113.128/25'],
    })
    expect(decisions.refusalOfOrder(prefix(target))).toBe(sentence)
  })

  it('is heard at once, while what verdicts change may wait a moment', () => {
    const { decisions, changes } = stage()
    decisions.decide(verdict())
    decisions.order(order('203.0.113.0/24'))
    decisions.lift(prefix('203.0.113.0/24'), 'a')
    decisions.allow({ target: prefix('192.0.2.1'), since: now, who: 'a', reason: '' })
    expect(changes).toEqual(['verdict', 'order', 'order', 'lists'])
  })

  it('lifts what stands on exactly this target, for an address its ports too', () => {
    const { decisions } = stage()
    decisions.order(order('203.0.113.0/24'))
    decisions.decide(verdict())
    decisions.decide(verdict({ action: 'suspend', port: 5061 }))
    decisions.decide(verdict({ action: 'suspend', port: 5062 }))
    expect(decisions.lift({ address: '203.0.113.7' as Address, port: 5062 }, 'a')).toHaveLength(1)
    expect(decisions.lift(prefix('203.0.113.7'), 'a').map(({ kind }) => kind)).toEqual(['block', 'suspend'])
    expect(decisions.standing().map(({ by }) => by)).toEqual(['operator'])
    expect(decisions.lift(prefix('203.0.113.7'), 'a')).toEqual([])
  })

  it('allows, which takes back what stands against addresses in it', () => {
    const { decisions } = stage()
    decisions.decide(verdict())
    decisions.decide(verdict({ address: '192.0.2.1' as Address }))
    const entry = { target: prefix('203.0.113.0/24'), since: now, who: 'root@cli', reason: 'ours' }
    expect(decisions.allow(entry)).toMatchObject({ lifted: [{ by: 'register-flood' }], wider: [] })
    expect(decisions.isAllowed('203.0.113.200' as Address)).toBe(true)
    expect(decisions.allowedPrefixes()).toEqual(['203.0.113.0/24'])
    expect(decisions.standing()).toHaveLength(1)
    expect(decisions.disallow(prefix('203.0.113.0/24'))).toEqual(entry)
    expect(decisions.disallow(prefix('203.0.113.0/24'))).toBeUndefined()
    expect(decisions.isAllowed('203.0.113.200' as Address)).toBe(false)
  })
})

describe('allowing a part of what is blocked', () => {
  const allow = (target: string) => ({
    target: prefix(target),
    since: now,
    who: 'root@cli',
    reason: 'ours',
  })

  it('takes back what lies wholly inside, and nothing of a larger block', () => {
    const { decisions } = stage()
    for (const target of ['198.51.100.0/24', '198.51.100.0/28', '198.51.100.0', '198.51.100.16']) {
      decisions.order({ target: prefix(target), until: null, reason: '', who: 'root@cli' })
    }
    const { lifted, wider } = decisions.allow(allow('198.51.100.0/28'))
    const targets = (list: readonly { target: unknown }[]) => list.map(({ target }) => target)
    expect(targets(lifted)).toEqual([
      { kind: 'prefix', prefix: '198.51.100.0/28' },
      { kind: 'prefix', prefix: '198.51.100.0/32' },
    ])
    expect(targets(wider)).toEqual([{ kind: 'prefix', prefix: '198.51.100.0/24' }])
    expect(
      decisions
        .blocks()
        .flat()
        .map(({ target }) => target),
    ).toEqual(expect.arrayContaining(['198.51.100.0/24', '198.51.100.16/32']))
    expect(decisions.blocks().flat()).toHaveLength(2)
  })

  it('of IPv6 leaves the block of a /64 when one of its addresses is allowed', () => {
    const { decisions } = stage()
    decisions.decide(verdict({ address: '2001:db8::' as Address }))
    const { lifted, wider } = decisions.allow(allow('2001:db8::'))
    expect([lifted, wider.length, decisions.size]).toEqual([[], 1, 1])
  })

  it('says which prefix of the list a target lies in', () => {
    const { decisions } = stage({ allow: ['198.51.0.0/16'] })
    decisions.allow(allow('198.51.100.0/24'))
    const around = (target: string) => decisions.allowedAround({ kind: 'prefix', prefix: prefix(target) })
    expect(around('198.51.100.7')).toBe('198.51.100.0/24')
    expect(around('198.51.100.0/24')).toBe('198.51.100.0/24')
    expect(around('198.51.7.0/24')).toBe('198.51.0.0/16')
    expect(around('198.0.0.0/8')).toBeUndefined()
    expect(around('2001:db8::/32')).toBeUndefined()
    const port = { kind: 'source', address: '198.51.100.7' as Address, port: 5060 } as const
    expect(decisions.allowedAround(port)).toBe('198.51.100.0/24')
  })
})

describe('decisions', () => {
  it('are there again after a restart, newest first, with what remains of their time', () => {
    const journal = memory()
    const first = stage({ journal }).decisions
    first.decide(verdict())
    now = START + 1_000
    first.decide(verdict({ address: '192.0.2.1' as Address }))
    now = START + 30_000
    const second = stage({ journal }).decisions
    expect(second.standing()).toEqual(first.standing())
    expect(second.standing().map(({ since }) => since - START)).toEqual([1_000, 0])
    expect(second.blocks().flat()).toEqual(first.blocks().flat())
  })

  it('stand although the journal cannot take them, and the failure is counted', () => {
    const journal = memory()
    const { decisions } = stage({
      journal: {
        ...journal,
        recordDecision: () => {
          throw new JournalError('full', 'recordDecision', 'the disk is full')
        },
      },
    })
    expect(decisions.decide(verdict())).toMatchObject({ kind: 'made', decision: { id: -1 } })
    expect([decisions.size, decisions.journalFailures]).toEqual([1, 1])
  })

  it('of grade packet make room for a verdict of grade path, the oldest first', () => {
    const { decisions, journal } = stage()
    const forged = (i: number) => verdict({ address: `10.0.${i >> 8}.${i & 255}` as Address })
    const guesser = (i: number) =>
      verdict({
        name: 'lockout',
        scope: 'sip',
        grade: 'path',
        address: `198.51.${i >> 8}.${i & 255}` as Address,
      })
    for (let i = 0; i < 1_000; i++) decisions.decide(forged(i))
    expect(decisions.decide(guesser(0))).toMatchObject({ kind: 'made' })
    expect(decisions.size).toBe(1_000)
    expect(decisions.about('10.0.0.0' as Address)).toEqual([])
    expect(decisions.about('10.0.0.1' as Address)).toHaveLength(1)
    expect(journal.decisionsOf('10.0.0.0' as Address, { limit: 1 })).toMatchObject([
      { endedAt: START, endedBy: 'a verdict of grade path that needed its place' },
    ])
    expect(decisions.decide(forged(2_000))).toEqual({ kind: 'none', why: 'full' })
    for (let i = 1; i < 1_000; i++) expect(decisions.decide(guesser(i))).toMatchObject({ kind: 'made' })
    // None of grade packet is left.
    expect(decisions.decide(guesser(1_000))).toEqual({ kind: 'none', why: 'full' })
    expect([decisions.size, decisions.displaced, decisions.refusedFull]).toEqual([1_000, 1_000, 2])
  })

  it('have a bound, which the operator’s own orders pass', () => {
    const { decisions } = stage()
    for (let i = 0; i < 1_000; i++) {
      decisions.decide(verdict({ address: `10.0.${i >> 8}.${i & 255}` as Address }))
    }
    expect(decisions.decide(verdict())).toEqual({ kind: 'none', why: 'full' })
    expect(decisions.refusedFull).toBe(1)
    decisions.order({ target: prefix('192.0.2.1'), until: null, reason: '', who: 'root@cli' })
    expect(decisions.size).toBe(1_001)
    now = START + 600_000
    expect(decisions.decide(verdict())).toMatchObject({ kind: 'made' })
    expect(decisions.size).toBe(2)
  })

  it('of the operator take no place from verdicts, and end where their own set is full', () => {
    const { decisions } = stage({ orders: 1_500 })
    const address = (i: number) => `10.0.${i >> 8}.${i & 255}`
    for (let i = 0; i < 1_500; i++) {
      expect(decisions.refusalOfOrder(prefix(address(i)))).toBeUndefined()
      decisions.order({ target: prefix(address(i)), until: null, reason: '', who: 'root@cli' })
    }
    expect(decisions.decide(verdict())).toMatchObject({ kind: 'made' })
    expect([decisions.verdictCount, decisions.size, decisions.refusedFull]).toEqual([1, 1_501, 0])
    expect(decisions.refusalOfOrder(prefix('192.0.2.1'))).toBe(
      "192.0.2.1 found no place: 1500 blocks of IPv4 that the operator ordered stand, and the kernel's set holds no more. Take some back, or raise kernel.elements.",
    )
    // One that stands may be ordered anew, and each family has a set of its own.
    expect(decisions.refusalOfOrder(prefix(address(7)))).toBeUndefined()
    expect(decisions.refusalOfOrder(prefix('2001:db8::/32'))).toBeUndefined()
    decisions.lift(prefix(address(7)), 'root@cli')
    expect(decisions.refusalOfOrder(prefix('192.0.2.1'))).toBeUndefined()
  })
})
