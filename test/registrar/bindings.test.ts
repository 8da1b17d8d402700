import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type BindingStore,
  contactKey,
  type RegisterOrder,
  type WantedContact,
} from '../../registrar/binding.ts'
import { BindingJournal } from '../../registrar/binding-journal.ts'
import { type BindingSettings, Bindings } from '../../registrar/bindings.ts'
import { ExpiryWheel, type Timed } from '../../registrar/expiry-wheel.ts'
import { type Address, parseAddress } from '../../registrar/net/address.ts'
import { readUri } from '../../registrar/sip/read-uri.ts'

const T = 1_700_000_000_000
const SOURCE = { address: parseAddress('192.0.2.1') as Address, port: 5060 }

function keyFor(text: string): string {
  const uri = readUri(text)
  if (!uri.ok) throw new Error(text)
  return contactKey(uri.value)
}

function contact(name: string, expires?: number, instance: string | null = null): WantedContact {
  const uri = `sip:${name}@192.0.2.1`
  return { uri, key: keyFor(uri), q: 1, instance, expires }
}

function order(cseq: number, wish: RegisterOrder['wish'] | WantedContact[], callId = 'call'): RegisterOrder {
  const read = Array.isArray(wish) ? ({ kind: 'set', contacts: wish } as const) : wish
  return { user: '1001', callId, cseq, source: SOURCE, transport: 'udp', userAgent: '', wish: read }
}

const SETTINGS: BindingSettings = {
  minExpires: 60,
  maxExpires: 3_600,
  maxBindings: 10,
  registerReplace: true,
}

function tableWith(
  settings: Partial<BindingSettings> = {},
  more: { capacity?: number; store?: BindingStore } = {},
) {
  return new Bindings({ settings: { ...SETTINGS, ...settings }, ...more })
}

const names = (table: Bindings, now = T) =>
  table
    .of('1001', now)
    .map((b) => b.contact.slice(4, -10))
    .sort()

describe('Bindings.register', () => {
  it.each([
    ['as long as is asked for', 120, 120],
    ['no longer than the longest', 100_000, 3_600],
    ['an hour where nothing is asked for', undefined, 3_600],
  ])('grants %s', (_, asked, granted) => {
    const table = tableWith()
    table.register(order(1, [contact('a', asked)]), T)
    expect(table.of('1001', T)[0]?.expiresAt).toBe(T + granted * 1000)
  })

  it.each([
    ['a later request of the same call', 'call', 2, 'done', 1],
    ['the very same request again, which changes nothing', 'call', 1, 'done', 0],
    ['an older request that comes late', 'call', 0, 'out-of-order', 0],
    ['any request of another call', 'other', 0, 'done', 1],
  ] as const)('%s', (_, callId, cseq, kind, changed) => {
    const table = tableWith()
    table.register(order(1, [contact('a')]), T)
    const result = table.register(order(cseq, [contact('a')], callId), T + 1)
    expect(result.kind).toBe(kind)
    expect(result.kind === 'done' ? result.changes.length : 0).toBe(changed)
    expect(table.of('1001', T + 1)[0]?.refreshedAt).toBe(changed ? T + 1 : T)
  })

  it('removes all with *, but not what a later request of the same call put in', () => {
    const table = tableWith()
    table.register(order(5, [contact('a')]), T)
    expect(table.register(order(4, { kind: 'remove-all' }), T).kind).toBe('out-of-order')
    expect(names(table)).toEqual(['a'])
    expect(table.register(order(6, { kind: 'remove-all' }), T)).toMatchObject({
      kind: 'done',
      bindings: [],
      changes: [{ kind: 'removed', cause: 'unregistered' }],
    })
    expect(table.size).toBe(0)
  })

  it('does all of a request or nothing', () => {
    const table = tableWith()
    expect(table.register(order(1, [contact('a'), contact('b', 1)]), T)).toEqual({
      kind: 'too-brief',
      minExpires: 60,
    })
    expect(names(table)).toEqual([])
  })

  it('lets the account’s oldest binding go for a new one', () => {
    const table = tableWith({ maxBindings: 2 })
    for (const [i, name] of ['a', 'b', 'c'].entries()) table.register(order(1, [contact(name)], name), T + i)
    expect(names(table)).toEqual(['b', 'c'])
    expect(table.size).toBe(2)
  })

  it('or refuses the new one', () => {
    const table = tableWith({ maxBindings: 2, registerReplace: false })
    const results = ['a', 'b', 'c', 'a'].map(
      (name, i) => table.register(order(i, [contact(name)], name), T).kind,
    )
    expect(results).toEqual(['done', 'done', 'too-many', 'done'])
    expect(names(table)).toEqual(['a', 'b'])
  })

  it.each([true, false])(
    'refuses one request with too many contacts (registerReplace %s)',
    (registerReplace) => {
      const table = tableWith({ maxBindings: 2, registerReplace })
      expect(
        table.register(
          order(
            1,
            ['a', 'b', 'c'].map((name) => contact(name)),
          ),
          T,
        ).kind,
      ).toBe('too-many')
      expect(table.size).toBe(0)
    },
  )

  it('knows a phone that comes back under another contact by its instance', () => {
    const table = tableWith()
    table.register(order(1, [contact('old', 60, '<urn:uuid:1>')], 'a'), T)
    table.register(order(1, [contact('new', 60, '<urn:uuid:1>')], 'b'), T)
    expect(names(table)).toEqual(['new'])
  })

  it('holds no more than its capacity', () => {
    const table = tableWith({}, { capacity: 1 })
    expect(table.register(order(1, [contact('a')]), T).kind).toBe('done')
    expect(table.register({ ...order(1, [contact('a')]), user: '1002' }, T).kind).toBe('full')
    expect(table.register(order(2, [contact('a')]), T).kind).toBe('done')
  })

  it('takes what has expired for gone, swept or not', () => {
    const table = tableWith({ maxBindings: 1, registerReplace: false })
    table.register(order(1, [contact('a', 60)]), T)
    expect(table.isAt({ user: '1001', source: SOURCE, now: T + 59_999 })).toBe(true)
    expect(table.isAt({ user: '1001', source: SOURCE, now: T + 60_000 })).toBe(false)
    const result = table.register(order(1, [contact('b')], 'other'), T + 60_000)
    expect(result).toMatchObject({ changes: [{ kind: 'removed', cause: 'expired' }, { kind: 'added' }] })
    expect([table.size, table.expire(T + 61_000)]).toEqual([1, []])
  })
})

