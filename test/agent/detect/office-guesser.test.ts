import { describe, expect, it } from 'vitest'
import type { LaneEvidence } from '../../../agent/detect/lane-evidence.ts'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const ADDRESS = '192.0.2.50'
const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** Over a nonce that everybody is given, sent to this very port. */
const SHARED = { ...FORGED, answersItsChallenge: true, nonceOfPort: true, nonceIssued: true } as const

/** So many phones registered behind one address, each from its port, and the kernel that suspends what is told. */
function office(phones: number) {
  const lanes: LaneEvidence[] = []
  const staged = stage({}, { onLane: (evidence) => lanes.push(evidence) })
  const home = (i: number) => source(ADDRESS, 20_000 + i)
  for (let i = 0; i < phones; i++)
    staged.exchange(home(i), START - 10_000 + i, { ...RIGHT, account: `${1_000 + i}@x` })
  let allUntil = 0
  const ports = new Map<number, number>()
  let heard = 0
  return {
    ...staged,
    lanes,
    home,
    /** Gives whether it was answered. */
    tries(port: number, at: number, rest: Parameters<typeof staged.exchange>[2]): boolean {
      if (at < Math.max(allUntil, ports.get(port) ?? 0)) return false
      staged.exchange(source(ADDRESS, port), at, rest)
      for (const { action, port: of, time, duration } of staged.verdicts.slice(heard)) {
        if (action !== 'suspend' && action !== 'block') continue
        if (of === null) allUntil = time + duration * 1_000
        else ports.set(of, time + duration * 1_000)
      }
      heard = staged.verdicts.length
      return true
    },
    ofAll: () => staged.verdicts.filter(({ action, port }) => port === null && action === 'suspend'),
  }
}

describe('a guesser with a new port for each try, behind an office of 100', () => {
  const guess = (accounts: number, how: typeof WRONG | typeof SHARED, transport: 'udp' | 'tcp' = 'udp') => {
    const staged = office(100)
    let answered = 0
    // At 115 a second for two minutes.
    for (let i = 0; i < 13_800; i++) {
      const at = START + Math.floor(i * 8.7)
      if (staged.tries(30_000 + (i % 30_000), at, { ...how, transport, account: `v${i % accounts}@x` }))
        answered++
    }
    return { ...staged, answered }
  }

  it.each([
    [1, 160],
    [3, 160],
    [20, 160],
    [40, 175],
    [100, 480],
    [1_000, 300],
  ])('over %i accounts is stopped after about %i tries', (accounts, about) => {
    const { answered, ofAll } = guess(accounts, WRONG)
    expect(answered).toBeLessThan(1.1 * about)
    expect(ofAll()).toHaveLength(1)
    expect(ofAll()[0]).toMatchObject({ name: 'retry-limit', scope: 'register', grade: 'path', duration: 180 })
    expect(ofAll()[0]!.evidence).toMatchObject({ goodAccounts: 64 })
  })

  it('over TCP his pace tells him', () => {
    const { answered, ofAll } = guess(3, WRONG, 'tcp')
    expect(answered).toBeLessThan(400)
    expect(ofAll()).toHaveLength(1)
  })

  it('over nonces that everybody is given costs nobody anything but the size of a bucket, and is told once', () => {
    const { answered, measures, verdicts, lanes } = guess(40, SHARED)
    expect(answered).toBe(13_800)
    expect(measures()).toEqual([])
    const told = verdicts.filter(({ name }) => name === 'retry-limit')
    expect(told.map(({ action, port, grade }) => [action, port, grade])).toEqual([['limit', null, 'packet']])
    expect(told[0]!.reason).toMatch(
      /^1[67]\d failed registrations over \d\d accounts from 1[67]\d ports within 2s, as no phones fail; not suspended/,
    )
    const guessing = lanes.filter(({ kind }) => kind === 'guessing')
    expect(guessing[0]).toMatchObject({ source: `${ADDRESS}/32` })
    // For as long as he goes on.
    const last = guessing.at(-1)!
    expect('until' in last && last.until).toBeGreaterThan(START + 2 * MINUTE)
    const slow = verdicts.filter(({ name }) => name === 'slow-guessing')
    expect(slow.map(({ action }) => action)).toEqual(['limit'])
    expect(slow[0]!.reason).toMatch(/within 1s, too few from each port to suspend it: look for a guesser/)
  })

  it('waits twice as long each time, and the phones of the office keep their ports', () => {
    const staged = office(100)
    let answered = 0
    for (let i = 0; i < 200_000; i++) {
      const at = START + i * 50
      if (staged.tries(30_000 + (i % 30_000), at, { ...WRONG, account: `v${i % 3}@x` })) answered++
      if (i % 2_000 === 0)
        for (let phone = 0; phone < 100; phone++)
          staged.exchange(staged.home(phone), at, { ...RIGHT, account: `${1_000 + phone}@x` })
    }
    expect(
      staged
        .ofAll()
        .map(({ duration }) => duration)
        .slice(0, 5),
    ).toEqual([180, 360, 720, 1_440, 2_880])
    expect(staged.measures().filter((measure) => /:2\d{4}$/.test(measure))).toEqual([])
    // In nearly three hours.
    expect(answered).toBeLessThan(1_200)
  })
})

