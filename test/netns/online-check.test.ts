import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BindingView } from '../../dashboard/api/accounts.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startBaresip } from '../stage/baresip.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const SERVER = '10.99.0.1'
const PHONE = '10.99.0.10'
const MUTE = '10.99.0.11'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'baresip', 'sipp'] }))(
  'the softswitch asks its phones by OPTIONS, and the guard reads the answers',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phone: StageHost
    let mute: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phone = await stage.addHost('phone', PHONE)
      mute = await stage.addHost('mute', MUTE)
      await startKamailio(stage, server, { sharedNonces: false, asks: true })
      ringfence = new Ringfence(stage, server, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    const storyOf = (address: string) => ringfence.ask<SourceStory>('explain', address)

    it('a phone that answers is online, and one that does not is not', async () => {
      // From the port that SIP is read on, as many phones: only the way it goes tells its answers from the softswitch's.
      startBaresip(stage, phone, { server: SERVER, user: '1001', password: 'pw1001', port: 5_060 })
      // It registers and is gone, as a phone that was unplugged.
      const gone = startPhones(stage, mute, SERVER, { users: [1002], registrations: 1, perSecond: 1 })
      expect(await gone.ended).toBe(0)
      await eventually(
        async () => (await storyOf(PHONE)).endpoints?.[0]?.state === 'online',
        15_000,
        'baresip answering',
      )
      const [answering] = (await storyOf(PHONE)).endpoints ?? []
      expect(answering).toMatchObject({ source: `${PHONE}:5060`, state: 'online' })
      expect(answering!.roundTripMilliseconds).toBeLessThan(1_000)
      await eventually(
        async () => ((await storyOf(MUTE)).endpoints?.[0]?.asked ?? 0) >= 2,
        15_000,
        'two questions to the phone that is gone',
      )
      const [silent] = (await storyOf(MUTE)).endpoints ?? []
      expect(silent).toMatchObject({ answered: 0, lastAnswered: null })
      const states = (await ringfence.ask<BindingView[]>('bindings')).map(({ aor, online }) => [aor, online])
      expect(states.sort()).toEqual([
        [`1001@${SERVER}`, 'online'],
        [`1002@${SERVER}`, 'unasked'],
      ])
    })

    it('says so in status, explain and bindings', async () => {
      const said = async (...args: string[]) => (await ringfence.command(args)).stdout
      await eventually(
        async () => /online check +1 phone answer/.test(await said('status')),
        10_000,
        'the count in status',
      )
      expect(await said('explain', PHONE)).toMatch(/10\.99\.0\.10:5060 +answers within/)
      expect(await said('bindings')).toMatch(/1001@.* yes /)
    })

    it('takes nothing from whoever stays silent', async () => {
      expect(await storyOf(MUTE)).toMatchObject({ lane: 'proven', decisions: [] })
    })
  },
)
