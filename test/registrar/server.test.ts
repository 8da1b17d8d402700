import { createSocket } from 'node:dgram'
import { createRequire } from 'node:module'
import * as fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { BindingChange } from '../../registrar/binding.ts'
import { type Endpoint, ListenError } from '../../registrar/listen.ts'
import { type Address, parseAddress } from '../../registrar/net/address.ts'
import { openRegistrar } from '../../registrar/open-registrar.ts'
import type { LockedOut, Suspended } from '../../registrar/policy.ts'
import { type Exchange, RegistrarServer, type RegistrarServerOptions } from '../../registrar/server.ts'
import { type Phone, type TcpPhone, tcpPhone, udpPhone, until } from './clients.ts'
import { answerTo, requestText } from './requests.ts'
import { SETTINGS } from './settings.ts'

const V4 = { host: parseAddress('127.0.0.1') as Address, port: 0 }
const V6 = { host: parseAddress('::1') as Address, port: 0 }

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function serve(more: Partial<RegistrarServerOptions> = {}) {
  const { state } = openRegistrar(SETTINGS, Date.now())
  const exchanges: Exchange[] = []
  const suspensions: Suspended[] = []
  const lockouts: LockedOut[] = []
  const changes: BindingChange[] = []
  const faults: unknown[] = []
  const server = new RegistrarServer({
    listen: [V4],
    state,
    onExchange: (exchange) => exchanges.push(exchange),
    onSuspend: (suspension) => suspensions.push(suspension),
    onLockout: (lockout) => lockouts.push(lockout),
    onBindings: (more) => changes.push(...more),
    onFault: (error) => faults.push(error),
    ...more,
  })
  const listening = await server.start()
  ends.push(() => server.stop())
  return {
    server,
    at: listening[0] as Endpoint,
    listening,
    exchanges,
    suspensions,
    lockouts,
    changes,
    faults,
  }
}

async function phones<P extends Phone>(open: (at: Endpoint) => Promise<P>, at: Endpoint): Promise<P> {
  const phone = await open(at)
  ends.push(() => phone.close())
  return phone
}

