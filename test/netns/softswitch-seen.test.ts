import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LiveCapture } from '../../agent/capture/live.ts'
import { type PortSight, Sight } from '../../agent/observe/sight.ts'
import { Pipeline } from '../../agent/sensor/pipeline.ts'
import type { BindingView } from '../../dashboard/api/accounts.ts'
import { type Compiled, compileProject } from '../compiled.ts'
import { canRun } from '../requirements.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060, 5061, 5066] } }'

/** A softswitch of TLS and WSS as far as the wire shows it: it finishes handshakes and says nothing. */
const TLS_SERVER = (key: string, cert: string) => `
const tls = require('node:tls'), http = require('node:http'), fs = require('node:fs'), { createHash } = require('node:crypto')
const options = { key: fs.readFileSync('${key}'), cert: fs.readFileSync('${cert}') }
tls.createServer(options, (socket) => socket.on('error', () => {}).resume()).listen(5061, '${SERVER}')
http.createServer().on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.on('error', () => {}).write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
}).listen(5066, '${SERVER}', () => console.log('listening'))
`

const WEBSOCKET_CLIENT = `
const http = require('node:http')
const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': 13, 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol': 'sip' }
http.get({ host: '${SERVER}', port: 5066, headers }).on('upgrade', () => process.exit(0)).on('error', () => process.exit(1))
`

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'openssl'] }))(
  'what a guard learns of the softswitch beside it',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phone: StageHost
    let other: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phone = await stage.addHost('phone', '10.99.0.10')
      other = await stage.addHost('other', '10.99.0.11')
      await startKamailio(stage, server, { sharedNonces: true })
      ringfence = new Ringfence(stage, server, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    const nonces = async () => (await ringfence.status()).nonces.map(({ server, state }) => [server, state])
    const registered = () => ringfence.ask<BindingView[]>('bindings')

    it('shows which ports can be read, before and after something passes', async () => {
      const before = (await ringfence.status()).sight.map(({ transport, port, state }) => [
        transport,
        port,
        state,
      ])
      expect(before).toEqual([
        ['udp', 5060, 'quiet'],
        ['tcp', 5060, 'quiet'],
        ['tcp', 5061, 'quiet'],
        ['tcp', 5066, 'quiet'],
      ])
    })

    it('learns bindings and shared nonces from its answers, and says what mends these', async () => {
      const phones = [phone, other].map((host) =>
        startPhones(stage, host, SERVER, { users: [1001, 1002], registrations: 20, perSecond: 10 }),
      )
      for (const each of phones) expect(await each.ended).toBe(0)
      await eventually(
        async () => (await nonces()).some(([, state]) => state === 'shared'),
        5_000,
        'shared nonces',
      )
      const { stdout } = await ringfence.command(['status'])
      expect(stdout).toContain('nonces     10.99.0.1:5060 shared: ')
      expect(stdout).toContain('modparam("auth", "nonce_count", 1)')
      expect(stdout).toContain('sight      sighted: udp 5060')
      const bindings = await registered()
      expect(bindings.map(({ aor, contact }) => `${aor} ${contact}`).sort()).toEqual([
        '1001@10.99.0.1 sip:1001@10.99.0.10:5090',
        '1001@10.99.0.1 sip:1001@10.99.0.11:5090',
        '1002@10.99.0.1 sip:1002@10.99.0.10:5090',
        '1002@10.99.0.1 sip:1002@10.99.0.11:5090',
      ])
      expect(new Set(bindings.map(({ source }) => source))).toEqual(
        new Set(['10.99.0.10:5090', '10.99.0.11:5090']),
      )
      expect(bindings[0]).toMatchObject({ transport: 'udp', userAgent: 'Honest Phone 1.0', learnt: true })
      expect((await ringfence.command(['bindings'])).stdout).toContain('1001@10.99.0.1')
    })

    it('is blind on ports where it speaks TLS or WebSocket, and says so once', async () => {
      const [key, cert] = [stage.path('key.pem'), stage.path('cert.pem')]
      const subject = ['-subj', '/CN=softswitch', '-days', '1']
      await server.namespace.run(
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
        ...subject,
      )
      writeFileSync(stage.path('tls.cjs'), TLS_SERVER(key, cert))
      await stage.start(server, process.execPath, [stage.path('tls.cjs')]).says(/listening/)
      const client = stage.start(phone, 'openssl', ['s_client', '-connect', `${SERVER}:5061`])
      await client.says(/SSL handshake has read|New, TLS/)
      expect(await stage.start(phone, process.execPath, ['-e', WEBSOCKET_CLIENT]).ended).toBe(0)
      await eventually(
        async () => (await ringfence.status()).sight.filter(({ state }) => state === 'blind').length === 2,
        5_000,
        'two blind ports',
      )
      const { sight } = await ringfence.status()
      expect(sight.map(({ port, transport, state }) => `${transport} ${port} ${state}`)).toEqual([
        'udp 5060 sighted',
        'tcp 5060 quiet',
        'tcp 5061 blind',
        'tcp 5066 blind',
      ])
      const lines = ringfence.daemon?.output.match(/Not all is seen of tcp port \d+/g)
      expect(lines?.sort()).toEqual(['Not all is seen of tcp port 5061', 'Not all is seen of tcp port 5066'])
    })

    it('remembers over a restart that nonces are shared', async () => {
      await ringfence.stop('SIGKILL')
      await ringfence.start()
      await eventually(
        async () => (await nonces()).some(([name, state]) => name === '10.99.0.1:5060' && state === 'shared'),
        5_000,
        'what was known of nonces',
      )
    })
  },
)

