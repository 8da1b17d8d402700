import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { canRun } from '../requirements.ts'
import { startForgedFlood } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually, type Running } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'trafgen'] })
const PHONES = fileURLToPath(new URL('./failing-phones.mjs', import.meta.url))
const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'

describe.runIf(able)('a softswitch that is dead, and one that only seems so under a flood', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let flooder: StageHost
  let kamailio: Running
  let ringfence: Ringfence

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', '10.99.0.10')
    flooder = await stage.addHost('flood', '10.99.0.66')
    kamailio = await startKamailio(stage, server, { sharedNonces: false })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
  })
  afterAll(() => stage.remove())

  /** Forty phones that register again and again, each from its own port. */
  const phones = (options: { tries: number; every: number }) => {
    const each = Array.from({ length: 40 }, (_, i) => ({
      address: phone.address,
      port: 6_000 + i,
      user: 1_100 + i,
      password: `pw${1_100 + i}`,
      goesOn: true,
      after: i * 20,
      ...options,
    }))
    return stage.start(phone, process.execPath, [PHONES, JSON.stringify({ server: SERVER, phones: each })])
  }
  const weather = async () => (await ringfence.status()).weather
  const states = async () =>
    (await weather()).changes
      .filter(({ what }) => what !== 'strict')
      .map(({ what, state }) => `${what} ${state}`)

  it('records a flood with what really came, and no outage', async () => {
    expect(await phones({ tries: 1, every: 0 }).ended).toBe(0)
    const flood = await startForgedFlood(stage, flooder, server, { packets: 64_000, perSecond: 4_000 })
    expect(await flood.ended).toBe(0)
    const changes = (await weather()).changes
    const strict = changes.find(({ what, state }) => what === 'strict' && state === 'strict')!
    expect(strict.figures.unknownRegisters).toBeGreaterThan(2_000)
    expect(strict.figures.registers).toBeGreaterThan(2_000)
    expect((await weather()).outage).toBeNull()
    const grown = await eventually(
      async () => {
        const { figures } = (await weather()).changes.find(({ state }) => state === 'strict')!
        return typeof figures.peakArrivals === 'number' ? figures : undefined
      },
      15_000,
      'the most that came',
    )
    expect(grown.peakArrivals).toBeGreaterThan(3_000)
  }, 60_000)

  it('takes phones that register as usual after it for no recovery', async () => {
    expect(await phones({ tries: 3, every: 2_000 }).ended).toBe(0)
    expect((await states()).filter((each) => /recovery|outage/.test(each))).toEqual([])
  }, 60_000)

  it('says that the softswitch answers nobody, and takes the return of its phones for a recovery', async () => {
    await kamailio.end()
    const asking = phones({ tries: 40, every: 500 })
    const seen = await eventually(
      async () => {
        const status = await ringfence.status()
        return status.weather.outage ? status : undefined
      },
      25_000,
      'the outage',
    )
    expect(seen.state).toBe('degraded')
    expect(seen.sentence).toMatch(
      /^Not in order: The softswitch has answered nobody for \d+ s, though \d+ registered phones ask: look whether it runs\./,
    )
    await ringfence.daemon!.says(/softswitch has answered nobody for/)
    const { stdout } = await ringfence.command(['status'])
    expect(stdout).toMatch(/^ +The softswitch has answered nobody for/m)
    kamailio = await startKamailio(stage, server, { sharedNonces: false })
    const again = await eventually(
      async () => {
        const status = await ringfence.status()
        return status.weather.state === 'recovery' ? status : undefined
      },
      25_000,
      'the recovery',
    )
    expect(again.weather.outage).toBeNull()
    expect(again.weather.why).toMatch(/after the softswitch had answered nobody\.$/)
    expect((await states()).slice(0, 3)).toEqual(['weather recovery', 'outage ended', 'outage began'])
    await asking.end()
    await ringfence.daemon!.says(/It is over: The softswitch has answered nobody/, 30_000)
  }, 120_000)

  it('notices it during a flood', async () => {
    const flood = await startForgedFlood(stage, flooder, server, { packets: 100_000, perSecond: 4_000 })
    await eventually(async () => (await ringfence.status()).rates.registers > 1_000, 10_000, 'the flood')
    await kamailio.end()
    const asking = phones({ tries: 40, every: 500 })
    await eventually(async () => (await weather()).outage, 22_000, 'the outage')
    expect(flood.isRunning).toBe(true)
    await Promise.all([flood.end(), asking.end()])
  }, 90_000)
})
