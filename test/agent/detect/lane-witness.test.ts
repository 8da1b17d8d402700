import { describe, expect, it } from 'vitest'
import { Detector } from '../../../agent/detect/detector.ts'
import type { LaneEvidence } from '../../../agent/detect/lane-evidence.ts'
import { PrefixSet } from '../../../agent/detect/prefix-set.ts'
import type { ExchangeEnded, RegisterSeen } from '../../../agent/observe/observation.ts'
import { type Address, type Prefix, parsePrefix, type Source } from '../../../registrar/net/address.ts'

const START = 1_700_000_000_000
const SECOND = 1_000
const PHONE: Source = { address: '203.0.113.7' as Address, port: 5071 }

const prefixes = (...texts: string[]): PrefixSet =>
  new PrefixSet(texts.map((text) => parsePrefix(text) as Prefix))

/** A detector with what it says of lanes. */
function stage(trusted = prefixes()) {
  const evidence: LaneEvidence[] = []
  const detector = new Detector({
    policy: {
      registerRetry: 6,
      registerSuspend: true,
      registerSuspendTime: 180,
      flood: { registers: 1_000, within: 10, for: 600 },
      block: { failures: 20, within: 600, for: 3600 },
    },
    onVerdict: () => {},
    onLane: (each) => evidence.push(each),
    lanes: { unknownPerSecond: 5, trusted },
  })
  return {
    detector,
    evidence,
    register,
    exchange,
    /** A REGISTER with the challenge that it gets. */
    challenge(time: number, rest: Partial<Pick<ExchangeEnded, 'transport'>> = {}) {
      register(time, rest)
      exchange(time, rest)
    },
    unknown: () => detector.lanes.unknownRegisters,
  }
  function register(time: number, rest: Partial<RegisterSeen> = {}) {
    detector.observe({
      kind: 'register',
      time,
      source: PHONE,
      transport: 'udp',
      account: 'a@b',
      userAgent: '',
      answersOwnNonce: false,
      answersChallenge: false,
      answersSentNonce: false,
      ...rest,
    })
  }
  function exchange(time: number, rest: Partial<ExchangeEnded> = {}) {
    detector.observe({
      kind: 'exchange',
      time,
      source: PHONE,
      transport: 'udp',
      serverPort: 5060,
      account: 'a@b',
      outcome: 'challenge',
      status: 401,
      grade: 'packet',
      withCredentials: false,
      answersItsChallenge: false,
      grantedExpires: 0,
      answeredIn: 1,
      userAgent: '',
      bindings: [],
      ...rest,
    })
  }
}

const SUCCESS = {
  outcome: 'success',
  status: 200,
  withCredentials: true,
  answersItsChallenge: true,
  grantedExpires: 600,
} as const

