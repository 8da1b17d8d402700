import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Lanes } from '../../../agent/decide/lanes.ts'
import type { LaneEvidence } from '../../../agent/detect/lane-evidence.ts'
import type { Address, Prefix, Source } from '../../../registrar/net/address.ts'
import { type Member, returningTier } from '../../../rules/desired-state.ts'
import { keyOfMember } from '../../../rules/elements.ts'

/** A multiple of every step to which ends are put off. */
const START = 1_699_999_200_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const at = (address: string, port = 5060): Source => ({ address: address as Address, port })
const PHONE = at('203.0.113.7', 5071)

type MemberOf<L extends Member['lane']> = L extends 'proven' | 'answered'
  ? Extract<Member, { port: number }>
  : Extract<Member, { lane: L }>

/** Lanes with a hand to feed them; the clock goes where it is put. */
class Fed {
  now = START
  readonly lanes: Lanes

  constructor({ maxBindings = 10, capacity = 1_000 } = {}) {
    this.lanes = new Lanes({ maxBindings, capacity })
  }

  registered(
    source: Source,
    options: { account?: string; for?: number; transport?: 'udp' | 'tcp' } = {},
  ): void {
    const { account = '1001@example.com', for: lasts = 3_660_000, transport = 'udp' } = options
    this.take({ kind: 'registered', at: this.now, account, source, transport, until: this.now + lasts })
  }

  unregistered(source: Source, account = '1001@example.com'): void {
    this.take({ kind: 'unregistered', at: this.now, account, source, transport: 'udp' })
  }

  answered(source: Source, { own = true } = {}): void {
    this.take({ kind: 'answered', at: this.now, source, own })
  }

  ignoring(source: string): void {
    this.take({ kind: 'ignoring', at: this.now, source: source as Prefix })
  }

  take(evidence: LaneEvidence): void {
    this.lanes.take(evidence, this.now)
  }

  /** Every part is swept once. */
  sweep(): void {
    for (let i = 0; i < 32; i++) this.lanes.sweep(this.now)
  }

  members(): readonly Member[] {
    return this.lanes.parts().flat()
  }

  of<L extends Member['lane']>(lane: L): readonly MemberOf<L>[] {
    return this.members().filter((member) => member.lane === lane) as unknown as MemberOf<L>[]
  }

  ports(): readonly string[] {
    return this.of('proven').map(({ address, port }) => `${address}:${port}`)
  }
}