describe('an office in which nobody guesses is never suspended', () => {
  it('when five phones with wrong passwords have a new port for every burst of tries', () => {
    const staged = office(40)
    let port = 30_000
    for (let at = START; at < START + 2 * HOUR; at += 50_000) {
      for (let phone = 0; phone < 5; phone++) {
        port++
        for (let i = 0; i < 16; i++)
          staged.tries(port, at + phone * 700 + i, { ...WRONG, account: `bad${phone}@x` })
      }
    }
    expect(staged.ofAll()).toEqual([])
  })

  it('when 200 phones come back on other ports after a power cut, ten of them with wrong passwords', () => {
    const staged = office(200)
    for (let i = 0; i < 200; i++) {
      const at = START + MINUTE + i * 40
      const account = `${1_000 + i}@x`
      if (i % 20 !== 0) staged.tries(25_000 + i, at, { ...RIGHT, account })
      else for (let n = 0; n < 192; n++) staged.tries(25_000 + i, at + n * 3_100, { ...WRONG, account })
    }
    expect(staged.ofAll()).toEqual([])
  })

  it('when all of its passwords were changed, and its phones were started again twice', () => {
    const staged = office(200)
    for (let n = 0; n < 12; n++) {
      for (let i = 0; i < 200; i++) {
        const port = 20_000 + i + 1_000 * Math.floor(n / 4)
        for (let burst = 0; burst < 16; burst++)
          staged.tries(port, START + MINUTE + n * 50_000 + i * 20 + burst, {
            ...WRONG,
            account: `${1_000 + i}@x`,
          })
      }
    }
    expect(staged.ofAll()).toEqual([])
  })

  it('when one phone has a wrong password and takes a new port every minute, for a day', () => {
    for (const how of [WRONG, SHARED]) {
      const staged = office(20)
      for (let at = START, port = 30_000; at < START + 24 * HOUR; at += 50_000, port++)
        for (let i = 0; i < 16; i++) staged.tries(port, at + i, { ...how, account: 'bad@x' })
      expect(staged.ofAll()).toEqual([])
      expect(staged.lanes.filter(({ kind }) => kind === 'guessing')).toEqual([])
    }
  })
})

