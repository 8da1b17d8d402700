import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Noted } from '../../dashboard/api/control-plane.ts'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { StrictView } from '../../dashboard/api/weather.ts'
import type { AppliedView, PlanView, TraceView } from '../../dashboard/api/what-if.ts'
import { canRun } from '../requirements.ts'
import { kernelText } from '../stage/kernel-text.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'sysctl'] })
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const SERVER = '10.99.0.1'

describe.runIf(able)('a configuration on trial', () => {
  const stage = new Stage()
  let server: StageHost
  let ringfence: Ringfence
  let file: string
  let candidate: string
  let old: string

  const rules = () => server.namespace.run('iptables-save', '-t', 'raw')
  const proven = async () => /rf-pvn4-(\d+)sec/.exec(await rules())?.[1]
  /** The daemon's own configuration with other settings, as somebody would write it. */
  const write = (settings: string) => writeFileSync(candidate, old.replace(SETTINGS, settings))

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('trial', SERVER)
    ringfence = new Ringfence(stage, server, SETTINGS)
    file = stage.path('ringfence.yaml')
    candidate = stage.path('new.yaml')
    old = readFileSync(file, 'utf8')
    chmodSync(file, 0o640)
    await ringfence.start()
  })
  afterAll(() => stage.remove())
  afterEach(async () => {
    await ringfence.command(['revert'])
  })

  it('is in the kernel and not in the file, and nothing else comes in meanwhile', async () => {
    write(`${SETTINGS}\nlimits: { proven: { perSecond: 17, burst: 60 } }`)
    const applied = await ringfence.ask<AppliedView>('apply', candidate, '--confirm', '5m')
    expect(applied).toMatchObject({ state: 'trial', trial: { file: candidate } })
    // The clock runs while the kernel takes it.
    expect(applied.trial?.secondsLeft).toBeGreaterThan(290)
    expect(await proven()).toBe('17')
    expect(readFileSync(file, 'utf8')).toBe(old)
    expect((await ringfence.status()).trial).toMatchObject({ file: candidate })
    const again = await ringfence.command(['apply', candidate])
    expect([again.exitCode, again.stderr]).toEqual([
      1,
      expect.stringMatching(/is on trial for another .*ringfence confirm/),
    ])
    ringfence.daemon?.reload()
    await ringfence.daemon?.says(/the configuration is not read again: .*is on trial/)
    expect(await proven()).toBe('17')
    expect(await ringfence.ask('revert')).toEqual({ reverted: candidate })
    expect(await proven()).toBe('10')
    expect((await ringfence.status()).trial).toBeNull()
  })

  it('goes by itself when nobody confirms it', async () => {
    write(`${SETTINGS}\nlimits: { proven: { perSecond: 18, burst: 60 } }`)
    await ringfence.ask('apply', candidate, '--confirm', '10s')
    expect(await proven()).toBe('18')
    await eventually(async () => (await proven()) === '10', 20_000, 'the old limit')
    expect((await ringfence.command(['confirm'])).exitCode).toBe(4)
    expect(readFileSync(file, 'utf8')).toBe(old)
  })

  it('is gone after a crash, and after a stop', async () => {
    write(`${SETTINGS}\nlimits: { proven: { perSecond: 19, burst: 60 } }`)
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await ringfence.ask('apply', candidate, '--confirm', '5m')
      expect(await proven()).toBe('19')
      await ringfence.stop(signal)
      expect(readFileSync(file, 'utf8')).toBe(old)
      // Who stops in order leaves the kernel in order too.
      if (signal === 'SIGTERM') expect(await proven()).toBe('10')
      await ringfence.start()
      expect(await proven()).toBe('10')
    }
  })

  it('is kept when it is confirmed, with the one before beside it', async () => {
    write(`${SETTINGS}\nlimits: { proven: { perSecond: 20, burst: 60 } }`)
    await ringfence.ask('apply', candidate, '--confirm', '60s')
    const kept = await ringfence.ask<AppliedView>('confirm')
    expect(kept).toMatchObject({ state: 'kept', file, previous: `${file}.previous` })
    expect(readFileSync(file, 'utf8')).toBe(readFileSync(candidate, 'utf8'))
    expect(readFileSync(`${file}.previous`, 'utf8')).toBe(old)
    expect(statSync(file).mode & 0o777).toBe(0o640)
    await ringfence.stop()
    await ringfence.start()
    expect(await proven()).toBe('20')
    write(SETTINGS)
    expect((await ringfence.ask<AppliedView>('apply', candidate)).state).toBe('kept')
    expect([await proven(), readFileSync(file, 'utf8')]).toEqual(['10', old])
  })

  it.each([
    { what: 'is misspelt', settings: `${SETTINGS}\nlimit: {}`, says: /new\.yaml:2:1: .*limit/ },
    {
      what: 'needs a restart',
      settings: `${SETTINGS}\nmode: observe`,
      says: /changes mode, which the daemon reads/,
    },
  ])('changes nothing where it $what', async ({ settings, says }) => {
    const before = await kernelText(server)
    write(settings)
    const { exitCode, stderr } = await ringfence.command(['apply', candidate, '--confirm', '60s'])
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(says)])
    expect([await kernelText(server), readFileSync(file, 'utf8')]).toEqual([before, old])
  })

  it('can be planned: nothing is 0, something is 2, and the kernel is left alone', async () => {
    const before = await kernelText(server)
    const same = await ringfence.command(['plan', '--json'])
    expect([same.exitCode, (JSON.parse(same.stdout) as PlanView).same]).toEqual([0, true])
    write(`${SETTINGS}\nlimits: { proven: { perSecond: 3, burst: 9 } }\nallow: [198.51.100.0/24]`)
    const planned = await ringfence.command(['plan', candidate, '--json'])
    const plan = JSON.parse(planned.stdout) as PlanView
    expect([planned.exitCode, plan.limits, plan.warmed, plan.elements.added]).toEqual([
      2,
      ['limits.proven: 10/s burst 50 → 3/s burst 9'],
      true,
      { count: 1, first: ['rf-allow4 198.51.100.0/24'] },
    ])
    expect((await ringfence.command(['plan', candidate])).stdout).toMatch(
      /Chain RINGFENCE-PROVEN \(IPv4\):\n {2}- -A RINGFENCE-PROVEN .*\n {2}\+ -A RINGFENCE-PROVEN .*3\/sec/,
    )
    expect(await kernelText(server)).toBe(before)
    // What is not there yet when the file is changed and not reloaded.
    writeFileSync(file, old.replace(SETTINGS, `${SETTINGS}\nlimits: { rest: { perSecond: 7, burst: 9 } }`))
    expect((await ringfence.command(['plan'])).exitCode).toBe(2)
    writeFileSync(file, old)
  })
})