describe('the proven lane', () => {
  it('has the address and port that registered, and the address returns for a week', () => {
    const fed = new Fed()
    fed.registered(PHONE)
    expect(fed.of('proven')).toEqual([
      // A registration's end is put off to a multiple of at most five minutes.
      { lane: 'proven', ...PHONE, until: START + 65 * MINUTE },
    ])
    expect(fed.of('returning')).toEqual([
      { lane: 'returning', source: '203.0.113.7/32', accounts: 1, until: START + 7 * DAY },
    ])
    fed.now += 70 * MINUTE
    fed.sweep()
    expect(fed.of('proven')).toEqual([])
    expect(fed.of('returning')).toHaveLength(1)
    fed.now += 8 * DAY
    fed.sweep()
    expect(fed.members()).toEqual([])
    expect(fed.lanes.counts()).toMatchObject({ proven: 0, returning: 0 })
  })

  it.each([
    { granted: 60, until: 2 * MINUTE },
    { granted: 180, until: 4 * MINUTE },
    { granted: 100, until: 3 * MINUTE },
    { granted: 130, until: 3.5 * MINUTE },
    { granted: 600, until: 11 * MINUTE },
    { granted: 900, until: 16 * MINUTE },
    { granted: 3_600, until: 65 * MINUTE },
    { granted: 1e9, until: 7 * DAY },
  ])('of $granted seconds granted lasts at least that and a minute', ({ granted, until }) => {
    const fed = new Fed()
    fed.registered(PHONE, { for: granted * 1_000 + MINUTE })
    expect(fed.of('proven')[0]!.until - START).toBe(until)
  })

  it('is left by who removes his bindings, and by nobody who registers from elsewhere', () => {
    const fed = new Fed()
    const mobile = at('198.51.100.9', 40_000)
    fed.registered(PHONE)
    fed.registered(mobile)
    expect(fed.ports()).toHaveLength(2)
    fed.unregistered(at(PHONE.address, 5072))
    fed.unregistered(PHONE, '1002@example.com')
    expect(fed.ports()).toHaveLength(2)
    fed.unregistered(PHONE)
    expect(fed.ports()).toEqual(['198.51.100.9:40000'])
    expect(fed.of('returning')).toHaveLength(2)
  })

  it('keeps a port for as long as one of its accounts is registered', () => {
    const fed = new Fed()
    fed.registered(PHONE, { account: 'a', for: 10 * MINUTE })
    fed.registered(PHONE, { account: 'b', for: 61 * MINUTE })
    expect(fed.of('proven')[0]!.until).toBe(START + 65 * MINUTE)
    fed.unregistered(PHONE, 'b')
    expect(fed.of('proven')[0]!.until).toBe(START + 10 * MINUTE)
    fed.unregistered(PHONE, 'a')
    expect(fed.of('proven')).toEqual([])
  })

  it('lets an account’s own oldest go where it has too many', () => {
    const fed = new Fed({ maxBindings: 3 })
    fed.registered(at('192.0.2.1'), { account: 'other' })
    for (let port = 1; port <= 3; port++) fed.registered(at('203.0.113.7', port))
    fed.registered(at('203.0.113.7', 1))
    fed.registered(at('203.0.113.7', 4))
    expect([...fed.ports()].sort()).toEqual([
      '192.0.2.1:5060',
      '203.0.113.7:1',
      '203.0.113.7:3',
      '203.0.113.7:4',
    ])
    expect(fed.lanes.counts().letGo).toMatchObject({ provenOfAccount: 1, provenOfAll: 0 })
  })

  it('lets one of whoever has most go where there are too many in all', () => {
    const fed = new Fed({ maxBindings: 10, capacity: 10 })
    for (let i = 0; i < 6; i++) fed.registered(at('192.0.2.1', 1_000 + i), { account: `one-${i}` })
    for (let port = 1; port <= 9; port++) fed.registered(at('203.0.113.7', port), { account: 'many' })
    const ports = fed.ports()
    expect(ports.filter((port) => port.startsWith('192.0.2.1'))).toHaveLength(6)
    expect(ports.filter((port) => port.startsWith('203.0.113.7'))).toHaveLength(4)
    expect(fed.lanes.counts().letGo.provenOfAll).toBe(5)
  })

  it('has no port of TCP, whose address returns', () => {
    const fed = new Fed()
    fed.registered(PHONE, { transport: 'tcp' })
    expect(fed.members().map(({ lane }) => lane)).toEqual(['returning'])
  })
})