describe('a registered port', () => {
  it('is not suspended for what was written over nonces of its address, sent to another port', () => {
    const { exchange, home, measures, verdicts } = office(3)
    const forged = { ...WRONG, nonceOfPort: false }
    for (let i = 0; i < 600; i++) exchange(home(0), START + i * 200, { ...forged, account: '1000@x' })
    expect(measures()).toEqual([])
    expect(verdicts.map(({ name, action, port }) => `${name} ${action} ${port}`)).toEqual([
      'retry-limit alert 20000',
    ])
  })

  it('nor is one that is not, unless all of the failures in a row came from it', () => {
    const { exchange, measures } = office(40)
    for (let i = 0; i < 6; i++) exchange(source(ADDRESS, 30_000 + i), START + i, { ...WRONG, account: 'v@x' })
    for (let i = 0; i < 4; i++)
      exchange(source(ADDRESS, 30_005), START + 10 + i, { ...WRONG, account: 'v@x' })
    expect(measures()).toEqual([])
    exchange(source(ADDRESS, 30_005), START + 20, { ...WRONG, account: 'v@x' })
    expect(measures()).toEqual([`suspend ${ADDRESS}:30005`])
  })

  it('of two accounts, which guesses a third without end, is suspended when it is faster than a PBX', () => {
    const pace = (every: number) => {
      const staged = stage()
      const port = source(ADDRESS, 5_060)
      for (const account of ['a@x', 'b@x', 'c@x']) staged.exchange(port, START - 1_000, { ...RIGHT, account })
      for (let i = 0; i < 700; i++) {
        if (staged.measures().length === 0)
          staged.exchange(port, START + i * every, { ...WRONG, account: 'v@x' })
      }
      return staged
    }
    const guesser = pace(100)
    expect(guesser.measures()).toEqual([`suspend ${ADDRESS}:5060`])
    expect(guesser.verdicts.at(-1)!.time - START).toBeLessThan(25_000)
    const pbx = pace(5_000)
    expect(pbx.measures()).toEqual([])
    expect(pbx.said()).toContain(`retry-limit: limit ${ADDRESS}:5060`)
  })

  it('is one of six of a guesser, who registered an account at each: none of them goes on', () => {
    const staged = stage()
    const ports = Array.from({ length: 6 }, (_, i) => source(ADDRESS, 5_060 + i))
    for (const port of ports) staged.exchange(port, START - 1_000, { ...RIGHT, account: 'own@x' })
    const stopped = new Map<number, number>()
    let at = START
    for (const port of ports) {
      for (let tries = 1; tries <= 60 && !stopped.has(port.port); tries++) {
        at += 500
        staged.exchange(port, at, { ...WRONG, account: 'v@x' })
        if (staged.measures().includes(`suspend ${ADDRESS}:${port.port}`)) stopped.set(port.port, tries)
      }
    }
    expect([...stopped]).toEqual(ports.map(({ port }) => [port, 6]))
  })

  it('of an SBC stays, however fast one of its phones fails', () => {
    const { exchange, measures } = stage()
    const sbc = source(ADDRESS, 5_060)
    for (let i = 0; i < 20; i++) exchange(sbc, START - 1_000, { ...RIGHT, account: `${i}@sbc` })
    for (let i = 0; i < 1_000; i++) exchange(sbc, START + i * 200, { ...WRONG, account: 'mad@sbc' })
    expect(measures()).toEqual([])
  })

  it('that guesses over nonces that everybody is given is told of once an hour, and nothing else', () => {
    const { exchange, home, measures, verdicts } = office(1)
    for (let i = 0; i < 18_000; i++) exchange(home(0), START + i * 200, { ...SHARED, account: 'v@x' })
    expect(measures()).toEqual([])
    expect(verdicts.map(({ name, action }) => `${name} ${action}`)).toEqual(['retry-limit alert'])
    exchange(home(0), START + HOUR - MINUTE, { ...RIGHT, account: '1000@x' })
    expect(verdicts[0]!.reason).toMatch(
      /^201 failed registrations over 1 account from port 20000 within 10m, where 1 is registered/,
    )
    for (let i = 0; i < 300; i++)
      exchange(home(0), START + HOUR + MINUTE + i * 100, { ...SHARED, account: 'v@x' })
    expect(verdicts).toHaveLength(2)
  })
})

describe('two addresses of one guesser, each of which uses the nonces of the other', () => {
  const crossed = { ...FORGED, nonceOfPort: false, nonceIssued: true } as const

  it('are suspended as strangers, however often they change their ports', () => {
    for (const hop of [1, 3, 1_000]) {
      const { exchange, measures, verdicts } = stage()
      let until = 0
      let answered = 0
      for (let i = 0; i < 36_000; i++) {
        const at = START + i * 100
        if (at < until) continue
        answered++
        exchange(source('203.0.113.66', 30_000 + Math.floor(i / hop)), at, { ...crossed, account: 'v@x' })
        const last = verdicts.at(-1)
        if (last?.action === 'suspend') until = Math.max(until, last.time + last.duration * 1_000)
      }
      expect(answered).toBeLessThan(150)
      expect(measures().length).toBeGreaterThan(3)
      expect(verdicts.every(({ scope, grade }) => scope === 'register' && grade === 'packet')).toBe(true)
    }
  })

  it('do nothing to a customer whose address is written over them', () => {
    const { exchange, verdicts } = office(1)
    for (let i = 0; i < 5_000; i++)
      exchange(source(ADDRESS, 30_000 + (i % 500)), START + i * 50, { ...crossed, account: `v${i % 7}@x` })
    expect(verdicts).toEqual([])
  })
})
