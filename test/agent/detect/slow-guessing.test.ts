import { describe, expect, it } from 'vitest'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

describe('slow guessing', () => {
  it('of one who stays under the lockout is blocked once it has added up', () => {
    const { exchange, verdicts } = stage()
    // One try each 40 s: fifteen in ten minutes, of twenty that the lockout needs, and never twice in a row for one.
    for (let i = 0; i < 80; i++)
      exchange(source('203.0.113.66'), START + i * 40_000, { ...WRONG, account: `${i % 20}@x` })
    expect(verdicts).toMatchObject([
      {
        name: 'slow-guessing',
        action: 'block',
        scope: 'sip',
        port: null,
        grade: 'path',
        duration: 14_400,
        reason:
          '60 failed registrations over 20 accounts within 1d, under every faster limit, none led to a success',
        evidence: {
          failures: 60,
          accounts: 20,
          goodAccounts: 0,
          liveBinding: false,
          accountsGuessedByOthers: 0,
        },
      },
    ])
    expect(verdicts[0]!.time - START).toBe(59 * 40_000)
  })

  it('that goes on when its block has run out is blocked again', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 1_000; i++)
      exchange(source('203.0.113.66'), START + i * 40_000, { ...WRONG, account: `${i % 20}@x` })
    const slow = verdicts.filter(({ name }) => name === 'slow-guessing')
    expect(slow.map(({ time }) => time - START)).toEqual([2_360_000, 16_760_000, 31_160_000])
  })

  it.each([
    ['one account', 1],
    ['two accounts', 2],
  ])('is not what a device with a wrong password for %s does, all week long', (_, accounts) => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 7 * 24 * 60; i++)
      exchange(source('192.0.2.7'), START + i * MINUTE, { ...WRONG, account: `${i % accounts}@x` })
    expect(new Set(verdicts.map(({ name, port }) => `${name} ${port}`))).toEqual(
      new Set(['retry-limit 5060']),
    )
  })

  it('decays: what failed days ago does not add to what fails now', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 59; i++)
      exchange(source('203.0.113.66'), START + i * MINUTE, { ...WRONG, account: `${i}@x` })
    for (let i = 0; i < 59; i++)
      exchange(source('203.0.113.66'), START + 30 * HOUR + i * MINUTE, { ...WRONG, account: `${i}@x` })
    expect(verdicts).toEqual([])
  })

  it('beside a good phone suspends the ports that are not registered, and says so', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 60; i++) {
      exchange(source('192.0.2.7', 5060), START + i * MINUTE, { ...RIGHT, account: 'good@x' })
      exchange(source('192.0.2.7', 40_000 + i), START + i * MINUTE, { ...WRONG, account: `${i % 30}@x` })
    }
    expect(verdicts).toMatchObject([
      { name: 'slow-guessing', action: 'suspend', scope: 'register', port: null },
    ])
    expect(verdicts[0]!.reason).toContain('registered ports of this address stay served')
  })

  it('over shared nonces only informs where somebody registered, and suspends a stranger', () => {
    const shared = { ...FORGED, answersItsChallenge: true }
    const customer = stage()
    customer.exchange(source('192.0.2.7'), START, RIGHT)
    const stranger = stage()
    for (let i = 0; i < 60; i++) {
      customer.exchange(source('192.0.2.7', 40_000 + i), START + i * MINUTE, {
        ...shared,
        account: `${i % 30}@x`,
      })
      stranger.exchange(source('203.0.113.66', 40_000 + i), START + i * MINUTE, {
        ...shared,
        account: `${i % 30}@x`,
      })
    }
    expect(customer.said()).toEqual(['slow-guessing: limit 192.0.2.7'])
    expect(stranger.said()).toEqual(['slow-guessing: suspend 203.0.113.66'])
    expect(stranger.verdicts[0]).toMatchObject({ grade: 'packet', scope: 'register' })
  })

  it('over made-up nonces is none', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 200; i++)
      exchange(source('203.0.113.66', 40_000 + i), START + i * MINUTE, { ...FORGED, account: `${i % 60}@x` })
    expect(verdicts).toEqual([])
  })

  it('is forgotten when the operator lifts the block', () => {
    const { detector, exchange, verdicts } = stage()
    for (let i = 0; i < 59; i++)
      exchange(source('203.0.113.66'), START + i * MINUTE, { ...WRONG, account: `${i}@x` })
    detector.pardon(source('203.0.113.66').address)
    for (let i = 59; i < 110; i++)
      exchange(source('203.0.113.66'), START + i * MINUTE, { ...WRONG, account: `${i}@x` })
    expect(verdicts).toEqual([])
  })
})

