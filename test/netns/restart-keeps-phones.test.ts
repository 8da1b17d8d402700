import { setTimeout as pause } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
/** Milliseconds between a phone's 200 and the signal. */
const MOMENTS = [0, 20, 60, 110, 180, 300]

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp'] }))(
  'a daemon that ends right after a phone registered',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phone: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phone = await stage.addHost('phone', PHONE)
      await startKamailio(stage, server, { sharedNonces: true })
      ringfence = new Ringfence(stage, server, SETTINGS)
    })
    afterAll(() => stage.remove())

    /** An account registers from a port of its own. */
    const register = async (user: number, localPort: number) => {
      const one = startPhones(stage, phone, SERVER, {
        users: [user],
        registrations: 1,
        perSecond: 1,
        localPort,
      })
      expect(await one.ended).toBe(0)
    }
    const isInKernel = async (port: number) =>
      (await server.namespace.run('ipset', 'save', 'rf-pvn4')).includes(`${PHONE},udp:${port} `)
    const inJournal = <T>(ask: (journal: Sqlite.Database) => T): T => {
      const journal = new Sqlite(stage.path('data/ringfence.db'))
      try {
        return ask(journal)
      } finally {
        journal.close()
      }
    }
    const isInJournal = (port: number) =>
      inJournal((journal) => journal.prepare('SELECT 1 FROM proven WHERE port = ?').get(port) !== undefined)

    it('by SIGTERM forgets none of them, whatever the moment', { timeout: 120_000 }, async () => {
      for (const [i, moment] of MOMENTS.entries()) {
        await ringfence.start()
        await register(1_001 + i, 6_001 + i)
        await pause(moment)
        await ringfence.stop('SIGTERM')
        const kept = { moment, kernel: await isInKernel(6_001 + i), journal: isInJournal(6_001 + i) }
        expect(kept).toEqual({ moment, kernel: true, journal: true })
      }
    })

    it('by SIGKILL forgets nothing that had reached the kernel, even where the journal knows nothing of it', async () => {
      await ringfence.start()
      await register(1_020, 6_020)
      await eventually(() => isInKernel(6_020), 5_000, 'the lane in the kernel')
      await ringfence.stop('SIGKILL')
      for (const table of ['proven', 'returning_sources', 'known_sources'])
        inJournal((journal) => journal.prepare(`DELETE FROM ${table}`).run())
      await ringfence.start()
      expect(await isInKernel(6_020)).toBe(true)
      const story = await ringfence.ask<SourceStory>('explain', PHONE)
      expect(story.lane).toBe('proven')
      expect(story.registeredPorts?.first.map(({ source }) => source)).toContain(`${PHONE}:6020`)
      // The sensor knows it too: nothing forged counts as a stranger's.
      expect(story.evidence?.find(({ grade }) => grade === 'account')).toMatchObject({ holds: true })
    })

    it('and what the sensor proves reaches the journal within 0.4 s', async () => {
      await register(1_021, 6_021)
      await eventually(() => isInKernel(6_021), 5_000, 'the lane in the kernel')
      const begun = performance.now()
      await eventually(async () => isInJournal(6_021), 5_000, 'the journal')
      expect(performance.now() - begun).toBeLessThan(400)
    })
  },
)
