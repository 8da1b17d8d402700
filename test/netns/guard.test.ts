import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startFlood, startForgedFlood } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { kernelText } from '../stage/kernel-text.ts'
import { phoneCounts, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage } from '../stage/stage.ts'

const able = canRun({
  programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'baresip', 'svcrack', 'trafgen'],
})
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const SERVER = '10.99.0.1'

describe.runIf(able)('under a flood of forged sources', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('the strict limits decide, a proven phone is served, and the operator has the last word', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const phone = await stage.addHost('phone', '10.99.0.10')
    const flooder = await stage.addHost('flood', '10.99.0.66')
    await startKamailio(stage, server, { sharedNonces: false })
    // A small softswitch, so that a small flood is one: within half of its limits nothing is strict.
    const limits =
      'limits: { total: { perSecond: 400, burst: 400 }, strict: { total: { perSecond: 300, burst: 300 } } }'
    const ringfence = new Ringfence(stage, server, `${SETTINGS}\n${limits}`)
    await ringfence.start()
    const register = (registrations: number) =>
      startPhones(stage, phone, SERVER, { users: [1001], registrations, perSecond: 1 })
    expect(await register(1).ended).toBe(0)
    const strict = async () => (await ringfence.status()).strict
    expect(await strict()).toMatchObject({ state: 'peace', order: 'auto' })

    const flood = await startForgedFlood(stage, flooder, server, { packets: 20_000, perSecond: 2_000 })
    const phones = register(6)
    await eventually(async () => (await strict()).state === 'strict', 8_000, 'the strict limits')
    const timeouts = async () => {
      const listed = await server.namespace.run('ipset', 'list', 'rf-strict4')
      return [...listed.matchAll(/^[\d.]+\/1 timeout (\d+)$/gm)].map(([, seconds]) => Number(seconds))
    }
    expect(await timeouts()).toHaveLength(2)
    for (const seconds of await timeouts()) expect(seconds).toBeGreaterThan(85)
    expect(await phones.ended).toBe(0)
    expect(phoneCounts(phones)).toEqual({ successes: 6, failures: 0 })
    expect((await ringfence.status()).lanes.proven).toBe(1)

    expect((await ringfence.command(['strict', 'off'])).exitCode).toBe(0)
    expect(await timeouts()).toEqual([])
    // The order is kept; the daemon's death is not what ends it.
    await ringfence.stop('SIGKILL')
    await ringfence.start()
    expect(await strict()).toMatchObject({ state: 'peace', order: 'off' })
    expect((await ringfence.command(['strict', 'on'])).exitCode).toBe(0)
    expect(await timeouts()).toHaveLength(2)
    expect(await flood.ended).toBe(0)
  })
})

describe.runIf(able)('an office of 200 phones behind one address after a power cut', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('is limited by the kernel and not blocked', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const office = await stage.addHost('office', '10.99.0.50')
    await startKamailio(stage, server, { sharedNonces: false })
    const ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
    const users = Array.from({ length: 200 }, (_, i) => 2000 + i)
    const phones = startPhones(stage, office, SERVER, {
      users,
      registrations: 200,
      perSecond: 200,
      sockets: 'one-each',
    })
    const story = () => ringfence.ask<SourceStory>('explain', '10.99.0.50')
    await eventually(async () => (await story()).registersInWindow > 300, 15_000, 'the office’s storm')
    // A window and more after the threshold was crossed, the verdict would long have been made.
    await eventually(async () => (await story()).successes >= 10, 25_000, 'ten registered phones')
    const { decisions, verdicts, lane } = await story()
    expect(decisions).toEqual([])
    expect(verdicts.filter(({ action }) => action !== 'limit')).toEqual([])
    expect(lane).toBe('proven')
    await phones.end('SIGKILL')
  })
})

describe.runIf(able)('in observe mode', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('decides and shows everything, and touches nothing', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const flooder = await stage.addHost('flood', '10.99.0.66')
    await startKamailio(stage, server, { sharedNonces: false })
    const before = await kernelText(server)
    const ringfence = new Ringfence(stage, server, `mode: observe\n${SETTINGS}`)
    await ringfence.start()
    await (await startFlood(stage, flooder, server, { packets: 2_000, perSecond: 2_000 })).ended
    const block = await eventually(
      async () => (await ringfence.ask<DecisionView[]>('blocked'))[0],
      10_000,
      'the block that would have been',
    )
    expect(block).toMatchObject({ target: '10.99.0.66', scope: 'register' })
    const status = await ringfence.status()
    expect(status.rules.state).toBe('observing')
    expect(status.rules.wouldHaveDone.some((line) => line.includes('add rf-reg4 10.99.0.66'))).toBe(true)
    expect(await kernelText(server)).toBe(before)
  })
})

describe.runIf(able)('off, after a change from one kind of iptables to the other', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('takes away what both kinds hold', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
    await ringfence.stop()
    // What the other kind would hold, had the host been switched: our chains again, with a rule that holds a set.
    const other = (await server.namespace.run('iptables', '--version')).includes('nf_tables')
      ? 'legacy'
      : 'nft'
    const rules =
      '*raw\n:RINGFENCE - [0:0]\n-A PREROUTING -j RINGFENCE\n-A RINGFENCE -m set --match-set rf-sip4 src -j DROP\nCOMMIT\n'
    await server.namespace.feed(rules, `iptables-${other}-restore`, '--noflush')
    const off = await ringfence.command(['off'])
    expect({ exitCode: off.exitCode, stderr: off.stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(await server.namespace.run('ipset', 'list', '-n')).toBe('')
    for (const kind of ['nft', 'legacy']) {
      expect(await server.namespace.run(`iptables-${kind}-save`, '-t', 'raw')).not.toContain('RINGFENCE')
    }
  })
})