describe('evidence for the lanes', () => {
  it('is a success with credentials, of whatever grade, until a minute after it ends', () => {
    const { exchange, evidence } = stage()
    exchange(START, SUCCESS)
    exchange(START, { ...SUCCESS, transport: 'tcp', grade: 'account' })
    exchange(START + 1, { ...SUCCESS, grantedExpires: 0 })
    const about = { account: 'a@b', source: PHONE }
    expect(evidence).toEqual([
      { kind: 'registered', at: START, ...about, transport: 'udp', until: START + 660 * SECOND },
      { kind: 'registered', at: START, ...about, transport: 'tcp', until: START + 660 * SECOND },
      { kind: 'unregistered', at: START + 1, ...about, transport: 'udp' },
    ])
  })

  it('is no success that only asked: it lengthens no registration and ends none', () => {
    const { exchange, evidence, detector } = stage()
    exchange(START, SUCCESS)
    exchange(START + 1, { ...SUCCESS, grantedExpires: 86_400, isQuery: true })
    exchange(START + 2, { ...SUCCESS, grantedExpires: 0, isQuery: true })
    expect(evidence.map(({ at }) => at)).toEqual([START])
    expect(detector.bindings.isBoundAt(PHONE, START + 659 * SECOND)).toBe(true)
    expect(detector.bindings.isBoundAt(PHONE, START + 661 * SECOND)).toBe(false)
  })

  it('is no success without credentials, which anybody could have forged, and no failure', () => {
    const { exchange, evidence } = stage()
    exchange(START, { ...SUCCESS, withCredentials: false })
    exchange(START, { outcome: 'failure', withCredentials: true, status: 403 })
    expect(evidence).toEqual([])
  })

  it('is no success over a nonce that nobody saw being sent there, but for those known before', () => {
    const { exchange, evidence, detector } = stage()
    const unseen = { ...SUCCESS, answersItsChallenge: false }
    exchange(START, unseen)
    exchange(START, { ...unseen, transport: 'tcp' })
    exchange(START, { ...unseen, grantedExpires: 0 })
    expect(evidence).toEqual([])
    // Its next challenge vouches for it.
    exchange(START + 1, SUCCESS)
    exchange(START + 2, unseen)
    expect(evidence.map(({ at }) => at)).toEqual([START + 1, START + 2])
    detector.sources.known('203.0.113.9/32' as Prefix, START, START)
    exchange(START + 3, { ...unseen, source: { address: '203.0.113.9' as Address, port: 5060 } })
    expect(evidence.map(({ at }) => at)).toEqual([START + 1, START + 2, START + 3])
  })

  it('is an answer over a nonce of its own, or over one that was sent to this port', () => {
    const { register, evidence } = stage()
    register(START, { answersChallenge: true })
    expect(evidence).toEqual([])
    register(START, { answersChallenge: true, answersOwnNonce: true })
    register(START, { answersChallenge: true, answersSentNonce: true })
    register(START, { answersChallenge: true, answersOwnNonce: true, transport: 'tcp' })
    expect(evidence).toEqual([
      { kind: 'answered', at: START, source: PHONE, own: true },
      { kind: 'answered', at: START, source: PHONE, own: false },
    ])
  })

  it('cuts account names short', () => {
    const { exchange, evidence } = stage()
    exchange(START, { ...SUCCESS, account: 'x'.repeat(10_000) })
    expect(evidence[0]).toMatchObject({ account: 'x'.repeat(128) })
  })
})

describe('a source that ignores its challenges', () => {
  const IGNORING = { kind: 'ignoring', source: '203.0.113.7/32' }

  it('is one that got five over ten seconds and never answered', () => {
    const { challenge, evidence } = stage()
    for (let i = 0; i < 4; i++) challenge(START + i * SECOND)
    challenge(START + 9 * SECOND)
    expect(evidence).toEqual([])
    challenge(START + 10 * SECOND)
    expect(evidence).toEqual([{ ...IGNORING, at: START + 10 * SECOND }])
  })

  it.each<[string, (staged: ReturnType<typeof stage>) => void]>([
    ['answered a shared nonce', ({ register }) => register(START + SECOND, { answersChallenge: true })],
    [
      'answered its own nonce',
      ({ register }) => register(START, { answersOwnNonce: true, answersChallenge: true }),
    ],
    ['registered once', ({ exchange }) => exchange(START, SUCCESS)],
    [
      'registered before a restart',
      ({ detector }) => detector.sources.known('203.0.113.7/32' as Prefix, START, START),
    ],
  ])('is none that %s', (_, happens) => {
    const staged = stage()
    staged.challenge(START)
    happens(staged)
    for (let i = 0; i < 60; i++) staged.challenge(START + i * SECOND)
    expect(staged.evidence.filter(({ kind }) => kind === 'ignoring')).toEqual([])
  })

  it('is none that asks now and then, or over TCP, or is not answered at all', () => {
    const { challenge, register, evidence } = stage()
    for (let i = 0; i < 50; i++) challenge(START + i * 200 * SECOND)
    for (let i = 0; i < 50; i++) challenge(START + i * SECOND, { transport: 'tcp' })
    for (let i = 0; i < 50; i++) register(START + i * SECOND)
    expect(evidence).toEqual([])
  })

  it('is none of an office whose phones are all challenged before the first answers', () => {
    const { challenge, register, evidence } = stage()
    for (let i = 0; i < 200; i++) challenge(START + i)
    register(START + 300, { answersOwnNonce: true, answersChallenge: true })
    for (let i = 0; i < 200; i++) challenge(START + 20 * SECOND + i)
    expect(evidence.filter(({ kind }) => kind === 'ignoring')).toEqual([])
  })

  it('is none whose REGISTERs are not seen, since its answers may come the same way', () => {
    const { exchange, evidence } = stage()
    for (let i = 0; i < 60; i++) exchange(START + i * SECOND)
    expect(evidence).toEqual([])
  })
})

