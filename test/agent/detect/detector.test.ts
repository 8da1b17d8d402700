import { describe, expect, it } from 'vitest'
import { Detector } from '../../../agent/detect/detector.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { type Address, prefixOfAddress } from '../../../registrar/net/address.ts'
import { POLICY } from '../policy.ts'
import { START, source, stage } from './stage.ts'

const FLOOD_BLOCK = {
  name: 'register-flood',
  action: 'block',
  scope: 'register',
  port: null,
  grade: 'packet',
}

describe('the REGISTER flood', () => {
  it('is blocked at the hundredth REGISTER in ten seconds, not before', () => {
    const { register, verdicts, actions } = stage()
    for (let i = 0; i < 99; i++) register(source('203.0.113.7'), START + i)
    expect(verdicts).toEqual([])
    register(source('203.0.113.7'), START + 99)
    expect(actions()).toEqual([{ ...FLOOD_BLOCK, address: '203.0.113.7' }])
    expect(verdicts[0]!.reason).toBe('100 REGISTERs in 10s, none led to a success (threshold 100)')
    expect(verdicts[0]!.duration).toBe(600)
  })

  it('that pauses for a second each ten is not given its grace anew: one quiet second is no peace', () => {
    const { register, exchange, actions } = stage()
    for (let i = 0; i < 600; i++) {
      // Ten a second for nine seconds and a half of ten, a new account each, answered and never answering.
      const time = START + i * 95 + Math.floor(i / 100) * 500
      register(source('203.0.113.7'), time, { account: `user${i % 90}@example.com` })
      exchange(source('203.0.113.7'), time + 1, { outcome: 'challenge' })
    }
    expect(actions()[0]).toEqual({ ...FLOOD_BLOCK, address: '203.0.113.7' })
  })

  it('under the threshold goes on for ever without a verdict', () => {
    const { register, verdicts } = stage()
    for (let i = 0; i < 2_000; i++) register(source('203.0.113.7'), START + i * 110)
    expect(verdicts).toEqual([])
  })

  it('of an IPv6 /64 is one source, whatever the addresses', () => {
    const { register, actions } = stage()
    for (let i = 0; i < 100; i++) register(source(`2001:db8:1:2::${(i + 1).toString(16)}`), START + i)
    expect(actions()).toEqual([{ ...FLOOD_BLOCK, address: '2001:db8:1:2::' }])
  })

  it('that goes on is reported once a window, so that its block can be extended', () => {
    const { register, verdicts } = stage()
    for (let i = 0; i < 3_000; i++) register(source('203.0.113.7'), START + i * 10)
    expect(verdicts.map(({ time }) => time - START)).toEqual([990, 10_990, 20_990])
  })

  it('with a new user name in every packet is blocked as soon as it is more than an office could be', () => {
    const { register, actions } = stage()
    for (let i = 0; i < 3_000; i++)
      register(source('203.0.113.7'), START + i, { account: `user${i}@example.com` })
    expect(actions()).toEqual([{ ...FLOOD_BLOCK, address: '203.0.113.7' }])
  })

  it('of a scanner who is answered and never answers is blocked after one more window', () => {
    const { register, exchange, verdicts, actions } = stage()
    for (let i = 0; i < 600; i++) {
      const time = START + i * 40
      register(source('203.0.113.7'), time, { account: `user${i}@example.com` })
      exchange(source('203.0.113.7'), time + 1, { outcome: 'challenge' })
    }
    expect(actions()[0]).toEqual({ ...FLOOD_BLOCK, address: '203.0.113.7' })
    expect(verdicts[0]!.time - START).toBeGreaterThan(10_000)
    expect(verdicts[0]!.time - START).toBeLessThan(15_000)
  })

  it('under a customer’s forged address only informs while his registration lasts, and for days after', () => {
    for (const later of [1_000, 4_000_000]) {
      const { register, exchange, actions } = stage()
      exchange(source('198.51.100.9'), START, {
        outcome: 'success',
        status: 200,
        grade: 'account',
        grantedExpires: 3600,
      })
      for (let i = 0; i < 500; i++) register(source('198.51.100.9', 7777), START + later + i)
      expect(actions()).toEqual([{ ...FLOOD_BLOCK, action: 'limit', address: '198.51.100.9' }])
    }
  })
})