describe('500 sources with one try a minute on the same accounts', () => {
  const bot = (i: number) => source(`203.0.${113 + (i >> 8)}.${i & 255}`, 5060)

  it('raise one alert for each account, which names it and does nothing to it', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 500; i++) exchange(bot(i), START + i * 100, { ...WRONG, account: '1001@example.com' })
    expect(verdicts).toMatchObject([
      {
        name: 'account-guessed',
        action: 'alert',
        grade: 'path',
        evidence: { account: '1001@example.com', sources: 10, provenSources: 10, failures: 10 },
      },
    ])
    expect(verdicts[0]!.reason).toContain('1001@example.com failed from 10 addresses within 1d')
  })

  it('are each blocked in a third of the time, and an owner who mistyped once is not', () => {
    const { exchange, verdicts } = stage()
    const owner = source('198.51.100.9')
    for (let minute = 0; minute < 30; minute++) {
      for (let i = 0; i < 500; i++)
        exchange(bot(i), START + minute * MINUTE + i, { ...WRONG, account: `${minute % 10}@x` })
      if (minute % 10 === 3) exchange(owner, START + minute * MINUTE, { ...WRONG, account: '3@x' })
    }
    exchange(owner, START + 30 * MINUTE, { ...RIGHT, account: '3@x' })
    const slow = verdicts.filter(({ name }) => name === 'slow-guessing')
    expect(slow).toHaveLength(500)
    expect(slow.every(({ action, evidence }) => action === 'block' && Number(evidence.failures) <= 21)).toBe(
      true,
    )
    expect(verdicts.some(({ address, action }) => address === owner.address && action !== 'alert')).toBe(
      false,
    )
    expect(verdicts.filter(({ name }) => name === 'account-guessed')).toHaveLength(10)
  })
})

describe('a success that follows guesses', () => {
  function guessed(failures: number, accounts: number) {
    const lanes: string[] = []
    const known: string[] = []
    const staged = stage(
      { registerSuspend: false, block: { failures: 1_000, within: 600, for: 60 } },
      { onLane: ({ kind }) => lanes.push(kind), onSuccess: (prefix) => known.push(prefix) },
    )
    const guesser = source('203.0.113.66')
    for (let i = 0; i < failures; i++)
      staged.exchange(guesser, START + i * 1_000, { ...WRONG, account: `${i % accounts}@x` })
    staged.exchange(guesser, START + failures * 1_000, { ...RIGHT, account: '0@x' })
    return { ...staged, guesser, lanes, known }
  }

  it.each([
    ['over several accounts', 6, 3],
    ['for one account', 12, 1],
  ])('%s raises an alert, and opens no lane', (_, failures, accounts) => {
    const { detector, guesser, lanes, known, verdicts } = guessed(failures, accounts)
    expect(verdicts).toMatchObject([
      {
        name: 'guessed-right',
        action: 'alert',
        grade: 'account',
        port: 5060,
        evidence: { failures, accounts },
      },
    ])
    expect([lanes, known]).toEqual([[], []])
    expect(detector.sources.find(guesser.address)).toMatchObject({
      successes: 1,
      provenUntil: 0,
      vouched: false,
    })
  })

  it.each([
    ['one phone', 1, []],
    ['four phones', 4, ['guessed-right: alert 192.0.2.50:20000']],
  ])('is believed of a good phone of a new office, where %s fail beside it', (_, accounts, said) => {
    const lanes: string[] = []
    const office = stage(
      { registerSuspend: false, block: { failures: 1_000, within: 600, for: 60 } },
      { onLane: ({ kind }) => lanes.push(kind) },
    )
    for (let i = 0; i < 40; i++)
      office.exchange(source('192.0.2.50', 30_000 + (i % accounts)), START + i * 1_000, {
        ...WRONG,
        account: `bad${i % accounts}@x`,
      })
    office.exchange(source('192.0.2.50', 20_000), START + MINUTE, { ...RIGHT, account: 'good@x' })
    expect([office.said(), lanes]).toEqual([said, ['registered']])
  })

  it('is believed an hour later: somebody mended the password', () => {
    const { exchange, guesser, lanes } = guessed(12, 1)
    exchange(guesser, START + HOUR + MINUTE, { ...RIGHT, account: '0@x' })
    expect(lanes).toEqual(['registered'])
  })

  it.each([
    ['who mistyped five times', 5, 1],
    ['who mistyped eleven times', 11, 1],
  ])('of a new customer %s is a success', (_, failures, accounts) => {
    const { lanes, verdicts } = guessed(failures, accounts)
    expect([lanes, verdicts]).toEqual([['registered'], []])
  })

  it('where others forged the failures is told, and proven all the same', () => {
    const lanes: string[] = []
    const { exchange, said } = stage({ registerSuspend: false }, { onLane: ({ kind }) => lanes.push(kind) })
    const customer = source('198.51.100.9')
    for (let i = 0; i < 20; i++)
      exchange(customer, START + i, { ...FORGED, answersItsChallenge: true, account: `${i % 4}@x` })
    exchange(customer, START + 1_000, RIGHT)
    expect(said()).toEqual(['guessed-right: alert 198.51.100.9:5060'])
    expect(lanes).toEqual(['registered'])
  })
})
