import { existsSync, renameSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import { canRun } from '../requirements.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually, type Running } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp'] })
const SERVER = '10.99.0.1'
const PHONE = '10.99.0.10'
const BLOCKED = '10.99.0.66'
const STRANGER = '10.99.0.77'
/** One packet of a stranger passes, and no second one for a minute: what passes more often is known. */
const SETTINGS =
  'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }\nlimits: { register: { perSecond: 1, burst: 1 } }'
/** What the wire may take: Node starts in a third of a second here. */
const RESTORED_WITHIN = 5_000

describe.runIf(able)('a host that starts', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let blocked: StageHost
  let stranger: StageHost
  let ringfence: Ringfence
  let softswitch: Running

  const saved = (program = 'iptables') => server.namespace.run(`${program}-save`, '-t', 'raw')
  const setsSaved = () => server.namespace.run('ipset', 'save')

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', PHONE)
    blocked = await stage.addHost('blocked', BLOCKED)
    stranger = await stage.addHost('stranger', STRANGER)
    softswitch = await startKamailio(stage, server, { sharedNonces: false })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
    await ringfence.ask('block', BLOCKED, '--for', '1h')
    const phones = startPhones(stage, phone, SERVER, { users: [1001], registrations: 1, perSecond: 2 })
    expect(await phones.ended).toBe(0)
    await eventually(async () => (await ringfence.status()).lanes.proven === 1, 10_000, 'a proven phone')
  })
  afterAll(() => stage.remove())

  /** What a reboot does to the kernel; the interface comes up later, with its address. */
  async function reboot(): Promise<void> {
    const { namespace } = server
    for (const program of ['iptables', 'ip6tables']) {
      for (const what of ['-F', '-X']) await namespace.run(program, '-t', 'raw', what)
    }
    await namespace.run('ipset', 'destroy')
    expect([await saved(), await setsSaved()].join('')).not.toMatch(/RINGFENCE|rf-/)
    await namespace.run('ip', 'addr', 'flush', 'dev', 'eth0')
    await namespace.run('ip', 'link', 'set', 'eth0', 'down', 'name', 'later0')
  }

  async function bringUp(): Promise<void> {
    const { namespace } = server
    await namespace.run('ip', 'link', 'set', 'later0', 'name', 'eth0', 'up')
    await namespace.run('ip', 'addr', 'add', `${SERVER}/16`, 'dev', 'eth0')
  }

  it('does nothing where a daemon runs', async () => {
    const before = [await saved(), await setsSaved()].map((text) =>
      text.replace(/timeout \d+|^#.*$|\[.*\]|packets.*/gm, ''),
    )
    expect(await ringfence.ask('restore')).toMatchObject({ outcome: 'daemon-runs' })
    const after = [await saved(), await setsSaved()].map((text) =>
      text.replace(/timeout \d+|^#.*$|\[.*\]|packets.*/gm, ''),
    )
    expect(after).toEqual(before)
  })

  it('has its rules, blocks and proven phones back before the first packet', async () => {
    await ringfence.stop()
    await softswitch.end()
    await reboot()
    const begun = performance.now()
    const { exitCode, stdout } = await ringfence.command([
      'restore',
      '--config',
      stage.path('ringfence.yaml'),
    ])
    const took = performance.now() - begun
    expect([exitCode, stdout]).toEqual([
      0,
      'the rules are in the kernel, with 1 block, 0 suspensions and 1 proven port',
    ])
    expect(took).toBeLessThan(RESTORED_WITHIN)
    for (const program of ['iptables', 'ip6tables']) {
      expect(await saved(program)).toContain('-A PREROUTING -j RINGFENCE')
    }
    await bringUp()

    // Only now somebody listens on the SIP port.
    const listener = stage.start(server, process.execPath, ['-e', LISTEN, SERVER])
    await listener.says(/listening/)
    const send = (host: StageHost, port: number, texts: readonly string[]) =>
      host.namespace.run(process.execPath, '-e', SEND, host.address, String(port), SERVER, '5060', ...texts)
    await send(blocked, 5060, [registerOf('blocked')])
    // A stranger's bucket holds one; the proven port has its own.
    await send(stranger, 5060, [registerOf('stranger-1'), registerOf('stranger-2')])
    await send(phone, 5090, [registerOf('proven-1'), registerOf('proven-2')])
    await phone.namespace.run(process.execPath, '-e', SEND, PHONE, '0', SERVER, '5999', 'the end')
    await listener.says(/the end/)
    const arrived = [...listener.output.matchAll(/Call-ID: (\S+)/g)].map(([, name]) => name)
    expect(arrived).toEqual(['stranger-1', 'proven-1', 'proven-2'])
    await listener.end()
  })

  it('is taken over by the daemon without a rule or an element changing', async () => {
    const rulesBefore = (await saved()).replace(/^#.*$|\[.*\]/gm, '')
    await ringfence.start()
    expect((await saved()).replace(/^#.*$|\[.*\]/gm, '')).toBe(rulesBefore)
    const status = await ringfence.status()
    expect([status.lanes.proven, status.rules.repairs]).toEqual([1, 0])
    const [block] = await ringfence.ask<DecisionView[]>('blocked')
    expect(block).toMatchObject({ target: BLOCKED, by: 'operator' })
  })

  it('is protected without the blocks of before where the journal is gone', async () => {
    await ringfence.stop()
    await reboot()
    renameSync(stage.path('data'), stage.path('data.away'))
    const { exitCode, stdout } = await ringfence.command([
      'restore',
      '--config',
      stage.path('ringfence.yaml'),
    ])
    expect([exitCode, stdout]).toEqual([
      0,
      'the rules are in the kernel, with 0 blocks, 0 suspensions and 0 proven ports',
    ])
    expect(await saved()).toContain('-A PREROUTING -j RINGFENCE')
    expect(existsSync(stage.path('data'))).toBe(true)
    await bringUp()
  })

  it('says what is wrong with a configuration, and touches nothing', async () => {
    const before = await saved()
    ringfence.configure('protect: { interfaces: [eth0] }\nlimit: {}')
    const { exitCode, stderr } = await ringfence.command([
      'restore',
      '--config',
      stage.path('ringfence.yaml'),
    ])
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/ringfence\.yaml:2:1: .*limit/)])
    expect((await saved()).replace(/^#.*$|\[.*\]/gm, '')).toBe(before.replace(/^#.*$|\[.*\]/gm, ''))
  })

  it('puts nothing into the kernel in observe mode', async () => {
    await ringfence.command(['off', '--config', stage.path('ringfence.yaml')])
    ringfence.configure(`mode: observe\n${SETTINGS}`)
    expect(await ringfence.ask('restore', '--config', stage.path('ringfence.yaml'))).toMatchObject({
      outcome: 'observing',
    })
    expect(await saved()).not.toContain('RINGFENCE')
  })
})

function registerOf(name: string): string {
  return `REGISTER sip:${SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCall-ID: ${name}\r\nCSeq: 1 REGISTER\r\n\r\n`
}

/** Prints what arrives on the SIP port, and on one that no rule is asked for. */
const LISTEN = `
const { createSocket } = require('node:dgram')
let open = 0
for (const port of [5060, 5999]) {
  const socket = createSocket('udp4')
  socket.on('message', (bytes) => process.stdout.write(bytes + '\\n'))
  socket.bind(port, process.argv[1], () => ++open === 2 && process.stdout.write('listening\\n'))
}
`

const SEND = `
const { createSocket } = require('node:dgram')
const [, from, port, to, toPort, ...texts] = process.argv
const socket = createSocket('udp4')
socket.bind(Number(port), from, async () => {
  for (const text of texts) await new Promise((resolve) => socket.send(text, Number(toPort), to, resolve))
  socket.close()
})
`