describe('an office of 200 phones behind one address after a power cut', () => {
  /** Each phone retransmits as RFC 3261 says until it is answered. */
  function comeBack(answered: (phone: number, at: number) => boolean) {
    const office = stage()
    const events: { at: number; phone: number }[] = []
    for (let phone = 0; phone < 200; phone++) {
      for (const delay of [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]) {
        events.push({ at: delay + phone * 3, phone })
      }
    }
    const challenged = new Set<number>()
    for (const { at, phone } of events.sort((a, b) => a.at - b.at)) {
      const from = source('192.0.2.50', 20_000 + phone)
      const account = `${1000 + phone}@example.com`
      const answers = challenged.has(phone)
      office.register(from, START + at, { account, answersChallenge: answers, answersOwnNonce: answers })
      if (answered(phone, at) && !answers) {
        office.exchange(from, START + at + 1, { account })
        challenged.add(phone)
      }
    }
    return office.actions().filter(({ action }) => action !== 'limit')
  }

  it('is not blocked when the kernel lets five of its REGISTERs a second through', () => {
    let tokens = 10
    let last = 0
    const blocked = comeBack((_, at) => {
      tokens = Math.min(10, tokens + (at - last) * 0.005)
      last = at
      if (tokens < 1) return false
      tokens--
      return true
    })
    expect(blocked).toEqual([])
  })

  it('is not blocked when the softswitch answers 503 to everybody', () => {
    const { register, exchange, actions } = stage()
    for (let i = 0; i < 800; i++) {
      const from = source('192.0.2.50', 20_000 + (i % 200))
      register(from, START + i * 25, { account: `${1000 + (i % 200)}@example.com` })
      exchange(from, START + i * 25 + 1, { outcome: 'overload', status: 503 })
    }
    expect(actions()).toEqual([])
  })

  it('is not blocked when the softswitch is still silent', () => {
    expect(comeBack(() => false)).toEqual([])
  })
})