describe('the returning lane', () => {
  it('counts the accounts behind an address or an IPv6 /64, of the last days', () => {
    const fed = new Fed()
    for (let i = 0; i < 7; i++) fed.registered(at('203.0.113.7', 1_000 + i), { account: `a${i}` })
    fed.registered(at('203.0.113.7', 1_000), { account: 'a0' })
    for (let i = 0; i < 3; i++) fed.registered(at(`2001:db8:1:2::${i + 1}`), { account: `b${i}` })
    const accounts = () => fed.of('returning').map(({ source, accounts: number }) => [source, number])
    expect(accounts()).toEqual(
      expect.arrayContaining([
        ['203.0.113.7/32', 7],
        ['2001:db8:1:2::/64', 3],
      ]),
    )
    // An office that moved away leaves its bucket behind after a week at most.
    for (let i = 0; i < 4; i++) {
      fed.now += 2 * DAY
      fed.registered(at('203.0.113.7', 1_000), { account: 'a0' })
    }
    expect(accounts()).toContainEqual(['203.0.113.7/32', 1])
  })

  it('is not written anew by a phone that registers every minute', () => {
    const fed = new Fed()
    fed.now += 1
    fed.registered(PHONE)
    const [before] = fed.of('returning')
    for (let i = 0; i < 59; i++) {
      fed.now += MINUTE
      fed.registered(PHONE)
    }
    expect(fed.of('returning')[0]).toBe(before)
    fed.now += 2 * MINUTE
    fed.registered(PHONE)
    expect(fed.of('returning')[0]!.until).toBe(before!.until + HOUR)
  })

  it('has so many addresses of one account, and never pushes out those of another', () => {
    const fed = new Fed()
    fed.registered(at('192.0.2.1'), { account: 'other' })
    for (let i = 0; i < 40; i++) fed.registered(at(`203.0.113.${i}`))
    expect(fed.of('returning')).toHaveLength(33)
    expect(fed.of('returning').map(({ source }) => source)).toContain('192.0.2.1/32')
    expect(fed.lanes.counts().letGo.returning).toBe(8)
  })
})

describe('the answered lane', () => {
  it('has whoever answered a challenge within the last minute, and not who is proven', () => {
    const fed = new Fed()
    fed.answered(PHONE)
    expect(fed.members()).toEqual([{ lane: 'answered', ...PHONE, until: START + MINUTE }])
    fed.registered(PHONE)
    expect(fed.of('answered')).toEqual([])
    fed.answered(PHONE)
    expect(fed.of('answered')).toEqual([])
    fed.answered(at('192.0.2.1'))
    fed.now += 2 * MINUTE
    fed.sweep()
    expect(fed.of('answered')).toEqual([])
    expect(fed.lanes.counts().answered).toBe(0)
  })

  it('has at most 32 ports of one address, and the latest of those', () => {
    const fed = new Fed({ capacity: 100_000 })
    fed.answered(at('192.0.2.1'))
    for (let port = 1; port <= 100; port++)
      fed.answered(PHONE.port === port ? PHONE : at(PHONE.address, port))
    const ports = fed.of('answered').filter(({ address }) => address === PHONE.address)
    expect(ports.map(({ port }) => port).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 32 }, (_, i) => 69 + i),
    )
    expect(fed.of('answered')).toHaveLength(33)
    expect(fed.lanes.counts().letGo.answered).toBe(68)
  })

  it('has at most a thousand who answered over a nonce that others were given too', () => {
    const fed = new Fed({ capacity: 100_000 })
    fed.answered(at('192.0.2.1'), { own: true })
    for (let i = 0; i < 1_500; i++) fed.answered(at(`10.0.${i >> 8}.${i & 255}`), { own: false })
    expect(fed.of('answered')).toHaveLength(1_001)
    expect(fed.of('answered').map(({ address }) => address)).toContain('192.0.2.1')
    expect(fed.lanes.counts().letGo.answered).toBe(500)
  })
})

describe('the ignoring lane', () => {
  it('is left by whoever answers or registers, and is not for who returns', () => {
    const fed = new Fed()
    fed.ignoring('203.0.113.7/32')
    fed.ignoring('2001:db8:1:2::/64')
    expect(fed.members()).toHaveLength(2)
    expect(fed.of('ignoring')[0]).toMatchObject({ until: START + 5 * MINUTE })
    fed.answered(at('203.0.113.7', 9))
    fed.registered(at('2001:db8:1:2::9'))
    expect(fed.of('ignoring')).toEqual([])
    fed.ignoring('2001:db8:1:2::/64')
    expect(fed.of('ignoring')).toEqual([])
    fed.ignoring('192.0.2.1/32')
    fed.now += 6 * MINUTE
    fed.sweep()
    expect(fed.of('ignoring')).toEqual([])
  })
})

