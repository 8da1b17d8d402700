import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hashPassword } from '../../registrar/digest.ts'
import type { Answer, FromRegistrar, Question } from '../../registrar/messages.ts'
import { type Address, type Prefix, parseAddress } from '../../registrar/net/address.ts'
import type { RegistrarSettings } from '../../registrar/open-registrar.ts'
import { RegistrarProcess } from '../../registrar/registrar-process.ts'
import { type Phone, udpPhone, until } from './clients.ts'

type Said<T extends FromRegistrar['type']> = Extract<FromRegistrar, { type: T }>

let directory: string
const ends: (() => unknown)[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringfence-registrar-'))
  ends.push(() => rmSync(directory, { recursive: true, force: true }))
})
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** The process without a process: what its parent would hear, in order. */
class Parent {
  readonly heard: FromRegistrar[] = []
  readonly child = new RegistrarProcess({ send: (message) => this.heard.push(structuredClone(message)) })
  #id = 0

  async start(more: Partial<RegistrarSettings> = {}): Promise<boolean> {
    ends.push(() => this.child.stop())
    const settings: RegistrarSettings = {
      realm: 'ringfence',
      listen: [{ host: parseAddress('127.0.0.1') as Address, port: 0 }],
      minExpires: 60,
      maxExpires: 3_600,
      maxBindings: 10,
      registerReplace: true,
      accounts: [{ user: '1001', password: 'secret' }],
      policy: {
        registerRetry: 3,
        registerSuspend: true,
        registerSuspendTime: 180,
        block: { failures: 5, within: 600, for: 3_600 },
      },
      directory,
      ...more,
    }
    return this.child.take({ type: 'start', settings: structuredClone(settings) })
  }

  async ask(question: Question): Promise<Answer> {
    const id = ++this.#id
    await this.child.take({ type: 'ask', id, question })
    const answer = this.all('answer').find((message) => message.id === id)
    if (!answer) throw new Error('no answer')
    return answer.answer
  }

  all<T extends FromRegistrar['type']>(type: T): Said<T>[] {
    return this.heard.filter((message): message is Said<T> => message.type === type)
  }

  async phone(): Promise<Phone> {
    const phone = await udpPhone(this.all('ready')[0]!.listening[0]!)
    ends.push(() => phone.close())
    return phone
  }
}