describe('RegistrarServer', () => {
  it.each([
    ['UDP over IPv4', V4, udpPhone],
    ['TCP over IPv4', V4, tcpPhone],
    ['UDP over IPv6', V6, udpPhone],
    ['TCP over IPv6', V6, tcpPhone],
  ])('registers, refreshes and unregisters a phone: %s', async (_, endpoint, open) => {
    const { server, at, changes } = await serve({ listen: [endpoint] })
    const phone = await phones<Phone>(open, at)
    expect((await phone.register({ callId: 'a' })).status).toBe(200)
    expect(server.bindings()).toMatchObject([
      { user: '1001', source: { address: endpoint.host, port: phone.port } },
    ])
    expect((await phone.register({ callId: 'a', cseq: 3 })).status).toBe(200)
    expect((await phone.register({ callId: 'a', cseq: 5, expires: '0' })).status).toBe(200)
    expect(server.bindings()).toEqual([])
    expect(changes.map(({ kind }) => kind)).toEqual(['added', 'refreshed', 'removed'])
    expect(server.stats().counts).toMatchObject({
      requests: 6,
      registers: 6,
      challenges: 3,
      successes: 3,
      faults: 0,
    })
  })

  it('serves several addresses at once', async () => {
    const { listening } = await serve({ listen: [V4, V6] })
    for (const at of listening) expect((await (await phones(udpPhone, at)).register()).status).toBe(200)
  })

  it('gives a retransmission the same answer, and counts it neither as success nor as failure', async () => {
    const { server, at, exchanges } = await serve()
    const phone = await phones(udpPhone, at)
    phone.send(requestText({}))
    const challenge = await phone.next()
    for (const [password, cseq, status] of [
      ['wrong', 2, 403],
      ['secret', 3, 200],
    ] as const) {
      const nc = `0000000${cseq}`
      const again = requestText({ cseq, authorization: answerTo(challenge, { password, nc }) })
      const answers = []
      for (let i = 0; i < 4; i++) {
        phone.send(again)
        answers.push(await phone.next())
      }
      expect(answers.map((answer) => answer.status)).toEqual(Array(4).fill(status))
      expect(new Set(answers.map((answer) => JSON.stringify(answer.headers))).size).toBe(1)
    }
    expect(exchanges.map(({ outcome }) => outcome.kind)).toEqual(['challenge', 'failure', 'success'])
    expect(server.stats().counts).toMatchObject({ failures: 1, successes: 1, retransmissions: 6 })
  })

  it('suspends a guesser after six wrong passwords, while a phone behind the same address goes on', async () => {
    const { at, suspensions } = await serve()
    const [guesser, phone, owner] = [
      await phones(udpPhone, at),
      await phones(udpPhone, at),
      await phones(udpPhone, at),
    ]
    expect((await owner.register({ callId: 'owner' })).status).toBe(200)
    for (let i = 0; i < 6; i++)
      expect((await guesser.register({}, { password: `guess${i}` })).status).toBe(403)
    expect(suspensions).toEqual([
      expect.objectContaining({ account: '1001', source: { address: '127.0.0.1', port: guesser.port } }),
    ])
    expect((await guesser.register({}, { password: 'secret' })).status).toBe(403)
    expect((await phone.register({ user: '1002' }, { password: 'geheim' })).status).toBe(200)
    expect((await owner.register({ callId: 'owner', cseq: 3 })).status).toBe(200)
  })

  it('locks out who guesses over many accounts, and is silent to him from then on', async () => {
    const { server, at, lockouts } = await serve()
    const guesser = await phones(udpPhone, at)
    for (let i = 0; i < 20; i++) await guesser.register({ user: `user${i}` })
    expect(lockouts).toEqual([expect.objectContaining({ prefix: '127.0.0.1/32', scope: 'sip' })])
    const heard = guesser.heard.length
    guesser.send(requestText({ user: '1001' }))
    await until(() => server.stats().counts.lockedOut === 1, 'the REGISTER to be dropped')
    expect(guesser.heard.length).toBe(heard)
  })

  it('answers a phone behind a NAT where its packet came from, with or without rport', async () => {
    const { at } = await serve()
    const phone = await phones(udpPhone, at)
    for (const via of ['10.0.0.9:5060;rport', '10.0.0.9:5060', '[fd00::9]']) {
      phone.send(requestText({ via: `Via: SIP/2.0/UDP ${via};branch=z9hG4bKnat` }))
      expect((await phone.next()).first('via')).toContain('received=127.0.0.1')
    }
  })

  it('says plainly which port it cannot have', async () => {
    const holder = createSocket('udp4')
    await new Promise<void>((resolve) => holder.bind({ address: '127.0.0.1', port: 0 }, resolve))
    ends.push(() => holder.close())
    const { port } = holder.address()
    const attempt = serve({ listen: [V4, { ...V4, port }] })
    await expect(attempt).rejects.toThrow(ListenError)
    await expect(attempt).rejects.toMatchObject({
      code: 'port-in-use',
      transport: 'udp',
      message: `the registrar cannot listen on UDP 127.0.0.1:${port}: another program holds that port (a softswitch?); stop it or choose another port in registrar.listen`,
    })
  })

  it('says when an address is not here', async () => {
    const host = parseAddress('192.0.2.77') as Address
    await expect(serve({ listen: [{ host, port: 0 }] })).rejects.toMatchObject({ code: 'address-not-here' })
  })

  it('registers npm’s sip, which knows nothing of us', async () => {
    const { at } = await serve()
    const require = createRequire(import.meta.url)
    const sip = require('sip')
    const digest = require('sip/digest')
    const port = 20_000 + (process.pid % 20_000)
    sip.start({ port, address: '127.0.0.1', tcp: false, publicAddress: 'phone.invalid' }, () => {})
    ends.push(() => sip.stop())
    const request = {
      method: 'REGISTER',
      uri: `sip:127.0.0.1:${at.port}`,
      headers: {
        to: { uri: 'sip:1001@127.0.0.1' },
        from: { uri: 'sip:1001@127.0.0.1', params: { tag: 'x' } },
        'call-id': 'npm-sip',
        cseq: { method: 'REGISTER', seq: 1 },
        contact: [{ uri: `sip:1001@127.0.0.1:${port}` }],
      } as Record<string, unknown>,
    }
    const send = () => new Promise<{ status: number }>((resolve) => sip.send(request, resolve))
    const challenge = await send()
    expect(challenge.status).toBe(401)
    digest.signRequest({}, request, challenge, { user: '1001', password: 'secret' })
    request.headers.cseq = { method: 'REGISTER', seq: 2 }
    request.headers.via = undefined
    expect((await send()).status).toBe(200)
  })
})