describe.runIf(able)('orders and questions', () => {
  const stage = new Stage()
  let server: StageHost
  let ringfence: Ringfence

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('orders', SERVER)
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
  })
  afterAll(() => stage.remove())

  it('trace an imaginary packet by the rules that stand', async () => {
    const trace = (...args: string[]) =>
      ringfence.ask<TraceView>('trace', '--src', '203.0.113.7:5060', ...args)
    expect(await trace()).toMatchObject({ verdict: 'pass', lane: 'unknown' })
    await ringfence.ask('block', '203.0.113.7', '--for', '10m')
    expect(await trace('--method', 'INVITE')).toMatchObject({ verdict: 'drop', lane: 'blocked' })
    expect(await trace('--dst', `${SERVER}:5061`)).toMatchObject({ verdict: 'not-ours' })
    expect(await trace('--dst', '192.0.2.9')).toMatchObject({ verdict: 'not-ours' })
    await ringfence.ask('unblock', '203.0.113.7')
    // What the kernel noted by itself counts too.
    const response = stage.path('response')
    writeFileSync(response, 'SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.99.0.1:5060;branch=z9hG4bK1\r\n\r\n')
    expect(await trace('--payload', response)).toMatchObject({ lane: 'rest' })
    await server.namespace.run('ipset', 'add', 'rf-asked4', '203.0.113.7')
    expect(await trace('--payload', response)).toMatchObject({ verdict: 'pass', lane: 'peer' })
    const payload = stage.path('packet')
    writeFileSync(payload, 'REGISTER \u001b[2J sip:x SIP/2.0')
    const { stdout } = await ringfence.command(['trace', '--src', '203.0.113.8:5060', '--payload', payload])
    expect(stdout).toMatch(/^pass: /)
    expect(stdout).not.toContain('\u001b')
  })

  it('switch the strict limits on and off, in the kernel too', async () => {
    const strict = async () =>
      (await server.namespace.run('ipset', 'save', 'rf-strict4'))
        .split('\n')
        .filter((line) => line.startsWith('add')).length
    expect(await ringfence.ask<StrictView & Noted>('strict', 'on')).toMatchObject({
      state: 'strict',
      order: 'on',
      notice: null,
    })
    expect(await strict()).toBe(2)
    expect((await ringfence.status()).strict).toMatchObject({ state: 'strict', order: 'on' })
    expect(await ringfence.ask('strict', 'off')).toMatchObject({ state: 'peace', order: 'off' })
    expect(await strict()).toBe(0)
    expect(await ringfence.ask('strict', 'auto')).toMatchObject({ state: 'peace', order: 'auto' })
  })

  it('are called noted where nothing is dropped', async () => {
    await ringfence.ask('off')
    const block = await ringfence.ask<DecisionView & Noted>('block', '203.0.113.9', '--for', '10m')
    expect(block.notice).toMatch(/nothing is dropped while the rules are off/)
    expect((await ringfence.command(['enforce', 'sip'])).stdout).toMatch(
      /nothing is dropped while the rules are off/,
    )
    expect((await ringfence.command(['on'])).stdout).toBe('the rules are on')
    expect(await server.namespace.run('ipset', 'save')).toContain('203.0.113.9')
  })

  it('refuse to block the host itself', async () => {
    const { exitCode, stderr } = await ringfence.command(['block', '10.99.0.0/16'])
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/an address of this host/)])
  })

  it('reach the daemon again after the socket was deleted', async () => {
    rmSync(stage.path('control.sock'))
    expect((await ringfence.command(['status'])).exitCode).toBe(3)
    await eventually(async () => (await ringfence.command(['status'])).exitCode === 0, 10_000, 'the socket')
    await ringfence.daemon?.says(/the control socket was deleted; it is there again/)
    expect(statSync(stage.path('control.sock')).mode & 0o777).toBe(0o600)
  })
})

