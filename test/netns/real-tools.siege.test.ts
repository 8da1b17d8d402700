import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startBaresip } from '../stage/baresip.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startTrunk } from '../stage/kamailio-trunk.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const able = canRun({
  programs: ['ip', 'iptables', 'ipset', 'kamailio', 'svmap', 'svwar', 'hydra', 'baresip'],
})

/** Each from an address of its own, against Debian's Kamailio, which knows the accounts 1000 to 1099. */
describe.runIf(able)('real programs at a guarded softswitch', () => {
  const stage = new Stage()
  let server: StageHost
  let ringfence: Ringfence

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    await startKamailio(stage, server, { sharedNonces: false, knows: '^10[0-9][0-9]$' })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
  })
  afterAll(() => stage.remove())

  let hosts = 0
  /** With a route to everywhere: hydra asks for the way to the Internet to learn its own address. */
  async function addHost(purpose: string): Promise<StageHost> {
    const host = await stage.addHost(purpose, `10.99.${++hosts}.10`)
    await host.namespace.run('ip', 'route', 'add', 'default', 'dev', 'eth0')
    return host
  }

  const storyOf = (host: StageHost) => ringfence.ask<SourceStory>('explain', host.address)
  const decisions = async (host: StageHost) =>
    (await storyOf(host)).decisions.map(({ kind, target, scope }) => `${kind} ${target} ${scope}`)

  it('a trunk, Kamailio’s uac, registers and is proven', async () => {
    const trunk = await addHost('trunk')
    await startTrunk(stage, trunk, { server: SERVER, user: '1050' })
    await eventually(async () => (await storyOf(trunk)).lane === 'proven', 20_000, 'a proven trunk')
    expect(await storyOf(trunk)).toMatchObject({ failures: 0, decisions: [], verdicts: [] })
  })

  it('svmap sees a softswitch and is none’s enemy', async () => {
    const scanner = await addHost('map')
    const svmap = stage.start(scanner, 'svmap', [SERVER])
    await svmap.ended
    expect(svmap.output).toContain('kamailio')
    const blocked = await ringfence.ask<readonly DecisionView[]>('blocked')
    expect(blocked.filter(({ target }) => target.startsWith(scanner.address))).toEqual([])
  })

  it('svwar under every limit is found out by the accounts that there are not', async () => {
    const scanner = await addHost('war')
    // Two a second: the kernel lets five through.
    const svwar = stage.start(scanner, 'svwar', ['-m', 'REGISTER', '-e', '1095-1300', '-t', '0.5', SERVER])
    await eventually(async () => (await decisions(scanner)).length > 0, 30_000, 'a verdict on svwar')
    expect(await decisions(scanner)).toEqual([`block ${scanner.address} register`])
    const [verdict] = (await storyOf(scanner)).verdicts
    expect(verdict).toMatchObject({ name: 'account-scan', grade: 'packet' })
    await svwar.end()
  })

  it('hydra, slow and without a name, is stopped long before the password', async () => {
    const guesser = await addHost('hydra')
    const words = [...Array.from({ length: 60 }, (_, i) => `wrong${i}`), 'pw1001']
    writeFileSync(stage.path('words'), `${words.join('\n')}\n`)
    const args = ['-l', '1001', '-P', stage.path('words'), '-t', '1', `sip://${SERVER}`]
    const hydra = stage.start(guesser, 'hydra', args)
    await eventually(async () => (await decisions(guesser)).length > 0, 40_000, 'a verdict on hydra')
    await hydra.end()
    const story = await storyOf(guesser)
    expect(story.verdicts.map(({ name, grade }) => `${name} ${grade}`)).toContain('retry-limit path')
    expect(story.successes).toBe(0)
    expect(story.failures).toBeLessThan(15)
    expect(hydra.output).not.toContain('pw1001')
  })

  it('a phone with a wrong password is suspended, and its neighbours behind the same address never notice', async () => {
    const office = await addHost('office')
    const good = startBaresip(stage, office, {
      server: SERVER,
      user: '1010',
      password: 'pw1010',
      port: 5_080,
    })
    await good.says(/200 OK/)
    const bad = startBaresip(stage, office, { server: SERVER, user: '1011', password: 'typo', port: 5_090 })
    await eventually(async () => (await decisions(office)).length > 0, 30_000, 'a suspended phone')
    expect(await decisions(office)).toEqual([`suspend ${office.address}:5090 register`])
    const newcomer = startBaresip(stage, office, {
      server: SERVER,
      user: '1012',
      password: 'pw1012',
      port: 5_100,
    })
    await newcomer.says(/200 OK/)
    for (const { output } of [good, newcomer]) expect(output).not.toMatch(/40[134]|timed out/i)
    await eventually(
      async () => (await storyOf(office)).registeredPorts?.count === 2,
      10_000,
      'both good phones proven',
    )
    expect(await storyOf(office)).toMatchObject({
      lane: 'proven',
      laneReason: expect.stringContaining(`But ${office.address}:5090 is suspended`),
      registeredPorts: { count: 2 },
    })
    await bad.end()
  })
})
