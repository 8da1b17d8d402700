import { describe, expect, it } from 'vitest'
import { LearntBindings } from '../../../agent/observe/bindings.ts'
import type { ExchangeEnded, LearntBinding } from '../../../agent/observe/observation.ts'
import { ExchangeTally } from '../../../agent/sensor/exchange-tally.ts'
import type { Address, Prefix, Source } from '../../../registrar/net/address.ts'

const START = 1_700_000_000_000
const HOME: Source = { address: '203.0.113.7' as Address, port: 5071 }
const AWAY: Source = { address: '192.0.2.9' as Address, port: 5060 }

function success(bindings: LearntBinding[], rest: Partial<ExchangeEnded> = {}): ExchangeEnded {
  return {
    kind: 'exchange',
    time: START,
    source: HOME,
    serverPort: 5060,
    transport: 'udp',
    account: '1001@example.com',
    outcome: 'success',
    status: 200,
    answeredIn: 5,
    userAgent: 'phone/1.0',
    bindings,
    grade: 'account',
    withCredentials: true,
    answersItsChallenge: true,
    grantedExpires: Math.max(0, ...bindings.map(({ expires }) => expires)),
    ...rest,
  }
}

const desk: LearntBinding = { contact: 'sip:1001@10.0.0.5:5060', expires: 600, own: true }
const mobile: LearntBinding = { contact: 'sip:1001@192.0.2.9:5060', expires: 300, own: true }
const listed = ({ contact, expires }: LearntBinding): LearntBinding => ({ contact, expires })
const contacts = (bindings: readonly { contact: string }[]) => bindings.map(({ contact }) => contact)