describe('what outlives a restart', () => {
  it('is told as it changes, and is there again', () => {
    const fed = new Fed({ maxBindings: 2 })
    fed.registered(PHONE, { account: 'a' })
    fed.registered(PHONE, { account: 'b' })
    fed.registered(at('203.0.113.7', 9), { account: 'a' })
    fed.answered(at('192.0.2.99'))
    const first = fed.lanes.takeChanges()
    expect(first.proven.map(({ account, port }) => [account, port])).toEqual([
      ['a', 5071],
      ['b', 5071],
      ['a', 9],
    ])
    expect(first.unproven).toEqual([])
    fed.registered(at('203.0.113.7', 10), { account: 'a' })
    fed.unregistered(PHONE, 'b')
    fed.registered(at('203.0.113.7', 10), { account: 'a' })
    const second = fed.lanes.takeChanges()
    expect(second.proven.map(({ account, port }) => [account, port])).toEqual([['a', 10]])
    expect(second.unproven.map(({ account, port }) => [account, port])).toEqual([
      ['a', 5071],
      ['b', 5071],
    ])
    expect(fed.lanes.takeChanges()).toEqual({ proven: [], unproven: [], returning: [] })

    const again = new Fed({ maxBindings: 2 })
    const kept = [...first.proven, ...second.proven].filter(
      ({ account, port }) => !second.unproven.some((gone) => gone.account === account && gone.port === port),
    )
    const over = { account: 'z', address: PHONE.address, port: 1, until: START }
    again.lanes.restore({ proven: [over, ...kept], returning: first.returning }, START)
    const lasting = fed.members().filter(({ lane }) => lane !== 'answered')
    expect(new Set(again.members())).toEqual(new Set(lasting))
    expect(again.lanes.takeChanges()).toEqual({ proven: [], unproven: [], returning: [] })
  })
})

describe('a returning address whose ports fail as no phones do', () => {
  const office = at('203.0.113.60', 2_000)
  const source = '203.0.113.60/32' as Prefix
  const keys = (fed: Fed) => fed.of('returning').map(keyOfMember)

  it('has the smallest bucket until that is over, and no ports apart over nonces that all are given', () => {
    const fed = new Fed()
    for (let i = 0; i < 60; i++) fed.registered({ ...office, port: 2_000 + i }, { account: `a${i}` })
    expect(keys(fed)).toEqual([`rf-ret34 ${office.address}`])
    fed.take({ kind: 'guessing', at: START, source, until: START + 3 * MINUTE })
    expect(keys(fed)).toEqual([`rf-ret14 ${office.address}`])
    fed.answered({ ...office, port: 9_000 }, { own: false })
    fed.answered({ ...office, port: 9_001 }, { own: true })
    expect(fed.of('answered').map(({ port }) => port)).toEqual([9_001])
    // Registrations go on, and its ports are served as ever.
    fed.now += 2 * MINUTE
    fed.registered(office, { account: 'a0' })
    expect(keys(fed)).toEqual([`rf-ret14 ${office.address}`])
    expect(fed.of('proven')).toHaveLength(60)
    fed.now += 2 * MINUTE
    fed.lanes.sweep(fed.now)
    expect(keys(fed)).toEqual([`rf-ret34 ${office.address}`])
    fed.answered({ ...office, port: 9_002 }, { own: false })
    expect(fed.of('answered').map(({ port }) => port)).toEqual([9_001, 9_002])
  })

  it('keeps its bucket where it is an aggregator, or nobody registered there', () => {
    const fed = new Fed()
    for (let i = 0; i < 20; i++) fed.registered(office, { account: `a${i}` })
    fed.take({ kind: 'guessing', at: START, source, until: START + MINUTE })
    expect(keys(fed)).toEqual([`rf-ret34 ${office.address}`])
    fed.take({ kind: 'guessing', at: START, source: '198.51.100.1/32' as Prefix, until: START + MINUTE })
    expect(fed.of('returning')).toHaveLength(1)
  })

  it('may be any of thousands, which have an end', () => {
    const fed = new Fed({ capacity: 10_000 })
    for (let i = 0; i < 5_000; i++) {
      const address = `10.1.${i >> 8}.${i & 255}`
      for (let n = 0; n < 6; n++) fed.registered(at(address, 1_000 + n), { account: `${i} ${n}` })
      fed.take({ kind: 'guessing', at: START, source: `${address}/32` as Prefix, until: START + HOUR })
    }
    expect(fed.of('returning').filter(({ slowedUntil }) => slowedUntil !== undefined)).toHaveLength(4_096)
  })
})

