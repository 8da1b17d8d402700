import { describe, expect, it } from 'vitest'
import { toolAmong } from '../../../agent/detect/tool-agents.ts'
import { RIGHT, START, source, stage } from './stage.ts'

const SCANNER = source('203.0.113.66')
const UNKNOWN = { outcome: 'refused', status: 404 } as const

describe('a scan for accounts', () => {
  it.each([
    ['at once', 100, 30],
    ['for a minute', 7_000, 10],
  ])('%s is blocked from registering', (_, pause, accounts) => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 60; i++) exchange(SCANNER, START + i * pause, { ...UNKNOWN, account: `${100 + i}@x` })
    expect(verdicts).toMatchObject([
      {
        name: 'account-scan',
        action: 'block',
        scope: 'register',
        grade: 'packet',
        port: null,
        duration: 600,
        reason: `asked for ${accounts} accounts that never registered here within 10m, and registered none`,
        evidence: {
          accounts,
          tries: accounts,
          lastAccount: `${99 + accounts}@x`,
          lastStatus: 404,
          tool: null,
        },
      },
    ])
  })

  it.each([
    ['friendly-scanner', 5],
    ['sipcli/v1.8', 5],
    ['Grandstream GXP1625', 30],
    ['Asterisk PBX', 30],
  ])('by %s is blocked at account %i', (userAgent, accounts) => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 30; i++) exchange(SCANNER, START + i, { ...UNKNOWN, account: `${i}@x`, userAgent })
    expect(verdicts.map(({ evidence }) => evidence.accounts)).toEqual([accounts])
  })

  it('a User-Agent alone is no scan', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 200; i++)
      exchange(SCANNER, START + i * 1_000, { account: `${i % 3}@x`, userAgent: 'friendly-scanner' })
    expect(verdicts).toEqual([])
  })

  it('under the address of a customer only informs', () => {
    for (const later of [1_000, 5 * 86_400_000]) {
      const { exchange, said } = stage()
      exchange(SCANNER, START, RIGHT)
      for (let i = 0; i < 100; i++)
        exchange(source(SCANNER.address, 7_000), START + later + i, { ...UNKNOWN, account: `${i}@x` })
      expect(said()).toEqual(['account-scan: limit 203.0.113.66'])
    }
  })

  it('is not what the phones of an office do whose accounts are not made yet: they ask again and again', () => {
    const { exchange, verdicts } = stage()
    for (let round = 0; round < 60; round++) {
      for (let phone = 0; phone < 9 + Math.min(round, 11); phone++)
        exchange(source('192.0.2.50', 20_000 + phone), START + round * 30_000 + phone, {
          ...UNKNOWN,
          account: `${phone}@x`,
        })
    }
    expect(
      verdicts
        .map(({ name, port }) => `${name} ${port}`)
        .filter((said) => !/^retry-limit 2\d{4}$/.test(said)),
    ).toEqual([])
  })

  it('accounts that registered here, from wherever, do not count', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 20; i++)
      exchange(source('198.51.100.9', 1_000 + i), START, { ...RIGHT, account: `${i}@x` })
    for (let i = 0; i < 20; i++) exchange(SCANNER, START + i, { ...UNKNOWN, account: `${i}@x` })
    expect(verdicts).toEqual([])
  })
})

describe('malformed REGISTERs', () => {
  const malformed = { kind: 'malformed', fault: 'header-too-long' } as const

  it.each(['register', 'oversized'] as const)(
    '(%s) are blocked from registering at the tenth in a minute',
    (what) => {
      const { detector, verdicts } = stage()
      for (let i = 0; i < 30; i++)
        detector.observe({ ...malformed, what, time: START + i * 1_000, source: SCANNER })
      expect(verdicts).toMatchObject([
        {
          name: 'malformed',
          action: 'block',
          scope: 'register',
          grade: 'packet',
          reason:
            '10 REGISTERs within 1m that cannot be read or are far too large (the last: header-too-long)',
          evidence: { registers: 10, seconds: 9, fault: 'header-too-long', threshold: 10 },
        },
      ])
    },
  )

  it('of somebody who registered within days only inform', () => {
    const { detector, exchange, said } = stage()
    exchange(SCANNER, START, RIGHT)
    for (let i = 0; i < 30; i++)
      detector.observe({ ...malformed, what: 'register', time: START + 7_200_000 + i, source: SCANNER })
    expect(said()).toEqual(['malformed: limit 203.0.113.66'])
  })

  it('now and then, or of other methods, are nothing', () => {
    const { detector, verdicts } = stage()
    for (let i = 0; i < 100; i++) {
      detector.observe({ ...malformed, what: 'register', time: START + i * 10_000, source: SCANNER })
      detector.observe({ ...malformed, what: 'other', time: START + i * 10_000, source: SCANNER })
    }
    expect(verdicts).toEqual([])
  })
})

it.each([
  [['friendly-scanner'], 'friendly-scanner'],
  [['Yealink', 'VaxSIPUserAgent/3.1'], 'VaxSIPUserAgent/3.1'],
  [['sundayddr'], 'sundayddr'],
  [['pplsip'], 'pplsip'],
  [['Asterisk PBX', 'eyeBeam', 'CSipSimple', 'sipsak 0.9.8', ''], undefined],
])('the tool among %j is %s', (agents, tool) => {
  expect(toolAmong(agents)).toBe(tool)
})