/** Challenges everybody, each time with another nonce; and a phone that answers them and never gets in. */
const CHALLENGER = `
const socket = require('node:dgram').createSocket('udp4')
let n = 0
socket.on('message', (message, { port, address }) => {
  const head = message.toString('latin1').split('\\r\\n').filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line))
  const challenge = 'WWW-Authenticate: Digest realm="r", nonce="n' + n++ + '"'
  socket.send(['SIP/2.0 401 Unauthorized', ...head, challenge, 'Content-Length: 0', '', ''].join('\\r\\n'), port, address)
}).bind(5060, '10.9.0.2', () => console.log('listening'))
`
const CALLER = `
const socket = require('node:dgram').createSocket('udp4')
let cseq = 0
const send = (nonce) => {
  const credentials = nonce === undefined ? [] : ['Authorization: Digest username="1", realm="r", nonce="' + nonce + '", uri="sip:r", response="0"']
  cseq++
  const lines = ['REGISTER sip:r SIP/2.0', 'Via: SIP/2.0/UDP 10.9.5.1:5062;branch=z9hG4bK' + cseq, 'From: <sip:1@r>;tag=1', 'To: <sip:1@r>', 'Call-ID: a', 'CSeq: ' + cseq + ' REGISTER', ...credentials, 'Content-Length: 0', '', '']
  socket.send(lines.join('\\r\\n'), 5060, '10.9.0.2')
}
socket.on('message', (message) => {
  const nonce = /nonce="([^"]+)"/.exec(message.toString('latin1'))[1]
  console.log('challenged')
  setTimeout(() => send(nonce), 100)
}).bind(5062, '10.9.5.1', () => send())
`

describe.runIf(canRun({ programs: ['ip'] }))('a route on which answers leave by another interface', () => {
  const stage = new Stage()
  let softswitch: StageHost
  let caller: StageHost
  let compiled: Compiled

  beforeAll(async () => {
    await stage.create()
    compiled = await compileProject()
    softswitch = await stage.addHost('half', '10.9.0.2')
    caller = await stage.addHost('far', '10.9.0.1')
    const [near, far] = [softswitch.namespace, caller.namespace]
    await near.run('ip', 'link', 'add', 'back', 'type', 'veth', 'peer', 'name', 'back', 'netns', far.name)
    for (const each of [near, far]) {
      await each.run('ip', 'link', 'set', 'back', 'up')
      for (const device of ['all', 'default', 'eth0', 'back'])
        await each.run('sysctl', '-qw', `net.ipv4.conf.${device}.rp_filter=0`)
    }
    await far.run('ip', 'addr', 'add', '10.9.5.1/32', 'dev', 'lo')
    await far.run('ip', 'addr', 'add', '10.8.0.1/24', 'dev', 'back')
    await near.run('ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'back')
    await near.run('ip', 'route', 'add', '10.9.5.0/24', 'via', '10.8.0.1', 'dev', 'back')
  })
  afterAll(async () => {
    compiled.remove()
    await stage.remove()
  })

  /** What a capture on one interface shows, with a second in place of the minutes that it usually takes. */
  async function watch(device: string) {
    const sight = new Sight({ watched: { udp: [5060], tcp: [] }, oneSidedFor: 1_000 })
    const kinds = new Map<string, number>()
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set() },
      isProtected: (address) => address === '10.9.0.2',
      exchanges: { sight },
      onObservation: ({ kind }) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1),
    })
    const capture = new LiveCapture({
      interface: device,
      frames: 'outside-in',
      engine: 'auto',
      ports: { udpPorts: [5060], tcpPorts: [] },
      launcher: ['ip', 'netns', 'exec', softswitch.namespace.name],
      childScript: compiled.path('agent/capture/capture-child.ts'),
      onFrame: (frame) => pipeline.take(frame),
    })
    capture.start()
    await eventually(async () => capture.state.state === 'running', 10_000, `the capture on ${device}`)
    return { capture, kinds, port: (): PortSight => sight.list()[0]! }
  }

  it('is half-sighted from either side, and no exchange is seen', async () => {
    const [asked, answered] = [await watch('eth0'), await watch('back')]
    await stage.start(softswitch, process.execPath, ['-e', CHALLENGER]).says(/listening/)
    await stage.start(caller, process.execPath, ['-e', CALLER]).says(/challenged[\s\S]*challenged/)
    await eventually(
      async () => asked.port().state === 'half-sighted' && answered.port().state === 'half-sighted',
      15_000,
      'both to be half-sighted',
    )
    expect(asked.port().detail).toMatch(/^requests are seen that were answered, and no answers/)
    expect(answered.port().detail).toMatch(/^answers are seen, and no requests/)
    expect(asked.kinds.get('exchange')).toBeUndefined()
    expect(answered.kinds.get('register')).toBeUndefined()
    await Promise.all([asked.capture.stop(), answered.capture.stop()])
  })
})

