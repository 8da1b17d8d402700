import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canRun } from '../requirements.ts'
import { startFlood } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { phoneCounts, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const SERVER = '10.99.0.1'
const SETTINGS = `protect: { interfaces: [br0], addresses: [${SERVER}], ports: { udp: [5060], tcp: [5060] } }`

describe.runIf(canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'trafgen'] }))(
  'a bridge before the softswitch, with no address in its network',
  () => {
    const stage = new Stage()
    let server: StageHost
    let phone: StageHost
    let flooder: StageHost
    let ringfence: Ringfence

    beforeAll(async () => {
      await stage.create()
      server = await stage.addHost('switch', SERVER)
      phone = await stage.addHost('phone', '10.99.0.10')
      flooder = await stage.addHost('flood', '10.99.0.66')
      await showBridgedPackets(true)
      await startKamailio(stage, server, { sharedNonces: true })
      ringfence = new Ringfence(stage, stage.bridge, SETTINGS)
      await ringfence.start()
    })
    afterAll(() => stage.remove())

    async function showBridgedPackets(shown: boolean): Promise<void> {
      await stage.bridge.namespace.run('sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${shown ? 1 : 0}`)
    }

    it('sees registrations pass, and serves their sources in the proven lane', async () => {
      const phones = startPhones(stage, phone, SERVER, {
        users: [1001, 1002],
        registrations: 4,
        perSecond: 2,
      })
      expect(await phones.ended).toBe(0)
      expect(phoneCounts(phones)).toEqual({ successes: 4, failures: 0 })
      await eventually(
        async () =>
          (await stage.bridge.namespace.run('ipset', 'list', 'rf-pvn4')).includes('10.99.0.10,udp:'),
        5_000,
        'the proven phone',
      )
    })

    it('blocks a flood that passes it, while the phones go on', async () => {
      const phones = startPhones(stage, phone, SERVER, { users: [1001], registrations: 8, perSecond: 1 })
      const flood = await startFlood(stage, flooder, server, { packets: 30_000, perSecond: 5_000 })
      const blocks = () => ringfence.ask<{ target: string }[]>('blocked')
      const [block] = await eventually(
        async () => ((await blocks()).length > 0 ? blocks() : undefined),
        10_000,
        'a block',
      )
      expect(block!.target).toBe('10.99.0.66')
      expect(await flood.ended).toBe(0)
      expect(await phones.ended).toBe(0)
      expect(phoneCounts(phones)).toEqual({ successes: 8, failures: 0 })
    })

    it('says so when bridged packets are kept from the rules', async () => {
      await showBridgedPackets(false)
      const flood = await startFlood(stage, flooder, server, { packets: 300, perSecond: 20 })
      await eventually(
        async () => (await ringfence.status()).sentence.includes('Not in the path'),
        30_000,
        'the alarm',
      )
      expect(await flood.ended).toBe(0)
      await showBridgedPackets(true)
    })
  },
)
