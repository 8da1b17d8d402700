import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openJournal } from '../../agent/journal/open-journal.ts'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { canRun } from '../requirements.ts'
import { startFlood, startGuessing } from '../stage/attackers.ts'
import { startKamailio } from '../stage/kamailio.ts'
import { kernelText } from '../stage/kernel-text.ts'
import { phoneCounts, startPhones } from '../stage/phones.ts'
import { Ringfence } from '../stage/ringfence.ts'
import { eventually } from '../stage/running.ts'
import { Stage, type StageHost } from '../stage/stage.ts'

const able = canRun({ programs: ['ip', 'iptables', 'ipset', 'kamailio', 'sipp', 'svcrack', 'trafgen'] })
const HOUR = 3_600_000
const SERVER = '10.99.0.1'
const SETTINGS = 'protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }'

describe.runIf(able)('a host that has learnt what is usual', () => {
  const stage = new Stage()
  let server: StageHost
  let phone: StageHost
  let flooder: StageHost
  let guesser: StageHost
  let stranger: StageHost
  let ringfence: Ringfence

  beforeAll(async () => {
    await stage.create()
    server = await stage.addHost('switch', SERVER)
    phone = await stage.addHost('phone', '10.99.0.10')
    flooder = await stage.addHost('flood', '10.99.0.66')
    guesser = await stage.addHost('guess', '10.99.0.77')
    stranger = await stage.addHost('stranger', '10.99.0.88')
    const { journal } = openJournal({ file: stage.path('data/ringfence.db'), now: Date.now })
    const present = Math.floor(Date.now() / HOUR) * HOUR
    for (let i = 1; i <= 72; i++) {
      journal.recordBaseline({
        hour: present - i * HOUR,
        minutes: 60,
        registers: 0.4,
        successes: 0.2,
        share: 0.5,
        endpoints: 2,
        newSources: 0,
      })
    }
    journal.close()
    await startKamailio(stage, server, { sharedNonces: false })
    ringfence = new Ringfence(stage, server, SETTINGS)
    await ringfence.start()
  })
  afterAll(() => stage.remove())

  const weather = async () => (await ringfence.status()).weather

  it('is tighter under attack, says so with its figures, and goes back by itself', async () => {
    const phones = startPhones(stage, phone, SERVER, {
      users: [1001, 1002],
      registrations: 25,
      perSecond: 1,
    })
    expect(await weather()).toMatchObject({
      state: 'peace',
      baseline: { state: 'learnt', hours: 72, usual: { registers: 0.4, share: 0.5 } },
      policy: { registerRetry: 6, registerSuspendTime: 180 },
    })
    const flood = await startFlood(stage, flooder, server, { packets: 10_000, perSecond: 1_000 })
    const attack = await eventually(
      async () => {
        const now = await weather()
        return now.state === 'attack' ? now : undefined
      },
      20_000,
      'the attack to be seen',
    )
    expect(attack.policy).toEqual({ registerRetry: 3, registerSuspendTime: 900 })
    expect(attack.why).toMatch(
      /^(At least )?\d+ REGISTERs( of [\d,]+ packets)? a second \(usual at this hour: 0.4, up to 5.4\), and \d % of them succeed\.$/,
    )
    // Far slower than a flood: the third wrong password is enough, and for longer.
    startGuessing(stage, guesser, SERVER, { user: 1004, words: 60, pause: 0.5 })
    const suspension = await eventually(
      async () =>
        (await ringfence.ask<DecisionView[]>('blocked')).find(({ target }) =>
          target.startsWith('10.99.0.77'),
        ),
      15_000,
      'a measure against the guesser',
    )
    expect(suspension).toMatchObject({ kind: 'suspend', by: 'retry-limit', evidence: { failures: 3 } })
    expect(suspension.secondsLeft).toBeGreaterThan(800)
    const { stdout } = await ringfence.command(['status'])
    expect(stdout).toMatch(
      /^weather +attack since .*: (At least )?\d+ REGISTERs( of [\d,]+ packets)? a second/m,
    )
    expect(stdout).toMatch(/3 failures suspend for 15m/)
    expect(stdout).toMatch(/Last changes, newest first:\n.* weather: attack: /)
    expect(await flood.ended).toBe(0)
    expect(await phones.ended).toBe(0)
    expect(phoneCounts(phones)).toEqual({ successes: 25, failures: 0 })

    const peace = await eventually(
      async () => {
        const now = await weather()
        return now.state === 'peace' ? now : undefined
      },
      90_000,
      'peace',
    )
    expect(peace.policy).toEqual({ registerRetry: 6, registerSuspendTime: 180 })
    const changes = peace.changes.filter(({ what }) => what === 'weather')
    expect(changes.map(({ state }) => state)).toEqual(['peace', 'attack'])
    expect(changes[1]!.figures).toMatchObject({ usualRegisters: 0.4, usualShare: 0.5 })
    expect(changes[1]!.figures.registers).toBeGreaterThan(100)
    // It ends a minute after it was last seen.
  }, 180_000)

  it('blocks nobody for a rate while known phones come back all at once, and says so', async () => {
    const users = Array.from({ length: 40 }, (_, i) => 1_100 + i)
    const back = startPhones(stage, phone, SERVER, {
      users,
      registrations: 40,
      perSecond: 8,
      sockets: 'one-each',
      localPort: 6_000,
    })
    const recovery = await eventually(
      async () => {
        const status = await ringfence.status()
        return status.state === 'recovery' ? status : undefined
      },
      20_000,
      'the recovery to be seen',
    )
    expect(recovery.sentence).toMatch(/^Recovering: \d+ known accounts registered within half a minute\. /)
    expect(recovery.weather.policy).toEqual({ registerRetry: 6, registerSuspendTime: 180 })
    const flood = await startFlood(stage, stranger, server, { packets: 240, perSecond: 30 })
    expect(await flood.ended).toBe(0)
    const story = await eventually(
      async () => {
        const told = await ringfence.ask<SourceStory>('explain', stranger.address)
        return told.verdicts.length > 0 ? told : undefined
      },
      10_000,
      'a verdict about the flooder',
    )
    expect(story.verdicts[0]).toMatchObject({ action: 'limit', grade: 'packet' })
    expect(story.verdicts[0]!.reason).toMatch(/while phones come back all at once: limited, not blocked$/)
    expect(await ringfence.ask<DecisionView[]>('blocked')).not.toContainEqual(
      expect.objectContaining({ target: stranger.address }),
    )
    expect(await back.ended).toBe(0)
    expect(phoneCounts(back)).toEqual({ successes: 40, failures: 0 })
  })

  it('has the kernel let strangers have what known phones leave of the capacity', async () => {
    ringfence.configure(`${SETTINGS}
limits: { capacity: 500, total: { perSecond: auto }, strict: { total: { perSecond: auto } } }`)
    ringfence.daemon?.reload()
    const left = await eventually(
      async () => {
        const { capacity } = await weather()
        return capacity.how === 'configured' && (capacity.leftForUnknown ?? 2_000) < 2_000
          ? capacity.leftForUnknown!
          : undefined
      },
      10_000,
      'a limit that follows',
    )
    expect(left).toBeGreaterThan(400)
    expect(left).toBeLessThanOrEqual(450)
    const under = Math.round(left * 0.75)
    await eventually(
      async () => {
        const rules = await kernelText(server)
        const held = [...rules.matchAll(/--hashlimit-name rf-(all|sall)4-(\S+)/g)].map(
          ([, which, rate]) => `${which} ${rate}`,
        )
        const wanted = [`all ${left}sec-${2 * left}`, `sall ${under}sec-${under}`]
        return held.length > 0 && held.every((each) => wanted.includes(each))
      },
      10_000,
      'the limit in the kernel',
    )
  })
})