describe('REGISTERs of unknown sources', () => {
  it('count up to what the kernel lets through of each', () => {
    const { register, unknown, detector } = stage()
    for (let i = 0; i < 100; i++) register(START + i)
    expect(unknown()).toBe(5)
    for (let i = 0; i < 100; i++) register(START + SECOND + i)
    expect(unknown()).toBe(10)
    for (let i = 0; i < 100; i++) {
      register(START, { source: { address: `198.51.100.${i}` as Address, port: 5060 } })
    }
    expect(unknown()).toBe(110)
    // What is no SIP at all takes as much of the kernel's limit.
    detector.stray({ address: '192.0.2.1' as Address, port: 1 }, START)
    detector.observe({
      kind: 'malformed',
      time: START,
      source: { ...PHONE, address: '192.0.2.2' as Address },
      fault: 'missing-header',
      what: 'register',
    })
    expect(unknown()).toBe(112)
  })

  it('are none of those in a lane of their own, on the allowlist or of a gateway', () => {
    const { register, exchange, unknown, detector } = stage(prefixes('198.51.100.0/24', '2001:db8::/32'))
    const from = (address: string) => register(START, { source: { address: address as Address, port: 5060 } })
    from('198.51.100.9')
    from('2001:db8:1::9')
    register(START, { transport: 'tcp' })
    register(START, { answersOwnNonce: true, answersChallenge: true })
    exchange(START, SUCCESS)
    register(START + SECOND)
    expect(unknown()).toBe(0)
    from('192.0.2.1')
    expect(unknown()).toBe(1)
    detector.lanes.configure({ unknownPerSecond: 5, trusted: prefixes('192.0.2.0/24') })
    from('192.0.2.2')
    from('198.51.100.9')
    expect(unknown()).toBe(2)
    register(START + 8 * 86_400 * SECOND)
    expect(unknown()).toBe(3)
  })
})

it.each([
  ['192.0.2.1', true],
  ['192.0.2.2', false],
  ['198.51.100.255', true],
  ['198.51.101.0', false],
  ['2001:db8:1:2::1', true],
  ['2001:db8:1:3::1', false],
  ['2001:db8:9::7', true],
])('a set of prefixes holds %s: %s', (address, held) => {
  const set = prefixes('192.0.2.1', '198.51.100.0/24', '2001:db8:1:2::/64', '2001:db8:9::7')
  expect(set.holds(address as Address)).toBe(held)
})

describe('of a sample', () => {
  /** What a second of a sample of 1,000 counts as, `each` standing for so many, from so many sources in turn. */
  function counted(sources: number, each: number, seconds = 1): number[] {
    const { detector, unknown } = stage()
    detector.lanes.sampleOf(each)
    const totals: number[] = []
    for (let i = 0; i < 1_000 * seconds; i++) {
      const number = i % sources
      const address = `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}` as Address
      detector.observe(
        {
          kind: 'register',
          time: START + i,
          source: { address, port: 5060 },
          transport: 'udp',
          account: 'a@b',
          userAgent: '',
          answersOwnNonce: false,
          answersChallenge: false,
          answersSentNonce: false,
        },
        'sampled',
      )
      if ((i + 1) % 1_000 === 0) totals.push(unknown() - totals.reduce((sum, one) => sum + one, 0))
    }
    return totals
  }

  it('many sources count as what the sample stands for, and never as more', () => {
    const [first] = counted(100_000, 80)
    expect(first).toBeGreaterThan(20_000)
    expect(first).toBeLessThanOrEqual(80_000)
  })

  it('one that sends all of it soon counts as its own limit', () => {
    const seconds = counted(1, 250, 10)
    expect(seconds.at(-1)).toBeLessThanOrEqual(6)
  })

  it('a whole one counts as before', () => {
    expect(counted(1, 1, 3)).toEqual([5, 5, 5])
  })
})

describe('of a sample, a detector', () => {
  it('counts the rate and nothing else, and of what passed everything but the rate', () => {
    const { detector } = stage()
    const seen: RegisterSeen = {
      kind: 'register',
      time: START,
      source: PHONE,
      transport: 'udp',
      account: 'a@b',
      userAgent: '',
      answersOwnNonce: true,
      answersChallenge: true,
      answersSentNonce: true,
    }
    detector.observe(seen, 'sampled')
    const record = detector.sources.find(PHONE.address)!
    expect([record.window.total(START), record.registers, record.lastOwnNonce > 0]).toEqual([1, 0, false])
    detector.observe(seen, 'logged')
    expect([record.window.total(START), record.registers, record.lastOwnNonce]).toEqual([1, 1, START])
    expect(detector.totals.registers).toBe(1)
  })
})
