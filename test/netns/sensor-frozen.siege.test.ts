import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BindingView } from '../../dashboard/api/accounts.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const SERVER = '10.99.0.1'
const PHONE = '10.99.0.10'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'

/** Processes of ours that this one started, whose command line holds such a word. */
function childrenOf(parent: number, word: string): readonly number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const started = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
        return Number(started) === parent && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(word)
      } catch {
        return false
      }
    })
}

function sensorOf(daemon: number): number {
  const found = childrenOf(daemon, '/sensor/main')
  expect(found).toHaveLength(1)
  return found[0]!
}

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp'] }))(
  'a sensor that stands still, and one that starts anew',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phone: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phone = await stage.addHost('phone', PHONE)
      await startKamailio(stage, server, { sharedNonces: false })
      ringfence = new Ringfence(stage, server, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    const register = async (user: number, localPort: number) => {
      const one = startPhones(stage, phone, SERVER, {
        users: [user],
        registrations: 1,
        perSecond: 1,
        localPort,
      })
      expect(await one.ended).toBe(0)
    }
    const registered = async () => {
      const told = await ringfence.ask<readonly BindingView[]>('bindings')
      return told.map(({ aor, source, contact }) => [aor, source, contact]).sort()
    }

    it('is missed, said not to answer, and started again with what it knew', {
      timeout: 60_000,
    }, async () => {
      await register(1_001, 6_001)
      await eventually(async () => (await registered()).length === 1, 5_000, 'the binding')
      // What it saw in its last second nobody wrote down: then the contact is missing until the phone registers again.
      const phones = async () => (await registered()).map(([aor, source]) => [aor, source])
      const before = await phones()
      const pid = sensorOf(ringfence.daemon!.pid)
      process.kill(pid, 'SIGSTOP')
      await eventually(async () => (await ringfence.status()).sensor.state === 'failed', 8_000, 'the fault')
      const { sentence, state, sensor } = await ringfence.status()
      expect(sensor.detail).toMatch(/^the sensor has said nothing for \d s: it is stopped$/)
      expect([state, sentence]).toEqual(['degraded', expect.stringContaining('it is stopped')])
      const { exitCode, stdout, stderr } = await ringfence.command(['explain', PHONE])
      expect(exitCode).toBe(3)
      expect(stdout).toMatch(/lane +proven/)
      expect(stdout).not.toMatch(/never/)
      expect(stderr).toContain('The sensor did not answer')
      await ringfence.daemon!.says(/killed, since it said nothing for 10 s: it is stopped/)
      await eventually(async () => (await ringfence.status()).sensor.state === 'running', 10_000, 'the next')
      expect(sensorOf(ringfence.daemon!.pid)).not.toBe(pid)
      expect(await phones()).toEqual(before)
      await register(1_002, 6_002)
      await eventually(async () => (await registered()).length === 2, 5_000, 'what it sees')
    })

    it('knows who is registered after the daemon was killed', { timeout: 60_000 }, async () => {
      await eventually(async () => (await registered()).length === 2, 5_000, 'the bindings')
      const before = await registered()
      // What it saw is written down once a second.
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      await ringfence.stop('SIGKILL')
      await ringfence.start()
      expect(await registered()).toEqual(before)
      const story = await ringfence.ask<SourceStory>('explain', PHONE)
      const [first] = story.registeredPorts?.first ?? []
      expect(first?.secondsLeft).toBeLessThanOrEqual(60)
    })

    it('shows nothing where its captures stand still, which is said and mended', {
      timeout: 60_000,
    }, async () => {
      const sensor = sensorOf(ringfence.daemon!.pid)
      const captures = childrenOf(sensor, 'capture')
      expect(captures.length).toBeGreaterThan(0)
      await register(1_003, 6_003)
      const has = async (user: number) => (await registered()).some(([aor]) => aor?.startsWith(`${user}@`))
      await eventually(() => has(1_003), 5_000, 'what it sees')
      for (const pid of captures) process.kill(pid, 'SIGSTOP')
      const others = startPhones(stage, phone, SERVER, { users: [1_004], registrations: 60, perSecond: 2 })
      await ringfence.daemon!.says(/the captures have shown none of them for \d+ s/)
      await eventually(
        async () =>
          sensorOf(ringfence.daemon!.pid) !== sensor && (await ringfence.status()).sensor.state === 'running',
        15_000,
        'captures that begin anew',
      )
      for (const pid of captures) expect(() => process.kill(pid, 0)).toThrow()
      await register(1_005, 6_005)
      await eventually(() => has(1_005), 5_000, 'what they show')
      await others.end('SIGTERM')
    })
  },
)