describe('learnt bindings', () => {
  it('are what the 200 lists, with who registered and until when', () => {
    const bindings = new LearntBindings()
    expect(bindings.learn(success([desk]))).toMatchObject({ before: undefined, replaced: [], beside: [] })
    bindings.learn(success([desk], { time: START + 60_000, userAgent: 'phone/1.1' }))
    expect(bindings.of('1001@example.com', START + 60_000)).toEqual([
      {
        account: '1001@example.com',
        contact: desk.contact,
        source: HOME,
        transport: 'udp',
        userAgent: 'phone/1.1',
        registeredAt: START,
        refreshedAt: START + 60_000,
        expiresAt: START + 660_000,
      },
    ])
    expect(bindings.of('1001@example.com', START + 660_000)).toEqual([])
    expect(bindings.list(START + 660_000, { limit: 10 })).toEqual([])
  })

  it('say what a new one replaced, and which stay beside it', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    const beside = bindings.learn(success([listed(desk), mobile], { source: AWAY, time: START + 1 }))
    expect(contacts(beside.beside)).toEqual([desk.contact])
    expect(beside.own).toMatchObject({ contact: mobile.contact, source: AWAY })
    // The other phone's stays what it was.
    expect(bindings.of('1001@example.com', START + 2)[0]).toMatchObject({ source: HOME, registeredAt: START })
    const third = { ...mobile, contact: 'sip:1001@192.0.2.200' }
    const replaced = bindings.learn(success([third], { source: AWAY, time: START + 2 }))
    expect(contacts(replaced.replaced)).toEqual([desk.contact, mobile.contact])
    expect(replaced.removed).toBe(false)
  })

  it('end by their time, by removal of all, and by a 200 that lists them no more', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    bindings.learn(success([listed(desk), mobile], { source: AWAY }))
    const left = bindings.learn(success([listed(mobile)], { grantedExpires: 0, time: START + 1 }))
    expect(left).toMatchObject({ removed: true, own: undefined })
    expect(contacts(left.replaced)).toEqual([desk.contact])
    expect(contacts(bindings.of('1001@example.com', START + 1))).toEqual([mobile.contact])
    bindings.learn(success([], { grantedExpires: 0, time: START + 2 }))
    expect(bindings.size).toBe(0)
  })

  it('find their own contact where the softswitch wrote it anew', () => {
    const bindings = new LearntBindings()
    const seen: LearntBinding = { contact: 'sip:1001@203.0.113.7:5071', expires: 600 }
    bindings.learn(success([seen]))
    const other: LearntBinding = { contact: 'sip:1001@192.0.2.9:5060', expires: 600 }
    // The only new one is that of who registers; and who registered one before refreshes that.
    expect(bindings.learn(success([seen, other], { source: AWAY })).own?.contact).toBe(other.contact)
    expect(bindings.learn(success([seen, other], { source: HOME })).own?.contact).toBe(seen.contact)
  })

  it('name nobody for the contacts of others that were there before', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk, listed(mobile)]))
    expect(
      bindings.of('1001@example.com', START).map(({ source, userAgent }) => [source, userAgent]),
    ).toEqual([
      [HOME, 'phone/1.0'],
      [null, ''],
    ])
  })

  it('stay as they are where a 200 lists nothing that can be read', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    bindings.learn(success([], { grantedExpires: 600, time: START + 1 }))
    expect(contacts(bindings.of('1001@example.com', START + 1))).toEqual([desk.contact])
  })

  it('tell exactly which ports are registered, with a minute of grace', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    expect(bindings.isBoundAt(HOME, START + 659_999)).toBe(true)
    expect(bindings.isBoundAt(HOME, START + 660_000)).toBe(false)
    expect(bindings.isBoundAt({ ...HOME, port: 5072 }, START)).toBe(false)
    bindings.learn(success([], { grantedExpires: 0 }))
    expect(bindings.isBoundAt(HOME, START)).toBe(false)
  })

  it('are bounded: accounts refreshed longest ago go first, and are counted', () => {
    const bindings = new LearntBindings({ capacity: 100 })
    for (let i = 0; i < 250; i++) bindings.learn(success([desk, listed(mobile)], { account: `${i}` }))
    expect(bindings.size).toBe(100)
    expect(bindings.letGo).toBe(400)
    expect(bindings.of('0', START)).toEqual([])
    expect(bindings.of('249', START)).toHaveLength(2)
    expect(bindings.list(START, { limit: 7 })).toHaveLength(7)
    // Those that have run out make room for nothing and are not counted as let go.
    bindings.learn(success([desk], { account: 'late', time: START + 3_600_000 }))
    expect([bindings.size, bindings.letGo]).toEqual([1, 400])
  })

  it('remember a bounded number of ports of one address, its latest', () => {
    const bindings = new LearntBindings()
    for (let port = 1; port <= 5_000; port++)
      bindings.learn(success([desk], { source: { ...HOME, port }, account: `${port}` }))
    expect(bindings.isBoundAt({ ...HOME, port: 1 }, START)).toBe(false)
    expect(bindings.isBoundAt({ ...HOME, port: 5_000 }, START)).toBe(true)
  })

  it('say nothing of a REGISTER that only asked, but for what its answer lists no more', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    bindings.learn(success([listed(desk), mobile], { source: AWAY }))
    const asked = bindings.learn(success([listed(desk)], { source: AWAY, time: START + 1, isQuery: true }))
    expect(asked).toMatchObject({ own: undefined, replaced: [], removed: false })
    expect(bindings.of('1001@example.com', START + 2)).toMatchObject([
      { contact: desk.contact, source: HOME },
    ])
  })

  it('tell who is registered from a prefix, over what and until when', () => {
    const bindings = new LearntBindings()
    bindings.learn(success([desk]))
    bindings.learn(success([mobile], { account: 'other', source: AWAY, transport: 'tcp' }))
    bindings.restorePort({ ...HOME, port: 5072 }, { account: '', until: START + 900_000, now: START })
    const home = '203.0.113.7/32' as Prefix
    expect(bindings.boundIn(home, { now: START, limit: 9 })).toEqual([
      { ...HOME, port: 5072, transport: 'udp', until: START + 900_000 },
      { ...HOME, transport: 'udp', until: START + 600_000 },
    ])
    expect(bindings.boundIn(home, { now: START + 600_000, limit: 9 })).toHaveLength(1)
    expect(bindings.boundIn('192.0.2.0/24' as Prefix, { now: START, limit: 9 })).toMatchObject([
      { transport: 'tcp' },
    ])
  })

  it('are put back from the record after a restart, as they were', () => {
    const before = new LearntBindings()
    const tally = new ExchangeTally()
    const seen = [
      success([desk], { time: START }),
      success([listed(desk), mobile], { time: START + 1_000, source: AWAY, userAgent: 'mobile' }),
      success([desk], { time: START + 2_000, account: 'gone' }),
      success([], { time: START + 3_000, account: 'gone', grantedExpires: 0 }),
      success([desk, listed(mobile)], { time: START + 60_000 }),
    ]
    for (const ended of seen) {
      before.learn(ended)
      tally.add(ended)
    }
    const rows = [...tally.take().exchanges].sort((a, b) => a.last - b.last)
    const after = new LearntBindings()
    after.restore(rows)
    const now = START + 61_000
    expect(new Set(after.list(now, { limit: 9 }))).toEqual(new Set(before.list(now, { limit: 9 })))
    expect(after.isBoundAt(HOME, now)).toBe(true)
    expect(after.of('gone', now)).toEqual([])
  })

  it('are put back without their contacts where only the port is known, until the next 200 says them', () => {
    const bindings = new LearntBindings()
    const restored = { account: '1001@example.com', until: START + 900_000, now: START }
    bindings.restorePort(HOME, restored)
    bindings.restorePort(AWAY, restored)
    expect(bindings.of('1001@example.com', START)).toMatchObject([
      { contact: '', source: HOME, expiresAt: START + 900_000 },
      { contact: '', source: AWAY },
    ])
    const learnt = bindings.learn(success([desk, listed(mobile)], { time: START + 1 }))
    expect(learnt.own).toMatchObject({ contact: desk.contact, source: HOME })
    expect(contacts(bindings.of('1001@example.com', START + 1))).toEqual([desk.contact, mobile.contact])
    expect([bindings.isBoundAt(HOME, START + 2), bindings.isBoundAt(AWAY, START + 2)]).toEqual([true, true])
  })

  it('take nothing for gone that the record had no room for', () => {
    const bindings = new LearntBindings()
    const row = { slot: START, first: START, last: START, count: 1 }
    const { time, answeredIn, kind, ...ended } = success([desk])
    bindings.restore([{ ...ended, ...row }])
    const others = ['a', 'b'].map((name) => ({ contact: `sip:1001@${name}.example.com`, expires: 600 }))
    bindings.restore([{ ...ended, ...row, source: AWAY, bindings: others, last: START + 1 }])
    expect(bindings.of('1001@example.com', START + 2)).toHaveLength(3)
  })
})
