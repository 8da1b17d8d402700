import { describe, expect, it } from 'vitest'
import { prefixOfAddress } from '../../../registrar/net/address.ts'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const OFFICE = '192.0.2.50'
/** Wrong passwords where the softswitch gives everybody the same nonces. */
const SHARED = { ...FORGED, answersItsChallenge: true } as const

type Stage = ReturnType<typeof stage>

/** Phones with wrong passwords, each at its port, eight tries a second apart, one phone after the other or all at once. */
function failing(
  { exchange }: Stage,
  {
    phones,
    at,
    wrong,
    inTurn,
  }: { phones: number; at: number; wrong: typeof WRONG | typeof SHARED; inTurn: boolean },
) {
  for (let i = 0; i < phones * 8; i++) {
    const phone = inTurn ? Math.floor(i / 8) : i % phones
    exchange(source(OFFICE, 30_000 + phone), at + i * 300, { ...wrong, account: `bad${phone}@x` })
  }
}

function goodPhones({ exchange }: Stage, phones: number, at: number) {
  for (let i = 0; i < phones; i++)
    exchange(source(OFFICE, 20_000 + i), at + i * 10, { ...RIGHT, account: `good${i}@x` })
}

const portsOf = (measures: string[]) => [...new Set(measures)].sort()

describe.each([
  ['own nonces', WRONG],
  ['shared nonces', SHARED],
] as const)('an office with three wrongly configured phones, over %s', (_, wrong) => {
  it.each([
    ['one after the other', true],
    ['at once', false],
  ] as const)(
    'that starts for the first time, %s, has their three ports suspended and nothing else',
    (_order, inTurn) => {
      const office = stage()
      for (let round = 0; round < 10; round++)
        failing(office, { phones: 3, at: START + round * 200 * SECOND, wrong, inTurn })
      expect(portsOf(office.measures())).toEqual(
        [30_000, 30_001, 30_002].map((port) => `suspend ${OFFICE}:${port}`),
      )
      // Also when the good ones come one by one between them.
      const mixed = stage()
      for (let i = 0; i < 20; i++) {
        goodPhones(mixed, i, START + i * MINUTE)
        failing(mixed, { phones: 3, at: START + i * MINUTE + SECOND, wrong, inTurn })
      }
      expect(mixed.measures().every((measure) => measure.startsWith(`suspend ${OFFICE}:300`))).toBe(true)
    },
  )

  it('that was dark for two hours is an office still', () => {
    const office = stage()
    goodPhones(office, 40, START)
    // Nine wrong ones now, as many as no new place may have.
    for (let round = 0; round < 3; round++)
      failing(office, { phones: 9, at: START + 2 * HOUR + round * 200 * SECOND, wrong, inTurn: false })
    expect(portsOf(office.measures())).toEqual(
      Array.from({ length: 9 }, (_, i) => `suspend ${OFFICE}:${30_000 + i}`),
    )
  })

  it('that was dark for a weekend still has its ports suspended one by one', () => {
    const office = stage()
    goodPhones(office, 40, START)
    failing(office, { phones: 9, at: START + 60 * HOUR, wrong, inTurn: false })
    expect(office.measures().filter((measure) => !measure.includes(':'))).toEqual([])
  })
})

describe('an office that is known from before a restart', () => {
  it('has the ports of its wrong phones suspended one by one', () => {
    const office = stage()
    office.detector.sources.known(
      prefixOfAddress(source(OFFICE).address),
      START - 3 * HOUR,
      START - 2 * HOUR,
      40,
    )
    failing(office, { phones: 9, at: START, wrong: WRONG, inTurn: false })
    expect(office.measures().filter((measure) => !measure.includes(':'))).toEqual([])
  })
})