describe('an aggregator', () => {
  const tiers = (fed: Fed) => fed.of('returning').map(({ accounts }) => returningTier(accounts))
  const trunk = at('203.0.113.50', 5060)

  it('is in the largest class as soon as it is one: ten accounts, several of them at one port', () => {
    const fed = new Fed()
    for (let i = 0; i < 9; i++) fed.registered(trunk, { account: `a${i}` })
    expect(tiers(fed)).toEqual([2])
    fed.registered(trunk, { account: 'a9' })
    expect(tiers(fed)).toEqual([3])
    expect(fed.lanes.takeChanges().returning).toMatchObject([{ accounts: 10 }])
  })

  it('is none where each phone of an office has a port of its own', () => {
    const fed = new Fed()
    for (let i = 0; i < 30; i++) fed.registered(at('203.0.113.60', 2_000 + i), { account: `a${i}` })
    expect(tiers(fed)).toEqual([2])
  })

  it('is in that class again after a restart, and until the same moment', () => {
    const fed = new Fed()
    for (let i = 0; i < 20; i++) fed.registered(trunk, { account: `a${i}` })
    const { proven, returning } = fed.lanes.takeChanges()
    const [before] = fed.of('returning')
    const again = new Fed()
    again.now += HOUR / 2
    again.lanes.restore({ proven, returning }, again.now)
    expect(tiers(again)).toEqual([3])
    expect(again.of('returning')[0]!.until).toBe(before!.until)
  })
})

