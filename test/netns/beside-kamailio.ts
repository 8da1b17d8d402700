import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startFlood, startGuessing } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { dropsOf, kernelText } from '../stage/kernel-text.ts'
import { phoneCounts, startBaresip, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({
  programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'baresip', 'svcrack', 'trafgen'],
})
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const SERVER = '10.99.0.1'

/** What a guard beside a real softswitch is worth, for each of the two ways in which softswitches make nonces. */
export function besideKamailio({ sharedNonces }: { readonly sharedNonces: boolean }): void {
  describe.runIf(able)(
    `beside Kamailio with ${sharedNonces ? 'shared nonces (its default)' : 'unique nonces'}`,
    () => {
      const stage = new Stage()
      let server: StageHost
      let phone: StageHost
      let flooder: StageHost
      let guesser: StageHost
      /** A phone and a flooder behind one address. */
      let family: StageHost
      let ringfence: Ringfence
      let before: string

      beforeAll(async () => {
        await stage.create()
        server = await stage.addHost('switch', SERVER)
        phone = await stage.addHost('phone', '10.99.0.10')
        flooder = await stage.addHost('flood', '10.99.0.66')
        guesser = await stage.addHost('guess', '10.99.0.77')
        family = await stage.addHost('family', '10.99.0.20')
        // What somebody else keeps in the firewall must be as it was, before, during and after.
        await server.namespace.run('iptables', '-t', 'raw', '-N', 'FOREIGN')
        await server.namespace.run(
          'iptables',
          '-t',
          'raw',
          '-A',
          'FOREIGN',
          '-p',
          'udp',
          '--dport',
          '9999',
          '-j',
          'DROP',
        )
        await server.namespace.run('iptables', '-t', 'raw', '-A', 'PREROUTING', '-j', 'FOREIGN')
        await server.namespace.run(
          'iptables',
          '-A',
          'INPUT',
          '-m',
          'comment',
          '--comment',
          'theirs',
          '-j',
          'ACCEPT',
        )
        await server.namespace.run(
          'ip6tables',
          '-t',
          'raw',
          '-A',
          'PREROUTING',
          '-s',
          '2001:db8::/32',
          '-j',
          'DROP',
        )
        await server.namespace.run('ipset', 'create', 'foreign', 'hash:ip')
        before = await kernelText(server)
        await startKamailio(stage, server, { sharedNonces })
        ringfence = new Ringfence(stage, server, SETTINGS)
        await ringfence.start()
      })
      afterAll(() => stage.remove())

      it('keeps phones registering through a flood that dies in the kernel', async () => {
        const baresip = startBaresip(stage, phone, SERVER, {
          user: 1003,
          password: 'pw1003',
          localPort: 5070,
        })
        const phones = startPhones(stage, phone, SERVER, {
          users: [1001, 1002],
          registrations: 16,
          perSecond: 1,
        })
        await baresip.says(/1003@10\.99\.0\.1.* 200 OK/)
        const flood = await startFlood(stage, flooder, server, { packets: 30_000, perSecond: 5_000 })
        const block = await eventually(
          async () => (await ringfence.ask<DecisionView[]>('blocked'))[0],
          10_000,
          'a block',
        )
        expect(block).toMatchObject({
          target: '10.99.0.66',
          kind: 'block',
          scope: 'register',
          by: 'register-flood',
          grade: 'packet',
        })
        expect(block.secondsLeft).toBeGreaterThan(580)
        expect(await flood.ended).toBe(0)
        const dropped = await dropsOf(server, 'rf-reg4', '10.99.0.66')
        // By the block alone, which on a busy machine may come some bursts late: how soon is the benchmark's to say.
        expect(dropped).toBeGreaterThan(10_000)
        // The kernel's limit holds it until the block does: ten at once, five a second.
        const story = await ringfence.ask<SourceStory>('explain', '10.99.0.66')
        expect(story.lane).toBe('blocked')
        expect(story.challenges).toBeGreaterThan(0)
        expect(story.challenges).toBeLessThanOrEqual(20)
        // In a flood the sensor sees what passes and a sample: a lower bound. The set's counter above has what was dropped.
        expect(story.registers).toBeGreaterThan(1_000)
        expect(story.registers).toBeLessThanOrEqual(30_100)
        expect(await phones.ended).toBe(0)
        expect(phoneCounts(phones)).toEqual({ successes: 16, failures: 0 })
        expect((await ringfence.ask<SourceStory>('explain', '10.99.0.10')).lane).toBe('proven')
        await baresip.end()
      })

      it('stops a guesser before he reaches the password, and nobody else', async () => {
        const phones = startPhones(stage, phone, SERVER, {
          users: [1001, 1002],
          registrations: 12,
          perSecond: 1,
        })
        // Slow enough to be no flood.
        const guessing = startGuessing(stage, guesser, SERVER, { user: 1004, words: 60, pause: 0.2 })
        const decision = await eventually(
          async () =>
            (await ringfence.ask<DecisionView[]>('blocked')).find(({ target }) =>
              target.startsWith('10.99.0.77'),
            ),
          15_000,
          'a measure against the guesser',
        )
        expect(decision).toMatchObject({
          kind: 'suspend',
          by: 'retry-limit',
          grade: sharedNonces ? 'packet' : 'path',
        })
        expect(decision.evidence).toMatchObject({ failures: 6, account: `1004@${SERVER}` })
        await guessing.ended
        expect(guessing.output).not.toContain('pw1004')
        expect(await phones.ended).toBe(0)
        expect(phoneCounts(phones)).toEqual({ successes: 12, failures: 0 })
        const honest = (await ringfence.ask<DecisionView[]>('blocked')).filter(({ target }) =>
          target.startsWith('10.99.0.10'),
        )
        expect(honest).toEqual([])
      })

      it('proves a phone at once, also after a restart, and serves it while its own address floods', async () => {
        const proven = async () => (await server.namespace.run('ipset', 'list', 'rf-pvn4')).split('\n')
        const isProven = async () =>
          (await proven()).some((line) => line.startsWith('10.99.0.20,udp:5090 timeout'))
        const journaled = (address: string) => {
          const database = new Sqlite(`${stage.path('data')}/ringfence.db`, { readonly: true })
          const [row] = database.prepare('SELECT count(*) AS rows FROM proven WHERE address = ?').all(address)
          database.close()
          return (row as { rows: number }).rows
        }
        const register = (registrations: number) =>
          startPhones(stage, family, SERVER, { users: [1001], registrations, perSecond: 1 })
        expect(await register(1).ended).toBe(0)
        await eventually(isProven, 1_000, 'the proven phone')
        const { lanes } = await ringfence.status()
        expect(lanes.proven).toBeGreaterThan(0)
        expect(lanes.returning).toBeGreaterThan(0)
        await eventually(() => journaled('10.99.0.20') === 1, 5_000, 'the phone in the journal')
        await ringfence.stop('SIGKILL')
        // The kernel's own memory must not help.
        await server.namespace.run('ipset', 'del', 'rf-pvn4', '10.99.0.20,udp:5090')
        await server.namespace.run('ipset', 'flush', 'rf-ret14')
        await ringfence.start()
        expect(await isProven()).toBe(true)
        expect(await server.namespace.run('ipset', 'list', 'rf-ret14')).toContain('10.99.0.20 timeout')

        const flood = await startFlood(stage, family, server, { packets: 10_000, perSecond: 1_000 })
        const phones = register(8)
        expect(await phones.ended).toBe(0)
        expect(phoneCounts(phones)).toEqual({ successes: 8, failures: 0 })
        expect(flood.isRunning).toBe(true)
        expect(await flood.ended).toBe(0)
        const story = await ringfence.ask<SourceStory>('explain', '10.99.0.20')
        expect(story.registers).toBeGreaterThan(9_000)
        // Seen before, so only limited: five a second of what its other port sends.
        expect(story.challenges).toBeLessThan(200)
        expect(story.decisions).toEqual([])
        expect(story.verdicts.some(({ action }) => action === 'limit')).toBe(true)
      })

      it('keeps blocks and their remaining time over a restart, and over a crash', async () => {
        const ordered = await ringfence.ask<DecisionView>(
          'block',
          '198.51.100.0/24',
          '--for',
          '1h',
          '--reason',
          'by hand',
        )
        expect(ordered).toMatchObject({
          target: '198.51.100.0/24',
          scope: 'sip',
          by: 'operator',
          reason: 'by hand',
        })
        const strip = (views: DecisionView[]) =>
          views.map(({ id, target, scope, until, reason }) => ({ id, target, scope, until, reason }))
        for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
          const standing = strip(await ringfence.ask<DecisionView[]>('blocked')).filter(
            ({ target }) => !target.includes(':'),
          )
          await ringfence.stop(signal)
          // Without the daemon the kernel goes on dropping.
          expect(await server.namespace.run('ipset', 'list', 'rf-reg4')).toContain('10.99.0.66 timeout')
          expect(await server.namespace.run('ipset', 'list', 'rf-deny4')).toContain('198.51.100.0/24 timeout')
          await ringfence.start()
          const after = strip(await ringfence.ask<DecisionView[]>('blocked')).filter(
            ({ target }) => !target.includes(':'),
          )
          expect(after).toEqual(standing)
          const listed = await server.namespace.run('ipset', 'list', 'rf-deny4')
          const left = Number(/198\.51\.100\.0\/24 timeout (\d+)/.exec(listed)?.[1])
          const expected = ((ordered.until ?? 0) - Date.now()) / 1000
          expect(Math.abs(left - expected)).toBeLessThan(3)
        }
      })

      it('takes back a block at once, in the kernel too', async () => {
        await ringfence.ask('unblock', '198.51.100.0/24')
        expect(await server.namespace.run('ipset', 'list', 'rf-deny4')).not.toContain('198.51.100.0')
        const again = await ringfence.command(['unblock', '198.51.100.0/24'])
        expect(again.exitCode).toBe(4)
        expect(again.stderr).toContain('198.51.100.0/24 is not blocked')
      })

      it('reads its configuration again on SIGHUP, and keeps the old one where the new one is wrong', async () => {
        ringfence.configure(`${SETTINGS}\nlimits: { register: { perSecond: 7, burst: 14 } }`)
        ringfence.daemon?.reload()
        await eventually(async () =>
          (await server.namespace.run('iptables-save', '-t', 'raw')).includes('hashlimit-above 7/sec'),
        )
        ringfence.configure(`${SETTINGS}\nlimits: { register: { perSecond: many } }`)
        ringfence.daemon?.reload()
        await ringfence.daemon?.says(/the old one stays.*limits\.register\.perSecond/)
        expect((await ringfence.status()).limits.register).toEqual({ perSecond: 7, burst: 14 })
        ringfence.configure(SETTINGS)
      })

      it('leaves nothing of itself after off, and everything of others as it was', async () => {
        expect((await ringfence.command(['off'])).exitCode).toBe(0)
        expect(await kernelText(server)).toBe(before)
        expect((await ringfence.status()).state).toBe('off')
        expect((await ringfence.command(['on'])).exitCode).toBe(0)
        expect(await server.namespace.run('iptables-save', '-t', 'raw')).toContain(
          '-A PREROUTING -j RINGFENCE',
        )
        await ringfence.stop()
        expect((await ringfence.command(['off'])).exitCode).toBe(0)
        expect(await kernelText(server)).toBe(before)
      })
    },
  )
}
