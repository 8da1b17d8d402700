import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startFlood, startGuessing } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { phoneCounts, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually, type Running } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({
  programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'svcrack', 'trafgen', 'tcpdump'],
})
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'
const SERVER = '10.99.0.1'

/** So much that a sensor which captured it all would need most of a core. */
const LOUD = 20_000

describe.runIf(able)('beside Kamailio under more packets than should be captured', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let newcomer: StageHost
  let guesser: StageHost
  let flooder: StageHost
  let second: StageHost
  let ringfence: Ringfence
  let flood: Running

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', '10.99.0.10')
    newcomer = await stage.addHost('new', '10.99.0.11')
    flooder = await stage.addHost('flood', '10.99.0.66')
    second = await stage.addHost('second', '10.99.0.67')
    guesser = await stage.addHost('guess', '10.99.0.77')
    await startKamailio(stage, server, { sharedNonces: false })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
  })
  afterAll(() => stage.remove())

  const sampling = async () => (await ringfence.status()).sensor.sampling
  const blocked = async (address: string) =>
    (await ringfence.ask<DecisionView[]>('blocked')).find(({ target }) => target.startsWith(address))
  const isProven = async (member: string) =>
    (await server.namespace.run('ipset', 'list', 'rf-pvn4')).includes(`\n${member} timeout`)

  it('reads requests from the kernel’s log, and everybody gets what is theirs', async () => {
    expect(
      await startPhones(stage, phone, SERVER, { users: [1001], registrations: 1, perSecond: 1 }).ended,
    ).toBe(0)
    expect(await sampling()).toMatchObject({ state: 'quiet', group: 5060, detail: '' })

    flood = await startFlood(stage, flooder, server, { packets: 12 * LOUD, perSecond: LOUD })
    await eventually(async () => (await sampling())?.state === 'loud', 15_000, 'the log to be read')
    const customers = startPhones(stage, phone, SERVER, { users: [1001], registrations: 6, perSecond: 1 })
    const newcomers = startPhones(stage, newcomer, SERVER, { users: [1002], registrations: 5, perSecond: 1 })
    const guessing = startGuessing(stage, guesser, SERVER, { user: 1004, words: 20, pause: 0.2 })
    // Whom the sensor learns of by the sample alone.
    const late = await startFlood(stage, second, server, { packets: 30_000, perSecond: 6_000 })

    await eventually(() => isProven('10.99.0.11,udp:5090'), 5_000, 'the newcomer to be proven')
    const suspended = await eventually(() => blocked('10.99.0.77'), 10_000, 'a measure against the guesser')
    expect(suspended).toMatchObject({ kind: 'suspend', by: 'retry-limit', grade: 'path' })
    expect(await blocked('10.99.0.66')).toMatchObject({ kind: 'block', by: 'register-flood' })
    const other = await eventually(() => blocked('10.99.0.67'), 10_000, 'a block of the second flooder')
    expect(other).toMatchObject({ kind: 'block', by: 'register-flood', grade: 'packet' })

    const { sensor, rates, sentence } = await ringfence.status()
    expect(sensor).toMatchObject({ state: 'running', lowerBounds: true, sampling: { state: 'loud' } })
    expect(rates.registers).toBeLessThan(3_000)
    expect(sentence).toContain('at least')
    expect(await customers.ended).toBe(0)
    expect(phoneCounts(customers)).toEqual({ successes: 6, failures: 0 })
    expect(await newcomers.ended).toBe(0)
    expect(phoneCounts(newcomers)).toEqual({ successes: 5, failures: 0 })
    await guessing.ended
    expect(guessing.output).not.toContain('pw1004')
    await late.end()
    // Most of the flood was never captured, and all of it is counted.
    const { sensor: after, rules } = await ringfence.status()
    expect(rules.judged.udp).toBeGreaterThan(6 * LOUD)
    expect(after.framesSeen + after.framesLost).toBeLessThan(0.7 * rules.judged.udp)
    const honest = (await ringfence.ask<DecisionView[]>('blocked')).map(({ target }) => target.split(':')[0])
    expect(honest.filter((target) => ['10.99.0.10', '10.99.0.11'].includes(target!))).toEqual([])
    const story = await ringfence.ask<SourceStory>('explain', '10.99.0.11')
    expect(story).toMatchObject({ lane: 'proven', successes: 5, failures: 0 })
  })

  it('survives the end of the log’s reader, says so, and captures again when all is still', async () => {
    await flood.end()
    // What was loud before is another reader, which ends by itself.
    await eventually(
      async () => (await sampling())?.state === 'quiet',
      25_000,
      'quiet after the flood before',
    )
    flood = await startFlood(stage, flooder, server, { packets: 4 * LOUD, perSecond: LOUD })
    await eventually(async () => (await sampling())?.state === 'loud', 15_000, 'the log to be read')
    const reader = await eventually(() => childOf(ringfence.daemon!.pid, 'nflog:5060'), 5_000, 'the reader')
    process.kill(reader, 'SIGKILL')
    await ringfence.daemon!.says(/the kernel's log of requests cannot be read/, 5_000)
    expect((await ringfence.status()).sensor.state).toBe('running')
    await flood.end()
    const successes = async () => (await ringfence.ask<SourceStory>('explain', '10.99.0.10')).successes
    const before = await successes()
    // Over the way back to capturing all, too, nothing of them is missed.
    const phones = startPhones(stage, phone, SERVER, { users: [1001], registrations: 16, perSecond: 1 })
    await eventually(async () => (await sampling())?.state === 'quiet', 25_000, 'quiet')
    expect(await phones.ended).toBe(0)
    await eventually(async () => (await successes()) >= before + 16, 5_000, 'sixteen more registrations')
    expect(await successes()).toBe(before + 16)
  })
})

describe.runIf(able)('where another program listens to the group of the log', () => {
  const stage = new Stage()
  afterAll(() => stage.remove())

  it('says so and captures everything', async () => {
    await stage.create()
    const server = await stage.addHost('switch', SERVER)
    const flooder = await stage.addHost('flood', '10.99.0.66')
    await startKamailio(stage, server, { sharedNonces: false })
    const other = stage.start(server, 'tcpdump', ['-i', 'nflog:5999', '-w', '/dev/null'])
    await other.says(/listening on nflog:5999/)
    const ringfence = new Ringfence(stage, server, `${SETTINGS}\nsensor: { nflog: 5999 }`)
    await ringfence.start()
    const flood = await startFlood(stage, flooder, server, { packets: 3 * LOUD, perSecond: LOUD })
    await ringfence.daemon!.says(/another program listens to NFLOG group 5999/, 10_000)
    const { sensor } = await ringfence.status()
    expect(sensor.sampling).toMatchObject({ state: 'quiet', group: 5999 })
    expect((await ringfence.ask<DecisionView[]>('blocked'))[0]).toMatchObject({ target: '10.99.0.66' })
    await flood.end()
  })
})

/** A process that a process started, however far below, by a word of its command line. */
function childOf(parent: number, word: string): number | undefined {
  for (const child of read(`/proc/${parent}/task/${parent}/children`).split(' ').filter(Boolean)) {
    if (read(`/proc/${child}/cmdline`).includes(word)) return Number(child)
    const found = childOf(Number(child), word)
    if (found !== undefined) return found
  }
  return undefined
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1').trim()
  } catch {
    return ''
  }
}