describe('bounds', () => {
  it('that are lowered let go of what is over them', () => {
    const fed = new Fed()
    for (let i = 0; i < 5; i++) fed.registered(at('203.0.113.7', 1_000 + i))
    for (let i = 0; i < 5; i++) fed.registered(at(`192.0.2.${i}`), { account: `a${i}` })
    fed.lanes.configure({ maxBindings: 2, capacity: 4 })
    expect(fed.of('proven')).toHaveLength(4)
    expect(fed.of('returning')).toHaveLength(4)
  })

  const ACCOUNTS = ['a', 'b', 'c', 'd', 'e']
  const evidence = fc.record({
    kind: fc.constantFrom(
      'registered',
      'registered',
      'registered',
      'unregistered',
      'answered',
      'ignoring',
      'wait',
    ),
    account: fc.constantFrom(...ACCOUNTS),
    address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1'),
    port: fc.integer({ min: 1, max: 8 }),
    // Ends that need not be put off.
    seconds: fc.integer({ min: 1, max: 6 }).map((number) => number * 600),
  })

  interface Seen {
    readonly kind: string
    readonly account: string
    readonly address: string
    readonly port: number
    readonly seconds: number
  }

  function feed(fed: Fed, { kind, account, address, port, seconds }: Seen): void {
    if (kind === 'registered') fed.registered(at(address, port), { account, for: seconds * 1_000 })
    else if (kind === 'unregistered') fed.unregistered(at(address, port), account)
    else if (kind === 'answered') fed.answered(at(address, port))
    else if (kind === 'ignoring') fed.ignoring(address.includes(':') ? '2001:db8::/64' : `${address}/32`)
    else {
      fed.now += seconds * 1_000
      fed.sweep()
    }
  }

  it('hold for whatever is seen: no account has more than its share, none loses one to another', () => {
    fc.assert(
      fc.property(
        fc.array(evidence, { maxLength: 80 }),
        fc.integer({ min: 1, max: 4 }),
        (seen, maxBindings) => {
          const fed = new Fed({ maxBindings, capacity: 1_000 })
          /** The same by the simplest means: an account's ports with their ends, oldest first. */
          const model = new Map<string, Map<string, number>>(ACCOUNTS.map((account) => [account, new Map()]))
          for (const each of seen) {
            feed(fed, each)
            const own = model.get(each.account)!
            const key = `${each.address}:${each.port}`
            if (each.kind === 'registered') {
              own.delete(key)
              own.set(key, fed.now + each.seconds * 1_000)
              if (own.size > maxBindings) own.delete(own.keys().next().value!)
            } else if (each.kind === 'unregistered') own.delete(key)
            else if (each.kind === 'wait') {
              for (const ports of model.values())
                for (const [port, until] of ports) if (until <= fed.now) ports.delete(port)
            }
            const wanted = new Set([...model.values()].flatMap((ports) => [...ports.keys()]))
            expect(new Set(fed.ports())).toEqual(wanted)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('hold in all, and then who has few loses none while somebody has more', () => {
    fc.assert(
      fc.property(fc.array(evidence, { maxLength: 60 }), fc.integer({ min: 5, max: 9 }), (seen, capacity) => {
        const fed = new Fed({ maxBindings: 8, capacity })
        for (const each of seen.filter(({ kind }) => kind !== 'wait')) {
          feed(fed, each)
          expect(fed.of('proven').length).toBeLessThanOrEqual(capacity)
        }
        // Five accounts in at least five places: nobody is pushed out altogether by the others.
        const fresh = new Fed({ maxBindings: 8, capacity })
        for (const account of ACCOUNTS)
          fresh.registered(at('192.0.2.9', 1 + ACCOUNTS.indexOf(account)), { account })
        const first = new Set(fresh.ports())
        for (let port = 100; port < 120; port++) fresh.registered(at('192.0.2.1', port), { account: 'a' })
        const left = fresh.ports().filter((port) => first.has(port))
        expect(left.length).toBeGreaterThanOrEqual(4)
      }),
      { numRuns: 100 },
    )
  })

  it('parts that did not change are the same arrays, and those that did are new ones', () => {
    fc.assert(
      fc.property(fc.array(evidence, { minLength: 1, maxLength: 60 }), (seen) => {
        const fed = new Fed()
        let before = fed.lanes.parts()
        let texts = before.map((part) => JSON.stringify(part))
        for (const each of seen) {
          feed(fed, each)
          const after = fed.lanes.parts()
          expect(after).toHaveLength(256)
          const changed = after.filter((part, i) => JSON.stringify(part) !== texts[i])
          const replaced = after.filter((part, i) => part !== before[i])
          for (const part of changed) expect(replaced).toContain(part)
          // One piece of evidence touches a port, its address, and what that had before.
          if (each.kind !== 'wait') expect(replaced.length).toBeLessThanOrEqual(5)
          expect(fed.lanes.parts()).toBe(after)
          before = after
          texts = after.map((part) => JSON.stringify(part))
        }
      }),
      { numRuns: 100 },
    )
  })

  it('stay cheap: twenty thousand phones, and one more', () => {
    const fed = new Fed({ capacity: 200_000 })
    for (let i = 0; i < 20_000; i++) {
      fed.registered(at(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`), { account: `a${i}` })
    }
    const before = fed.lanes.parts()
    fed.registered(PHONE)
    const after = fed.lanes.parts()
    expect(after.filter((part, i) => part !== before[i]).length).toBeLessThanOrEqual(2)
    expect(fed.lanes.counts()).toMatchObject({ proven: 20_001, returning: 20_001 })
  })
})
