import { describe, expect, it } from 'vitest'
import { ATTACKS } from '../../scripts/siege/attacks.ts'
import { randomFrom } from '../../scripts/siege/phones/random.ts'
import { readArguments } from '../../scripts/siege/soak/asked-soak.ts'
import { chooseRound, SOAKED } from '../../scripts/siege/soak/choose-round.ts'
import { growthOf, type Held, leaksOf } from '../../scripts/siege/soak/growth.ts'
import { customersOf, judgeSoak } from '../../scripts/siege/soak/report.ts'

const held = (at: number, changes: Partial<Held> = {}): Held => ({
  at,
  memory: 120e6,
  kinds: { daemon: 80e6, sensor: 40e6 },
  sources: 100,
  files: 90,
  processes: 6,
  tables: 10e6,
  data: 1e6,
  ...changes,
})
const moments = (amount: number, of: (index: number) => Partial<Held> = () => ({})) =>
  Array.from({ length: amount }, (_, i) => held(i * 30, of(i)))

describe('what a soak asks for', () => {
  it('is read with its defaults', () => {
    expect(readArguments(['--soak', '4m', '--out', '/tmp/x'])).toEqual({
      help: false,
      seconds: 240,
      nonces: 'shared',
      share: 0.2,
      seed: 1,
      folder: '/tmp/x',
    })
  })

  it.each([
    ['59s', '--soak', '59s'],
    ['8d', '--soak', '8d'],
    ['no nonces', '--nonces', 'none'],
    ['no share', '--share', '0'],
    ['no seed', '--seed', 'x'],
  ])('is refused: %s', (_what, ...args) => {
    expect(readArguments(args)).toMatch(/^--/)
  })
})

describe('the rounds of a soak', () => {
  it('are of attacks that one stage can have, whose customers must all be served', () => {
    expect(SOAKED).toContain('none')
    expect(SOAKED).toContain('guessers')
    expect(SOAKED.filter((name) => ATTACKS[name].targets.customers !== 'met')).toEqual([])
    const others = ['storm', 'office-guesser', 'forged-allowed', 'forged-registered', 'one-source']
    expect(SOAKED.filter((name) => others.includes(name))).toEqual([])
  })

  it('never have one method twice in a row, all of them in time, the same for the same seed', () => {
    const play = (seed: number) => {
      const random = randomFrom(seed)
      const rounds = [chooseRound(null, 0.2, random)]
      for (let i = 1; i < 300; i++) rounds.push(chooseRound(rounds.at(-1)!.attack, 0.2, random))
      return rounds
    }
    const rounds = play(1)
    expect(rounds.filter(({ attack }, i) => attack === rounds[i - 1]?.attack)).toEqual([])
    expect(new Set(rounds.map(({ attack }) => attack)).size).toBe(SOAKED.length)
    expect(rounds.every(({ seconds }) => seconds >= 8 && seconds <= 16)).toBe(true)
    expect(rounds.every(({ share }) => share >= 0.05 && share <= 0.2)).toBe(true)
    expect(play(1)).toEqual(rounds)
    expect(play(2)).not.toEqual(rounds)
  })
})

describe('what leaks', () => {
  it('is what grew from the second quarter to the last, and not what came at the beginning', () => {
    expect(leaksOf(moments(20))).toEqual([])
    expect(leaksOf(moments(20, (i) => ({ memory: i < 5 ? 60e6 + i * 12e6 : 120e6 })))).toEqual([])
    expect(leaksOf(moments(20, (i) => ({ memory: 120e6 + i * 5e6 })))).toEqual([
      'memory grew from 155.0 MB to 205.0 MB',
    ])
    expect(leaksOf(moments(20, (i) => ({ files: 90 + i })))).toEqual(['files grew from 97 to 107'])
    expect(leaksOf(moments(20, (i) => ({ processes: 6 + (i > 12 ? 2 : 0) })))).toEqual([
      'processes grew from 6 to 8',
    ])
  })

  it('is no swing of a few megabytes, nor one moment that is out of line', () => {
    expect(leaksOf(moments(20, (i) => ({ memory: 120e6 + (i % 3) * 8e6 })))).toEqual([])
    expect(leaksOf(moments(20, (i) => ({ files: i === 17 ? 300 : 90 })))).toEqual([])
  })

  it('is a table of the kernel over its bound too', () => {
    expect(leaksOf(moments(8, (i) => ({ tables: i === 3 ? 151e6 : 1e6 })))).toHaveLength(1)
  })

  it('is not known of a few rounds', () => {
    expect(leaksOf(moments(3))).toEqual(['only 3 rounds: too few to tell of leaks'])
    expect(growthOf(moments(4)).map(({ what }) => what)).toEqual(['memory', 'files', 'processes'])
  })
})

describe('the verdict of a soak', () => {
  const round = {
    attack: 'mixed',
    seconds: 10,
    share: 0.1,
    unanswered: 0,
    machineBusy: 0.5,
    kinds: {
      customer: {
        phones: 150,
        registrations: 200,
        success: 0.99,
        late: 2,
        refused: 0,
        silence: 0,
        p50: 3,
        p99: 9,
      },
    },
  } as const

  it('counts registrations of customers over all rounds', () => {
    expect(customersOf([round, round])).toEqual({ asked: 400, failed: 4 })
  })

  it('is not passed where somebody honest was blocked', () => {
    const record = { rounds: [round], held: moments(8), honestBans: [], bans: 3 }
    expect(judgeSoak(record)).toEqual([])
    const ban = { id: '1', target: '10.50.0.10', by: 'flood', reason: 'too many' }
    expect(judgeSoak({ ...record, honestBans: [ban] })).toEqual([
      'honest and blocked: 10.50.0.10 by flood: too many',
    ])
  })
})
