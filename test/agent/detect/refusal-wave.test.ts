import { describe, expect, it } from 'vitest'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const phone = (i: number) => source(`198.51.100.${10 + i}`, 5_060 + i)
const account = (i: number) => `${1000 + i}@x`

const REFUSALS = [
  ['401 and a new challenge to each answer', { ...WRONG, status: 401 }],
  ['403 to credentials', { ...WRONG, status: 403 }],
  ['403 over nonces that everybody gets', { ...FORGED, answersItsChallenge: true, status: 403 }],
  ['bare 403', { outcome: 'refused', status: 403 }],
  ['bare 404', { outcome: 'refused', status: 404 }],
] as const

type Stage = ReturnType<typeof stage>

function registered(phones: number): Stage {
  const staged = stage()
  for (let i = 0; i < phones; i++) staged.exchange(phone(i), START + i, { ...RIGHT, account: account(i) })
  return staged
}

/** Everybody tries again each `every`, each phone so many times at once. */
function refuse(
  { exchange }: Stage,
  {
    phones,
    from,
    lasts,
    every,
    times = 1,
    how,
  }: {
    readonly phones: number
    readonly from: number
    readonly lasts: number
    readonly every: number
    readonly times?: number
    readonly how: object
  },
) {
  for (let at = from; at < from + lasts; at += every)
    for (let i = 0; i < phones; i++)
      for (let time = 0; time < times; time++)
        exchange(phone(i), at + i * 40 + time, { ...how, account: account(i) })
}

describe.each(REFUSALS)('a softswitch that refuses everybody with %s', (_, how) => {
  it.each([
    ['three phones, each nine seconds', 3, 9 * SECOND, 1],
    ['forty phones, each nine seconds', 40, 9 * SECOND, 1],
    ['five phones with sixteen tries at once, each 50 s', 5, 50 * SECOND, 16],
    ['five phones whose turn comes once in ten minutes', 5, 10 * MINUTE, 16],
  ] as const)('suspends nobody who was registered: %s', (_what, phones, every, times) => {
    const staged = registered(phones)
    // Until just before, phones were right.
    staged.exchange(phone(0), START + 10 * MINUTE - SECOND, { ...RIGHT, account: account(0) })
    const lasts = Math.max(MINUTE, every * 3)
    refuse(staged, { phones, from: START + 10 * MINUTE, lasts, every, times, how })
    expect(staged.measures()).toEqual([])
  })

  it('for an hour: is told once in ten minutes at most, and nobody is suspended', () => {
    const staged = registered(20)
    refuse(staged, { phones: 20, from: START + MINUTE, lasts: HOUR, every: 30 * SECOND, how })
    expect(staged.measures()).toEqual([])
    expect(staged.said().filter((said) => said.startsWith('refused-all: alert'))).toHaveLength(1)
    expect(staged.said()).toHaveLength(1)
  })

  it('spares strangers when the wave is large, and not when it is small', () => {
    const strangers = (phones: number) => {
      const staged = registered(phones)
      for (let round = 0; round < 8; round++) {
        refuse(staged, {
          phones,
          from: START + MINUTE + round * 9 * SECOND,
          lasts: 1,
          every: 9 * SECOND,
          how,
        })
        for (let i = 0; i < 12; i++)
          staged.exchange(
            source('203.0.113.5', 24_000 + i),
            START + MINUTE + round * 9 * SECOND + 2_000 + i,
            {
              ...how,
              account: `new${i}@x`,
            },
          )
      }
      return staged.measures()
    }
    expect(strangers(12)).toEqual([])
    expect(strangers(5).length).toBeGreaterThan(0)
  })
})

describe('when it is over', () => {
  it('guessers are judged again at once, and phones too', () => {
    const staged = registered(12)
    refuse(staged, { phones: 12, from: START + MINUTE, lasts: MINUTE, every: 9 * SECOND, how: WRONG })
    expect(staged.measures()).toEqual([])
    for (let i = 0; i < 12; i++)
      staged.exchange(phone(i), START + 3 * MINUTE + i, { ...RIGHT, account: account(i) })
    for (let i = 0; i < 20; i++)
      staged.exchange(source('203.0.113.66'), START + 3 * MINUTE + SECOND + i, { ...WRONG, account: `${i}` })
    expect(staged.measures()).toEqual(['block 203.0.113.66'])
  })

  it('is over as well when nobody was refused for two minutes', () => {
    const staged = registered(12)
    refuse(staged, { phones: 12, from: START + MINUTE, lasts: MINUTE, every: 9 * SECOND, how: WRONG })
    for (let i = 0; i < 20; i++)
      staged.exchange(source('203.0.113.66'), START + 5 * MINUTE + i, { ...WRONG, account: `${i}` })
    expect(staged.measures()).toEqual(['block 203.0.113.66'])
  })
})