describe('RegistrarProcess', () => {
  it('says where it listens, and counts by the second', async () => {
    const parent = new Parent()
    expect(await parent.start()).toBe(true)
    expect(parent.heard).toEqual([
      {
        type: 'ready',
        listening: [{ host: '127.0.0.1', port: expect.any(Number) }],
        accounts: 1,
        bindings: 0,
      },
    ])
    expect((await (await parent.phone()).register()).status).toBe(200)
    await until(() => parent.all('counts').some(({ counts }) => counts.successes > 0), 'the counts')
    const sum = parent.all('counts').reduce((total, { counts }) => total + counts.registers, 0)
    expect(sum).toBe(2)
    expect(parent.all('counts').at(-1)).toMatchObject({
      bindings: 1,
      accounts: 1,
      connections: 0,
      omitted: 0,
    })
  })

  it('says new and removed bindings in batches, and only counts refreshes', async () => {
    const parent = new Parent()
    await parent.start()
    const phone = await parent.phone()
    for (const cseq of [1, 3, 5]) await phone.register({ callId: 'a', cseq })
    await phone.register({ callId: 'a', cseq: 7, expires: '0' })
    await until(() => parent.all('bindings').at(-1)?.total === 0, 'the bindings')
    const said = parent.all('bindings')
    expect(said.flatMap(({ changes }) => changes)).toMatchObject([
      {
        change: 'added',
        binding: {
          user: '1001',
          aor: '1001@ringfence',
          source: { address: '127.0.0.1', port: phone.port },
          transport: 'udp',
        },
      },
      { change: 'unregistered' },
    ])
    expect(said.reduce((sum, { refreshed }) => sum + refreshed, 0)).toBe(2)
  })

  it('says suspensions and lockouts at once, and takes them back', async () => {
    const parent = new Parent()
    await parent.start()
    const phone = await parent.phone()
    const guess = (user: string) => phone.register({ user }, { password: 'wrong' })
    for (let i = 0; i < 3; i++) await guess('1001')
    expect(parent.all('suspended')).toMatchObject([
      {
        suspension: { account: '1001', source: { port: phone.port }, grade: 'path' },
        userAgent: 'test phone',
      },
    ])
    for (const user of ['a', 'b']) await guess(user)
    expect(parent.all('locked-out')).toMatchObject([{ lockout: { prefix: '127.0.0.1/32', scope: 'sip' } }])
    const prefix = '127.0.0.1/32' as Prefix
    expect(await parent.ask({ kind: 'release', prefix })).toEqual({
      kind: 'released',
      suspensions: 1,
      lockouts: 1,
    })
    expect((await phone.register()).status).toBe(200)
  })

  it('adds, lists and removes accounts, and their bindings with them', async () => {
    const parent = new Parent()
    await parent.start()
    expect(await parent.ask({ kind: 'add-account', aor: '1002@ringfence', password: 'geheim' })).toEqual({
      kind: 'account',
      account: { user: '1002', aor: '1002@ringfence', origin: 'added', bindings: 0 },
      ha1: hashPassword({ user: '1002', realm: 'ringfence', password: 'geheim' }),
    })
    const phone = await parent.phone()
    expect((await phone.register({ user: '1002' }, { password: 'geheim' })).status).toBe(200)
    expect(await parent.ask({ kind: 'accounts' })).toEqual({
      kind: 'accounts',
      accounts: [
        { user: '1001', aor: '1001@ringfence', origin: 'configuration', bindings: 0 },
        { user: '1002', aor: '1002@ringfence', origin: 'added', bindings: 1 },
      ],
    })
    expect(await parent.ask({ kind: 'remove-account', aor: '1001' })).toMatchObject({ refusal: 'configured' })
    expect(await parent.ask({ kind: 'remove-account', aor: '1002' })).toMatchObject({ kind: 'account' })
    expect(await parent.ask({ kind: 'bindings' })).toEqual({ kind: 'bindings', bindings: [], total: 0 })
    await until(
      () => parent.all('bindings').some(({ changes }) => changes.at(-1)?.change === 'account-removed'),
      'it',
    )
    expect((await phone.register({ user: '1002' }, { password: 'geheim' })).status).toBe(403)
  })

  it('changes the policy while it runs', async () => {
    const parent = new Parent()
    await parent.start()
    const block = { failures: 100, within: 600, for: 60 }
    const policy = { registerRetry: 1, registerSuspend: true, registerSuspendTime: 900, block }
    expect(await parent.ask({ kind: 'set-policy', policy })).toEqual({ kind: 'policy-set' })
    await (await parent.phone()).register({}, { password: 'wrong' })
    expect(parent.all('suspended')).toHaveLength(1)
  })

  it('brings accounts and bindings back after a restart', async () => {
    const [first, second] = [new Parent(), new Parent()]
    await first.start()
    await first.ask({ kind: 'add-account', aor: '1002', password: 'geheim' })
    const phone = await first.phone()
    await phone.register()
    await phone.register({ user: '1002' }, { password: 'geheim' })
    const before = await first.ask({ kind: 'bindings' })
    expect(await first.child.take({ type: 'stop' })).toBe(false)
    await second.start()
    expect(second.all('ready')).toMatchObject([{ accounts: 2, bindings: 2 }])
    expect(await second.ask({ kind: 'bindings' })).toEqual(before)
    expect(await second.ask({ kind: 'bindings', user: '1002', limit: 1 })).toMatchObject({ total: 1 })
    expect(await second.ask({ kind: 'bindings', offset: 1 })).toMatchObject({
      bindings: [{ user: '1002' }],
      total: 2,
    })
  })

  it('leaves the keeping of accounts to a parent that wants it', async () => {
    const parent = new Parent()
    const ha1 = hashPassword({ user: '1003', realm: 'ringfence', password: 'p' })
    await parent.start({ added: [{ user: '1003', realm: 'ringfence', ha1 }], directory: null })
    expect((await (await parent.phone()).register({ user: '1003' }, { password: 'p' })).status).toBe(200)
  })

  it.each([
    ['a port in use', async (p: Parent) => ({ listen: p.all('ready')[0]!.listening }), 'port-in-use'],
    ['a realm that would break a header', async () => ({ realm: 'a"b' }), 'bad-settings'],
    [
      'accounts that cannot be read',
      async () => {
        writeFileSync(join(directory, 'accounts.json'), '{')
        return {}
      },
      'data',
    ],
  ])('says why it cannot start: %s', async (_, prepare, code) => {
    const [other, parent] = [new Parent(), new Parent()]
    await other.start({ directory: null })
    expect(await parent.start(await prepare(other))).toBe(false)
    expect(parent.heard).toEqual([{ type: 'failed', code, message: expect.stringMatching(/\w/) }])
    expect(await parent.ask({ kind: 'stats' })).toMatchObject({ kind: 'refused', refusal: 'not-started' })
  })
})