describe.runIf(canRun({ programs: ['ip'] }))('a packet that a bridge and its member both show', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let compiled: Compiled

  beforeAll(async () => {
    await stage.create()
    compiled = await compileProject()
    server = await stage.addHost('bridge', '10.9.9.9')
    phone = await stage.addHost('behind', '10.9.0.1')
    const { namespace } = server
    await namespace.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    await namespace.run('ip', 'addr', 'flush', 'dev', 'eth0')
    await namespace.run('ip', 'link', 'set', 'eth0', 'master', 'br0')
    await namespace.run('ip', 'addr', 'add', '10.9.0.2/16', 'dev', 'br0')
    await namespace.run('ip', 'link', 'set', 'br0', 'up')
  })
  afterAll(async () => {
    compiled.remove()
    await stage.remove()
  })

  it('counts once, and what the phone repeats counts again', async () => {
    const seen: string[] = []
    const pipeline = new Pipeline({
      ports: { udp: new Set([5060]), tcp: new Set() },
      isProtected: (address) => address === '10.9.0.2',
      duplicatesSeed: 7,
      onObservation: ({ kind }) => seen.push(kind),
    })
    const captures = ['eth0', 'br0'].map(
      (device, place) =>
        new LiveCapture({
          interface: device,
          engine: 'auto',
          ports: { udpPorts: [5060], tcpPorts: [] },
          launcher: ['ip', 'netns', 'exec', server.namespace.name],
          childScript: compiled.path('agent/capture/capture-child.ts'),
          onFrame: (frame) => pipeline.take({ ...frame, capture: place }),
        }),
    )
    for (const capture of captures) capture.start()
    await eventually(
      async () => captures.every(({ state }) => state.state === 'running'),
      10_000,
      'both captures',
    )
    // Twelve REGISTERs of its own, three of them each sent twice, half a second apart.
    const sending = `
const socket = require('node:dgram').createSocket('udp4')
const text = (i) => ['REGISTER sip:r SIP/2.0', 'Via: SIP/2.0/UDP 10.9.0.1:5062;branch=z9hG4bK' + i, 'To: <sip:1@r>', 'Call-ID: a', 'CSeq: ' + i + ' REGISTER', '', ''].join('\\r\\n')
const send = (i) => socket.send(text(i), 5060, '10.9.0.2')
for (let i = 0; i < 12; i++) send(i)
setTimeout(() => { for (let i = 0; i < 3; i++) send(i); setTimeout(() => socket.close(), 50) }, 500)
`
    expect(await stage.start(phone, process.execPath, ['-e', sending]).ended).toBe(0)
    await eventually(async () => pipeline.frames >= 30, 10_000, 'every frame on both')
    expect(seen).toEqual(Array(15).fill('register'))
    expect(pipeline.duplicates?.found).toBe(15)
    await Promise.all(captures.map((capture) => capture.stop()))
  })
})