describe('one whose password alone was changed', () => {
  it('is suspended as the policy says, a minute later', () => {
    const staged = registered(12)
    for (let i = 0; i < 20; i++)
      staged.exchange(phone(0), START + MINUTE + i * 10 * SECOND, { ...WRONG, account: account(0) })
    expect(staged.measures()[0]).toBe('suspend 198.51.100.10:5060')
    expect(staged.verdicts[0]!.time - START).toBe(2 * MINUTE + 50 * SECOND)
  })

  it('or three, while the others are right: no wave', () => {
    const staged = registered(30)
    for (let i = 0; i < 60; i++) {
      for (let bad = 0; bad < 3; bad++)
        staged.exchange(phone(bad), START + MINUTE + i * 10 * SECOND + bad, {
          ...WRONG,
          account: account(bad),
        })
      const right = 3 + (i % 27)
      staged.exchange(phone(right), START + MINUTE + i * 10 * SECOND + 1 + (i % 2), {
        ...RIGHT,
        account: account(right),
      })
    }
    expect(staged.said().filter((said) => said.startsWith('refused-all'))).toEqual([])
    expect(new Set(staged.measures()).size).toBe(3)
  })
})

describe('an attacker who makes refusals on purpose', () => {
  const guess = ({ exchange }: Stage, i: number, at: number) =>
    exchange(source('203.0.113.66', 5_060), at, { ...WRONG, account: `victim${i}@x` })

  it('with three accounts of his own at three addresses is judged as ever', () => {
    const staged = registered(3)
    for (let i = 0; i < 60; i++) {
      for (let own = 0; own < 3; own++)
        staged.exchange(phone(own), START + MINUTE + i * SECOND + own, { ...WRONG, account: account(own) })
      guess(staged, i, START + MINUTE + i * SECOND + 10)
    }
    expect(staged.said()[0]).toContain('refused-all')
    expect(staged.measures()[0]).toBe('block 203.0.113.66')
  })

  it('with one account at twenty addresses, or twenty accounts at one, as well', () => {
    for (const own of [
      (i: number) => ({ at: phone(i), account: 'mine@x' }),
      (i: number) => ({ at: source('198.51.100.10', 5_060 + i), account: account(i) }),
    ]) {
      const staged = stage()
      for (let i = 0; i < 20; i++)
        staged.exchange(own(i).at, START + i, { ...RIGHT, account: own(i).account })
      for (let i = 0; i < 60; i++) {
        for (let j = 0; j < 20; j++)
          staged.exchange(own(j).at, START + MINUTE + i * SECOND + j, { ...WRONG, account: own(j).account })
        guess(staged, i, START + MINUTE + i * SECOND + 30)
      }
      expect(staged.measures()).toContain('block 203.0.113.66')
    }
  })

  it('with ten accounts in ten networks of one IPv6 site, as well', () => {
    const staged = stage()
    const own = (i: number) => source(`2001:db8:7:ab0${i}::1`)
    for (let i = 0; i < 10; i++) staged.exchange(own(i), START + i, { ...RIGHT, account: account(i) })
    for (let i = 0; i < 60; i++) {
      for (let j = 0; j < 10; j++)
        staged.exchange(own(j), START + MINUTE + i * SECOND + j, { ...WRONG, account: account(j) })
      guess(staged, i, START + MINUTE + i * SECOND + 30)
    }
    expect(staged.measures()).toContain('block 203.0.113.66')
  })

  it('by forged packets under customers’ addresses, without their ports, makes no wave', () => {
    const staged = registered(40)
    for (let i = 0; i < 40; i++) {
      for (let customer = 0; customer < 40; customer++)
        staged.exchange(source(phone(customer).address, 9), START + MINUTE + i * SECOND + customer, {
          ...FORGED,
          account: account(customer),
        })
      guess(staged, i, START + MINUTE + i * SECOND + 100)
    }
    expect(staged.said()).toEqual(['lockout: block 203.0.113.66', 'lockout: block 203.0.113.66'])
  })

  it('or beside good traffic: the large wave needs four in five of all who are known', () => {
    const staged = registered(40)
    for (let i = 0; i < 60; i++) {
      for (let own = 0; own < 15; own++)
        staged.exchange(phone(own), START + MINUTE + i * SECOND + own, { ...WRONG, account: account(own) })
      const right = 15 + (i % 25)
      staged.exchange(phone(right), START + MINUTE + i * SECOND + 7, { ...RIGHT, account: account(right) })
      guess(staged, i, START + MINUTE + i * SECOND + 30)
    }
    expect(staged.measures()).toContain('block 203.0.113.66')
  })
})