describe('failed registrations', () => {
  const guesser = source('203.0.113.66', 5061)
  const failure = { outcome: 'failure', status: 401, grade: 'path', nonceOfPort: true } as const

  it('six in a row suspend the address and port, not the address', () => {
    const { exchange, verdicts, actions } = stage()
    for (let i = 0; i < 5; i++) exchange(guesser, START + i, failure)
    expect(verdicts).toEqual([])
    exchange(guesser, START + 5, failure)
    expect(actions()).toEqual([
      {
        name: 'retry-limit',
        action: 'suspend',
        scope: 'register',
        address: '203.0.113.66',
        port: 5061,
        grade: 'path',
      },
    ])
    expect(verdicts[0]!.duration).toBe(180)
    expect(verdicts[0]!.reason).toBe('6 failed registrations in a row for 1001@example.com')
  })

  it('a success of that account at that source starts the count anew, one of another does not', () => {
    const own = stage()
    for (let i = 0; i < 5; i++) own.exchange(guesser, START + i, failure)
    own.exchange(guesser, START + 6, {
      outcome: 'success',
      status: 200,
      grade: 'account',
      grantedExpires: 60,
    })
    own.exchange(guesser, START + 7, failure)
    expect(own.verdicts).toEqual([])

    const others = stage()
    for (let i = 0; i < 5; i++) others.exchange(guesser, START + i, failure)
    others.exchange(guesser, START + 6, {
      account: '2002@example.com',
      outcome: 'success',
      status: 200,
      grantedExpires: 60,
    })
    others.exchange(guesser, START + 7, failure)
    expect(others.actions()).toHaveLength(1)
  })

  it('over many accounts lock the address out', () => {
    const { exchange, actions } = stage()
    for (let i = 0; i < 20; i++)
      exchange(guesser, START + i * 1_000, { ...failure, account: `${1000 + i}@example.com` })
    expect(actions()).toEqual([
      { name: 'lockout', action: 'block', scope: 'sip', address: '203.0.113.66', port: null, grade: 'path' },
    ])
  })

  it('over many accounts behind an address with a registered phone suspend the guesser’s port alone', () => {
    const { exchange, actions } = stage()
    exchange(source('203.0.113.66', 40_000), START, {
      account: '9@example.com',
      outcome: 'success',
      status: 200,
      grade: 'account',
      withCredentials: true,
      grantedExpires: 3600,
    })
    for (let i = 0; i < 20; i++)
      exchange(guesser, START + i * 1_000, { ...failure, account: `${1000 + i}@example.com` })
    expect(actions()).toEqual([
      {
        name: 'lockout',
        action: 'suspend',
        scope: 'register',
        address: '203.0.113.66',
        port: 5061,
        grade: 'path',
      },
    ])
  })

  it('of one phone with a wrong password are never a block, all day long', () => {
    const { exchange, actions } = stage()
    // baresip: 16 REGISTERs in 6 ms, then quiet for 50 s.
    for (let i = 0; i < 1_728; i++) {
      for (let j = 0; j < 16; j++) exchange(guesser, START + i * 50_000 + j, failure)
    }
    expect(new Set(actions().map(({ action, port }) => `${action} ${port}`))).toEqual(
      new Set(['suspend 5061']),
    )
  })

  it('that anybody could have forged never touch a port that is registered', () => {
    const { exchange, verdicts } = stage()
    exchange(guesser, START, { outcome: 'success', status: 200, grade: 'account', grantedExpires: 3600 })
    for (let i = 0; i < 100; i++)
      exchange(guesser, START + i, { ...failure, grade: 'packet', account: `${i % 3}@example.com` })
    for (let i = 0; i < 100; i++)
      exchange(guesser, START + i, { outcome: 'refused', status: 403, grade: 'packet' })
    expect(verdicts).toEqual([])
  })

  it('that anybody could have forged touch no port of a source whose registration is known from before a restart', () => {
    const { detector, exchange, verdicts } = stage()
    detector.sources.known(prefixOfAddress(guesser.address), START - 1_000, START + 600_000)
    for (let i = 0; i < 100; i++) exchange(guesser, START + i, { ...failure, grade: 'packet' })
    expect(verdicts).toEqual([])
  })

  it('of one account behind an SBC, which brings others from the same port, only inform', () => {
    const { exchange, actions, verdicts } = stage()
    for (const account of ['1@x', '2@x', '3@x']) {
      exchange(guesser, START, {
        account,
        outcome: 'success',
        status: 200,
        grade: 'account',
        grantedExpires: 3600,
      })
    }
    for (let i = 0; i < 6; i++) exchange(guesser, START + i, { ...failure, account: '9@x' })
    expect(actions().map(({ action }) => action)).toEqual(['limit'])
    expect(verdicts[0]?.reason).toContain('3 other accounts are registered from this very port')
    // When they have gone he is suspended as anybody.
    for (let i = 0; i < 6; i++) exchange(guesser, START + 3_700_000 + i, { ...failure, account: '9@x' })
    expect(actions().at(-1)?.action).toBe('suspend')
  })

  it('at a port that somebody else judges are left to him', () => {
    const verdicts: Verdict[] = []
    const detector = new Detector({
      policy: POLICY,
      judgedElsewhere: (port) => port === 5060,
      onVerdict: (verdict) => verdicts.push(verdict),
    })
    const fail = (serverPort: number) =>
      detector.observe({
        kind: 'exchange',
        time: START,
        source: guesser,
        serverPort,
        transport: 'udp',
        account: 'a@b',
        outcome: 'failure',
        status: 403,
        grade: 'path',
        withCredentials: true,
        answersItsChallenge: false,
        grantedExpires: 0,
        answeredIn: 1,
        userAgent: '',
        bindings: [],
      })
    for (let i = 0; i < 6; i++) fail(5060)
    expect(verdicts).toEqual([])
    for (let i = 0; i < 6; i++) fail(5080)
    expect(verdicts).toHaveLength(1)
  })

  it('from one port after the other suspend the whole source', () => {
    const { exchange, actions } = stage()
    for (let port = 30_000; port < 30_003; port++) {
      for (let i = 0; i < 6; i++) exchange(source('203.0.113.66', port), START + port + i, failure)
    }
    expect(actions().map(({ port }) => port)).toEqual([30_000, 30_001, null])
  })

  it('challenges, stale nonces, redirects and overload are none', () => {
    const { exchange, verdicts, detector } = stage()
    for (const outcome of ['challenge', 'stale', 'redirect', 'overload', 'other'] as const) {
      for (let i = 0; i < 50; i++) exchange(guesser, START + i, { outcome, grade: 'path' })
    }
    expect(verdicts).toEqual([])
    expect(detector.totals.failures).toBe(0)
  })
})

describe('what is kept of sources', () => {
  it('has a bound, and forged sources do not push out proven ones', () => {
    const verdicts: Verdict[] = []
    const detector = new Detector({
      policy: POLICY,
      maxSources: 100,
      onVerdict: (verdict) => verdicts.push(verdict),
    })
    const feed = (address: string, time: number) =>
      detector.observe({
        kind: 'register',
        time,
        source: source(address),
        transport: 'udp',
        account: '',
        userAgent: '',
        answersOwnNonce: false,
        answersChallenge: false,
        answersSentNonce: false,
      })
    detector.observe({
      kind: 'exchange',
      time: START,
      source: source('198.51.100.9'),
      transport: 'udp',
      serverPort: 5060,
      account: 'a@b',
      outcome: 'success',
      status: 200,
      grade: 'account',
      withCredentials: true,
      answersItsChallenge: true,
      grantedExpires: 3600,
      answeredIn: 1,
      userAgent: '',
      bindings: [],
    })
    for (let i = 0; i < 10_000; i++) feed(`10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`, START + i)
    expect(detector.sources.size).toBeLessThanOrEqual(200)
    expect(detector.sources.letGo).toBeGreaterThan(9_000)
    expect(detector.sources.find('198.51.100.9' as Address)?.successes).toBe(1)
    expect(verdicts).toEqual([])
  })
})