describe.runIf(able)('packets that go around the rules', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('raise an alarm, which ends when packets are judged', async () => {
    await stage.create()
    const bridge = await stage.addHost('bridge', '10.99.0.5')
    const softswitch = await stage.addHost('switch', '10.98.0.1')
    const phone = await stage.addHost('phone', '10.99.0.10')
    // The softswitch hangs behind a bridge. What a member of a bridge shows arrives on the bridge for iptables, if
    // the bridge asks it at all: to protect the member protects nothing.
    const { namespace } = bridge
    const cable = ['link', 'add', 'eth1', 'type', 'veth', 'peer', 'name', 'sip0']
    await namespace.run('ip', ...cable, 'netns', softswitch.namespace.name)
    await namespace.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
    for (const port of ['eth0', 'eth1']) await namespace.run('ip', 'link', 'set', port, 'master', 'br0', 'up')
    await namespace.run('ip', 'link', 'set', 'br0', 'up')
    await softswitch.namespace.run('ip', 'addr', 'add', '10.99.0.9/16', 'dev', 'sip0')
    await softswitch.namespace.run('ip', 'link', 'set', 'sip0', 'up')
    const ringfence = new Ringfence(
      stage,
      bridge,
      'protect: { interfaces: [eth0], addresses: [10.99.0.9, 10.99.0.5], ports: { udp: [5060], tcp: [5060] } }',
    )
    await ringfence.start()
    stage.start(phone, process.execPath, ['-e', KEEP_REGISTERING, '10.99.0.9'])
    const alarm = await eventually(
      async () => (await ringfence.status()).rules.notInPath,
      30_000,
      'the alarm',
    )
    expect(alarm).toMatch(
      /^Not in the path: \d+ REGISTERs to the protected addresses were seen on eth0 .*a wrong protect.interfaces/,
    )
    expect(await ringfence.status()).toMatchObject({
      state: 'degraded',
      sentence: expect.stringContaining('Not in the path'),
    })
    await ringfence.daemon?.says(/"msg":"Not in the path/)
    await namespace.run('ip', 'link', 'set', 'eth0', 'nomaster')
    stage.start(phone, process.execPath, ['-e', KEEP_REGISTERING, '10.99.0.5'])
    await eventually(async () => (await ringfence.status()).rules.notInPath === null, 20_000, 'its end')
    await ringfence.daemon?.says(/Packets pass the rules again/)
    expect((await ringfence.status()).rules.judged.udp).toBeGreaterThan(0)
    expect(ringfence.daemon?.output.match(/"msg":"Not in the path/g)).toHaveLength(1)
  })
})

/** Eight REGISTERs a second. */
const KEEP_REGISTERING = `
const socket = require('node:dgram').createSocket('udp4')
const to = process.argv[1]
let count = 0
setInterval(() => {
  const text = ['REGISTER sip:' + to + ' SIP/2.0', 'Via: SIP/2.0/UDP 10.99.0.10:5060;branch=z9hG4bK' + count, 'From: <sip:1001@' + to + '>;tag=1', 'To: <sip:1001@' + to + '>', 'Call-ID: ' + count, 'CSeq: ' + ++count + ' REGISTER', 'Content-Length: 0', '', ''].join('\\r\\n')
  socket.send(text, 5060, to)
}, 125)
`