describe('a guesser where nobody ever registered', () => {
  const GUESSER = '203.0.113.66'
  const guess = (
    tries: number,
    how: (i: number) => { port: number; account: string },
    wrong: object = WRONG,
  ) => {
    const staged = stage()
    let until = 0
    let made = 0
    const cut = new Map<number, number>()
    for (let i = 0; i < tries; i++) {
      const at = START + i * 200
      const { port, account } = how(i)
      if (at < until || at < (cut.get(port) ?? 0)) continue
      made++
      const before = staged.verdicts.length
      staged.exchange(source(GUESSER, port), at, { ...wrong, account })
      for (const verdict of staged.verdicts.slice(before)) {
        if (verdict.action !== 'suspend' && verdict.action !== 'block') continue
        const end = verdict.time + verdict.duration * 1_000
        if (verdict.port === null) until = Math.max(until, end)
        else cut.set(verdict.port, end)
      }
    }
    return { ...staged, made }
  }

  it.each([
    ['several accounts from one port', (i: number) => ({ port: 40_000, account: `${i % 7}` })],
    ['a new port and account each time', (i: number) => ({ port: 40_000 + i, account: `${i}` })],
    ['a new port each time, few accounts', (i: number) => ({ port: 40_000 + i, account: `${i % 4}` })],
  ] as const)('with %s is locked out at the twentieth failure', (_, how) => {
    const { made, measures } = guess(4_000, how)
    expect(made).toBe(20)
    expect(measures()).toEqual([`block ${GUESSER}`])
  })

  it('who gives each port an account, as phones do, is locked out when they are more than a place has', () => {
    const { made, measures } = guess(4_000, (i) => ({
      port: 40_000 + Math.floor(i / 6),
      account: `${Math.floor(i / 6)}`,
    }))
    expect(made).toBe(49)
    expect(measures().at(-1)).toBe(`block ${GUESSER}`)
  })

  it('who comes back to his ports with another account is no phone either', () => {
    const { measures } = guess(3_000, (i) => ({
      port: 40_000 + (Math.floor(i / 6) % 3),
      account: `${Math.floor(i / 18)}`,
    }))
    expect(measures()).toContain(`block ${GUESSER}`)
  })

  it.each([
    ['own', WRONG],
    ['shared', SHARED],
  ] as const)(
    'on one account from ever new ports waits twice as long each time, over %s nonces',
    (_, wrong) => {
      const { verdicts, made } = guess(
        60_000,
        (i) => ({ port: 40_000 + Math.floor(i / 6), account: 'boss' }),
        wrong,
      )
      const whole = verdicts.filter(({ port }) => port === null)
      expect(whole.map(({ duration }) => duration)).toEqual([180, 360, 720, 1_440, 2_880, 3_600, 3_600])
      expect(whole[1]).toMatchObject({ name: 'retry-limit', action: 'suspend', evidence: { times: 2 } })
      expect(whole[1]!.reason).toContain('for the 2nd time')
      // More than three hours at five a second.
      expect(made).toBeLessThan(120)
    },
  )

  it('on one account with a new port for each try is stopped where nonces are shared', () => {
    const { made, measures } = guess(2_000, (i) => ({ port: 40_000 + i, account: 'boss' }), SHARED)
    expect(measures()[0]).toBe(`suspend ${GUESSER}`)
    expect(made).toBeLessThan(60)
  })
})

describe('grade path that rests on a softswitch whose sharing of nonces is not known yet', () => {
  const unsure = { ...WRONG, pathCertain: false } as const

  it('suspends no port that is registered, and no address that registered within days', () => {
    const { exchange, measures } = stage()
    exchange(source(OFFICE, 20_000), START, RIGHT)
    for (let i = 0; i < 100; i++)
      exchange(source(OFFICE, 20_000), START + 2 * MINUTE + i, { ...unsure, account: `${i % 9}` })
    expect(measures()).toEqual([])
    for (let port = 40_000; port < 40_030; port++)
      for (let i = 0; i < 6; i++)
        exchange(source(OFFICE, port), START + 3 * MINUTE + port + i, { ...unsure, account: `${port}` })
    expect(measures().filter((measure) => !measure.includes(':'))).toEqual([])
  })

  it('is what it is against strangers', () => {
    const { exchange, measures } = stage()
    for (let i = 0; i < 20; i++)
      exchange(source('203.0.113.66'), START + i * SECOND, { ...unsure, account: `${i}` })
    expect(measures()).toEqual(['block 203.0.113.66'])
  })
})
