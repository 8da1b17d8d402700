import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import type { ComparisonView } from '../../dashboard/api/comparison.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startFlood } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { startBaresip, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'baresip', 'trafgen'] })
const PROTECT = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
/** It suspends nobody for a wrong password. */
const LENIENT = 'policy: { registerSuspend: false, block: { failures: 100000 } }'
const SERVER = '10.99.0.1'
const PHONES = fileURLToPath(new URL('failing-phones.mjs', import.meta.url))
const FLOOD: unknown = expect.objectContaining({ verdict: 'register-flood', action: 'block', count: 1 })

describe.runIf(able)('a daemon beside a softswitch, asked about another policy', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('tells which registered phone it would have cut off, and the story of that phone', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const phone = await stage.addHost('phone', '10.99.0.10')
    const flooder = await stage.addHost('flood', '10.99.0.66')
    await startKamailio(stage, server, { sharedNonces: false })
    const ringfence = new Ringfence(stage, server, `${PROTECT}\n${LENIENT}`)
    await ringfence.start()
    // By two others it is learnt that each address gets nonces of its own: else a failure at a registered port may be forged.
    const others = [await stage.addHost('one', '10.99.0.20'), await stage.addHost('two', '10.99.0.21')]
    const learning = others.map((host, i) => {
      // Under a hundred REGISTERs in ten seconds: they are no flood.
      const each = { address: host.address, port: 5_070, tries: 200, every: 250, goesOn: true }
      const plan = [{ ...each, user: `101${i}`, password: `pw101${i}` }]
      return stage.start(host, process.execPath, [PHONES, JSON.stringify({ server: SERVER, phones: plan })])
    })
    const areUnique = async () => (await ringfence.status()).nonces.some(({ state }) => state === 'unique')
    await eventually(areUnique, 60_000, 'nonces that are known to be unique')
    await Promise.all(learning.map((each) => each.end('SIGKILL')))
    const registered = startPhones(stage, phone, SERVER, { users: [1001], registrations: 2, perSecond: 2 })
    expect(await registered.ended).toBe(0)
    // The same device, the same port, another account, and a password that somebody mistyped.
    const mistyped = startBaresip(stage, phone, SERVER, { user: 1002, password: 'wrong', localPort: 5090 })
    const story = () => ringfence.ask<SourceStory>('explain', '10.99.0.10')
    await eventually(async () => (await story()).failures >= 7, 20_000, 'seven failures')
    await mistyped.end('SIGKILL')
    await (await startFlood(stage, flooder, server, { packets: 2_000, perSecond: 2_000 })).ended

    const told = await story()
    expect(told.lane).toBe('proven')
    expect(told.exchanges?.[0]).toMatchObject({ outcome: 'failure', source: '10.99.0.10:5090' })
    expect(told.exchanges?.length).toBeGreaterThanOrEqual(9)
    expect(told.evidence?.map(({ grade, holds }) => [grade, holds])).toEqual([
      ['packet', true],
      ['path', true],
      ['account', true],
    ])
    expect(told.registeredPorts).toMatchObject({
      count: 1,
      first: [{ source: '10.99.0.10:5090', accounts: [`1001@${SERVER}`] }],
    })

    const candidate = stage.path('new.yaml')
    writeFileSync(candidate, `${PROTECT}\npolicy: { flood: { registers: 100000 } }\n`)
    // A second goes by before the sensor tells what it saw, and what was flooded is told when its minute is over.
    const backtest = async () => {
      const { stdout, exitCode } = await ringfence.command(['backtest', '--config', candidate, '--json'])
      return { exitCode, view: JSON.parse(stdout) as ComparisonView }
    }
    const { exitCode, view } = await eventually(
      async () => {
        const answer = await backtest()
        return answer.view.changes?.gone.count === 1 ? answer : undefined
      },
      75_000,
      'the flood in the record',
    )
    expect(exitCode).toBe(1)
    expect(view).toMatchObject({
      before: { name: 'the present policy', blocks: 1, suspensions: 0, phonesTouched: 0 },
      after: { blocks: 0, suspensions: 1, phonesTouched: 1 },
      phones: {
        registered: 3,
        touched: { count: 1, first: [{ account: `1001@${SERVER}`, source: '10.99.0.10:5090' }] },
      },
      changes: {
        new: { count: 1, first: [{ source: '10.99.0.10', phonesTouched: 1 }] },
        gone: { count: 1, first: [{ source: '10.99.0.66', before: expect.arrayContaining([FLOOD]) }] },
      },
    })
    const inWords = await ringfence.command(['backtest', '--config', candidate])
    expect(inWords.stdout).toContain('1 of 3 registered phones would be CUT OFF by')
    // What it was asked changed nothing.
    expect((await story()).decisions).toEqual([])
  }, 240_000)
})