describe.runIf(able)('off, where rules of others lead to our chains and hold our sets', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('nothing is dropped any more, and what stays is named, with a daemon and without one', async () => {
    await stage.create()
    const server = await stage.addHost('held', SERVER)
    const { namespace } = server
    const ringfence = new Ringfence(stage, server, SETTINGS)
    const families = [
      [4, 'iptables'],
      [6, 'ip6tables'],
    ] as const
    for (const [, program] of families) await namespace.run(program, '-t', 'raw', '-N', 'mine')
    for (const isRunning of [true, false]) {
      await ringfence.start()
      if (!isRunning) await ringfence.stop()
      for (const [, program] of families) {
        await namespace.run(program, '-t', 'raw', '-A', 'mine', '-j', 'RINGFENCE-UDP')
      }
      const off = await ringfence.command(['off'])
      expect(off).toMatchObject({ exitCode: 1, stdout: '' })
      expect(off.stderr).toContain('All else is gone, and nothing of Ringfence drops packets any more.')
      for (const [family, program] of families) {
        expect(off.stderr).toContain(
          `the empty chain RINGFENCE-UDP (IPv${family}), used by "${program} -t raw -A mine -j RINGFENCE-UDP"`,
        )
        const saved = await namespace.run(`${program}-save`, '-t', 'raw')
        expect(saved.match(/^.*RINGFENCE.*$/gm)).toEqual([
          expect.stringMatching(/^:RINGFENCE-UDP /),
          '-A mine -j RINGFENCE-UDP',
        ])
      }
      expect(await namespace.run('ipset', 'list', '-n')).toBe('')
      for (const [, program] of families) await namespace.run(program, '-t', 'raw', '-F', 'mine')
      expect((await ringfence.command(['off'])).exitCode).toBe(0)
      for (const [, program] of families) {
        expect(await namespace.run(`${program}-save`, '-t', 'raw')).not.toContain('RINGFENCE')
      }
      if (isRunning) await ringfence.stop()
    }
  })
})

describe.runIf(able)('a daemon on a host that was switched from one kind of iptables to the other', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('judges by one kind alone, and off says what stayed and what did not', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const { namespace } = server
    const isNft = (await namespace.run('iptables', '--version')).includes('nf_tables')
    const [first, second] = isNft ? ['nft', 'legacy'] : ['legacy', 'nft']
    const saved = (kind: string, family = '') =>
      namespace.run(`ip${family}tables-${kind}-save`, '-t', 'raw').then((text) => text.trim())
    const ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
    await ringfence.stop()
    const foreign = '-A PREROUTING -s 192.0.2.77/32 -j DROP'
    await namespace.feed(`*raw\n${foreign}\nCOMMIT\n`, `iptables-${first}-restore`, '--noflush')
    const path = stage.path('switched')
    mkdirSync(path)
    for (const program of ['iptables', 'ip6tables']) {
      for (const what of ['', '-save', '-restore'])
        symlinkSync(`/usr/sbin/xtables-${second}-multi`, join(path, `${program}${what}`))
    }

    await ringfence.start({ path })
    expect((await ringfence.status()).rules.backend).toBe(`iptables-${second}`)
    await ringfence.daemon!.says(/of the other kind of iptables, of before, were removed/)
    expect(await saved(first)).not.toContain('RINGFENCE')
    expect(await saved(first, '6')).not.toContain('RINGFENCE')
    expect(await saved(first)).toContain(foreign)
    expect(await saved(second)).toContain('-A PREROUTING -j RINGFENCE')
    expect(await saved(second, '6')).toContain('-A PREROUTING -j RINGFENCE')

    // Somebody's own rule holds a set of ours, and what the other kind holds is back, by whatever hand.
    const holds = ['INPUT', '-m', 'set', '--match-set', 'rf-sip4', 'src', '-j', 'DROP']
    await namespace.run(`iptables-${second}`, '-A', ...holds)
    const ours =
      '*raw\n:RINGFENCE - [0:0]\n-A PREROUTING -j RINGFENCE\n-A RINGFENCE -m set --match-set rf-reg4 src -j DROP\nCOMMIT\n'
    await namespace.feed(ours, `iptables-${first}-restore`, '--noflush')
    const refused = await ringfence.command(['off'])
    expect(refused).toMatchObject({ exitCode: 1, stdout: '' })
    expect(refused.stderr).toMatch(
      /Not everything .* had to stay: the set rf-sip4, used by "iptables -t filter -A INPUT -m set --match-set rf-sip4 src -j DROP"\. All else is gone/,
    )
    expect(await ringfence.status()).toMatchObject({
      state: 'degraded',
      sentence: expect.stringMatching(/^Not in order: Not off: .*rf-sip4/),
      rules: { state: 'failing', lastError: expect.stringContaining('rf-sip4') },
    })
    for (const kind of ['nft', 'legacy']) expect(await saved(kind)).not.toContain('RINGFENCE')
    expect((await namespace.run('ipset', 'list', '-n')).trim()).toBe('rf-sip4')

    await namespace.run(`iptables-${second}`, '-D', ...holds)
    expect((await ringfence.command(['off'])).exitCode).toBe(0)
    expect(await namespace.run('ipset', 'list', '-n')).toBe('')
    expect(await ringfence.status()).toMatchObject({ state: 'off', rules: { state: 'off', lastError: null } })
    expect((await ringfence.command(['on'])).exitCode).toBe(0)
    expect(await ringfence.status()).toMatchObject({ rules: { state: 'applied', lastError: null } })
    expect(await saved(first)).toContain(foreign)
  })
})