describe('Bindings.expire', () => {
  it('removes each binding when its time comes, however often it was refreshed', () => {
    const step = fc.record({
      user: fc.constantFrom('1', '2', '3'),
      name: fc.constantFrom('a', 'b'),
      expires: fc.constantFrom(0, 60, 61, 90, 3_600),
      gap: fc.integer({ min: 0, max: 50_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const table = tableWith()
        const model = new Map<string, number>()
        let now = T
        steps.forEach(({ user, name, expires, gap }, i) => {
          now += gap
          for (const change of table.expire(now))
            expect(change).toMatchObject({ kind: 'removed', cause: 'expired' })
          table.register({ ...order(i, [contact(name, expires)]), user }, now)
          if (expires === 0) model.delete(user + name)
          else model.set(user + name, now + expires * 1000)
          for (const [key, until] of model) if (until <= now) model.delete(key)
          const live = [...table.list(now)].map((b) => b.user + b.contact[4]).sort()
          expect(live).toEqual([...model.keys()].sort())
        })
        table.expire(now + 3_601_000)
        expect(table.size).toBe(0)
      }),
    )
  })
})

describe('ExpiryWheel', () => {
  it('hands out each thing once, in the second it is due, also after a long sleep', () => {
    const wheel = new ExpiryWheel<Timed & { name: string }>()
    const [a, b, c] = ['a', 'b', 'c'].map((name) => ({ name, dueSecond: undefined as number | undefined }))
    wheel.turn(T)
    wheel.note(a!, T + 1_500)
    wheel.note(a!, T + 9_000)
    wheel.note(b!, T + 5_000)
    wheel.note(b!, T + 3_000)
    wheel.note(c!, T - 5_000)
    wheel.note(c!, T + 1e9)
    const turned = [1_000, 2_000, 3_000, 1e10].map((later) => wheel.turn(T + later).map(({ name }) => name))
    expect(turned).toEqual([['c'], ['a'], ['b'], []])
  })
})

describe('contactKey', () => {
  it.each([
    ['SIP:%61@EXAMPLE.org', 'sip:a@example.org', true],
    ['sip:a@example.org;transport=TCP;ob', 'sip:a@example.org;ob;Transport=tcp', true],
    ['sip:a@example.org', 'sip:a@example.org:5060', false],
    ['sip:a@example.org', 'sips:a@example.org', false],
    ['sip:a@example.org', 'sip:A@example.org', false],
    ['sip:a@example.org;line=1', 'sip:a@example.org;line=2', false],
    ['sip:a@[2001:DB8::1]:5060', 'sip:a@[2001:db8:0::1]:5060', true],
  ])('%s and %s: %s', (a, b, same) => {
    expect(keyFor(a) === keyFor(b)).toBe(same)
  })
})

describe('BindingJournal', () => {
  let folder: string
  let path: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ringfence-journal-'))
    path = join(folder, 'bindings.journal')
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function opened(now = T, isAccount = (_: string) => true) {
    const journal = new BindingJournal(path)
    const table = tableWith({}, { store: journal })
    const restored = table.restore({ now, isAccount })
    return {
      journal,
      table,
      restored,
      flush: () => journal.flush({ size: table.size, list: () => table.list(T) }),
    }
  }

  it('brings bindings back as they were, but not expired, removed or ownerless ones', () => {
    const { table, flush } = opened()
    table.register(order(1, [contact('a', 60), contact('b', 3_600), contact('c', 3_600)]), T)
    flush()
    table.register(order(2, [contact('c', 0)]), T + 1_000)
    table.register({ ...order(1, [contact('x')]), user: 'gone' }, T)
    flush()
    const before = table.of('1001', T + 60_000)
    const again = opened(T + 60_000, (user) => user === '1001')
    expect(again.restored).toBe(1)
    expect(again.table.of('1001', T + 60_000)).toEqual(before)
    expect(again.table.expire(T + 3_600_000)).toHaveLength(1)
  })

  it('passes over a line that was cut short by a crash', () => {
    const { table, flush } = opened()
    table.register(order(1, [contact('a'), contact('b')]), T)
    flush()
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20))
    expect(names(opened().table)).toEqual(['a'])
    writeFileSync(path, '+{"user":1}\nnonsense\n\n+null\n+[]\n')
    expect(opened().restored).toBe(0)
  })

  it('is written anew when most of it has been overtaken', () => {
    const { journal, table, flush } = opened()
    for (let i = 0; i < 12_000; i++) {
      table.register(order(i + 1, [contact('a')]), T + i)
      if (i % 1_000 === 999) flush()
    }
    expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThan(10_100)
    journal.close()
    expect(opened().table.of('1001', T)[0]?.cseq).toBe(12_000)
  })

  it('goes on in memory when it cannot be written, and counts that', () => {
    const { journal, table, flush } = opened()
    journal.close()
    rmSync(folder, { recursive: true })
    table.register(order(1, [contact('a')]), T)
    flush()
    expect([journal.faults, table.size]).toEqual([1, 1])
  })
})