describe('RegistrarServer under bad input', () => {
  it('survives any bytes in a datagram', async () => {
    const { server, at, faults } = await serve()
    const phone = await phones(udpPhone, at)
    const good = requestText({
      authorization: answerTo('nonce'),
      contact: '"A" <sip:a@b;x=y>;q=0.1;expires=60',
    })
    const mutated = fc
      .tuple(fc.nat(good.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 40 }))
      .map(([at, cut, insert]) => good.slice(0, at) + insert + good.slice(at + cut))
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
      mutated.map((text) => Buffer.from(text)),
    )
    const datagrams = fc.sample(bytes, { numRuns: 1_500, seed: 42 })
    for (const [i, datagram] of datagrams.entries()) {
      phone.send(datagram)
      if (i % 50 === 49)
        await until(() => server.stats().counts.datagrams >= i + 1, 'the datagrams to be read')
    }
    expect(faults).toEqual([])
    expect((await (await phones(udpPhone, at)).register()).status).toBe(200)
  })

  it('never answers a response, a keepalive or what is no SIP', async () => {
    const { server, at } = await serve()
    const phone = await phones(udpPhone, at)
    for (const text of [
      'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n',
      '\r\n\r\n',
      'GET / HTTP/1.1\r\n\r\n',
      'REGISTER sip:a SIP/2.0\r\nVia',
      requestText({ via: 'Via: what' }),
      requestText({ method: 'ACK' }),
    ]) {
      phone.send(text)
    }
    await until(() => server.stats().counts.datagrams === 6, 'the datagrams to be read')
    expect((await phone.register()).status).toBe(200)
    expect(phone.heard).toHaveLength(2)
    expect(server.stats().counts).toMatchObject({ foreign: 2, keepalives: 1, malformed: 1, ignored: 2 })
  })

  it('closes a connection that dribbles, one that only hangs around, and one that talks nonsense', async () => {
    const clock = { now: Date.now() }
    const { server, at } = await serve({ clock: () => clock.now })
    const slow = await phones(tcpPhone, at)
    const silent = await phones(tcpPhone, at)
    const registered = await phones(tcpPhone, at)
    const nonsense = await phones(tcpPhone, at)
    expect((await registered.register()).status).toBe(200)
    slow.send('REGISTER sip:x SIP/2.0\r\n')
    nonsense.send('REGISTER sip:x SIP/2.0\r\nContent-Length: abc\r\n\r\n')
    await until(() => nonsense.stream.destroyed, 'nonsense to be closed')
    clock.now += 11_000
    await until(() => slow.stream.destroyed && silent.stream.destroyed, 'slow and silent ones to be closed')
    expect([registered.stream.destroyed, server.stats().connections]).toEqual([false, 1])
  })

  it('bounds connections: newcomers take the place of strangers, never of registered phones', async () => {
    const { server, at } = await serve({ tcp: { connections: 3 } })
    const registered = await phones(tcpPhone, at)
    await registered.register()
    const strangers: TcpPhone[] = []
    for (let i = 0; i < 6; i++) strangers.push(await phones(tcpPhone, at))
    await until(
      () => strangers.filter(({ stream }) => stream.destroyed).length === 4,
      'four strangers to be closed',
    )
    expect([registered.stream.destroyed, server.stats().connections]).toEqual([false, 3])
  })

  it('bounds connections of one source', async () => {
    const { at, server } = await serve({ tcp: { connectionsPerSource: 2 } })
    const three = [await phones(tcpPhone, at), await phones(tcpPhone, at), await phones(tcpPhone, at)]
    await until(() => three[2]!.stream.destroyed, 'the third to be closed')
    expect(server.stats()).toMatchObject({ connections: 2, counts: { connectionsClosed: 1 } })
  })

  it('answers a TCP ping and takes requests in whatever pieces', async () => {
    const { at } = await serve()
    const phone = await phones(tcpPhone, at)
    let pong = ''
    phone.stream.on('data', (bytes: Buffer) => {
      pong += bytes.toString()
    })
    phone.send('\r\n\r\n')
    await until(() => pong === '\r\n', 'the pong')
    for (const byte of requestText({ method: 'OPTIONS', contact: null })) phone.send(byte)
    expect((await phone.next()).status).toBe(200)
    phone.send(requestText({ cseq: 7 }) + requestText({ cseq: 8 }))
    expect([(await phone.next()).first('cseq'), (await phone.next()).first('cseq')]).toEqual([
      '7 REGISTER',
      '8 REGISTER',
    ])
  })

  it('leaves nothing behind for requests that prove nothing', async () => {
    const { server, at } = await serve()
    const phone = await phones(udpPhone, at)
    for (let i = 0; i < 500; i++) {
      phone.send(
        requestText({
          user: `u${i}`,
          callId: `c${i}`,
          authorization: answerTo('x'.repeat(36), { user: `u${i}` }),
        }),
      )
    }
    await until(() => phone.heard.length > 0 && server.stats().counts.stale > 400, 'the flood to be answered')
    expect(server.stats()).toMatchObject({
      bindings: 0,
      policy: { failing: 0, suspended: 0, lockedOut: 0, sources: 0 },
      nonces: { size: 0 },
    })
  })
})
