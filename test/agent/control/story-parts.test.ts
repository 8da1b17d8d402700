import { describe, expect, it } from 'vitest'
import { registeredPorts } from '../../../agent/control/registered-ports.ts'
import { evidenceOf } from '../../../agent/control/source-evidence.ts'
import { type WouldChange, whatWouldChange } from '../../../agent/control/would-change.ts'
import type { Decision } from '../../../agent/journal/entries.ts'
import type { SourceKnowledge } from '../../../agent/sensor/messages.ts'
import { address, desired, prefix } from '../../rules/desired.ts'

const NOW = 1_800_000_000_000

const KNOWN = {
  registers: 12,
  lastSuccess: NOW - 60_000,
  lastOwnNonce: NOW - 60_000,
  provenUntil: NOW + 3_540_000,
  bound: [{ address: address('198.51.100.7'), port: 5060, transport: 'udp', until: NOW + 3_480_000 }],
} as unknown as SourceKnowledge

function exchange(rest: object) {
  return { time: NOW - 5_000, ...rest } as unknown as NonNullable<SourceKnowledge['exchanges']>[number]
}

describe('evidence, grade by grade', () => {
  it('of a phone that registered', () => {
    expect(evidenceOf(KNOWN, NOW)).toEqual([
      { grade: 'packet', holds: true, says: 'REGISTERs carry this address, which anybody can write' },
      {
        grade: 'path',
        holds: true,
        says: 'it used a nonce that was sent to it alone, 1m ago: it receives what is sent there',
      },
      {
        grade: 'account',
        holds: true,
        says: 'a REGISTER of it succeeded 1m ago, and a registration of it lasts another 58m',
      },
    ])
  })

  it('of one that took its registration back, while what the address had of others is not over', () => {
    expect(evidenceOf({ ...KNOWN, bound: [] }, NOW)[2]?.says).toBe(
      'a REGISTER of it succeeded 1m ago, and no registration of it is known to last',
    )
  })

  it.each<{ of: string; knowledge: Partial<SourceKnowledge>; holds: boolean; says: string }>([
    {
      of: 'a guesser whom the log told of',
      knowledge: {
        lastSuccess: 0,
        exchanges: [exchange({ transport: 'tcp', grade: 'path', fromLog: true })],
      },
      holds: true,
      says: "the softswitch's log tells of its connection (TCP, TLS or WebSocket), 5s ago: it receives what is sent there",
    },
    {
      of: 'a phone that speaks TCP',
      knowledge: { exchanges: [exchange({ transport: 'tcp', grade: 'account' })] },
      holds: true,
      says: 'it finished a TCP handshake, 5s ago: it receives what is sent there',
    },
    {
      of: 'a TCP segment that may be forged',
      knowledge: { lastSuccess: 0, exchanges: [exchange({ transport: 'tcp', grade: 'packet' })] },
      holds: false,
      says: 'it never used a nonce that was sent to it and to no other',
    },
    {
      of: 'a phone of a softswitch that gives one nonce to several',
      knowledge: { exchanges: [exchange({ transport: 'udp', grade: 'packet' })] },
      holds: false,
      says: 'since the sensor started it used no nonce that was sent to it and to no other: the softswitch may give one to several, or ask it for none again',
    },
  ])('of the path: $of', ({ knowledge, holds, says }) => {
    const told = evidenceOf({ ...KNOWN, lastOwnNonce: 0, ...knowledge }, NOW)[1]
    expect(told).toEqual({ grade: 'path', holds, says })
  })

  it('of one that nothing is known of but its packets, as it comes from another process', () => {
    const overIpc = JSON.parse(
      JSON.stringify({
        ...KNOWN,
        lastSuccess: Number.NEGATIVE_INFINITY,
        lastOwnNonce: Number.NEGATIVE_INFINITY,
        provenUntil: 0,
      }),
    ) as SourceKnowledge
    expect(evidenceOf(overIpc, NOW).map(({ grade, holds }) => [grade, holds])).toEqual([
      ['packet', true],
      ['path', false],
      ['account', false],
    ])
    expect(evidenceOf(null, NOW)).toEqual([])
  })
})

describe('who is registered from there', () => {
  const member = (text: string, port: number, seconds = 600) => ({
    lane: 'proven' as const,
    address: address(text),
    port,
    until: NOW + seconds * 1_000,
  })
  const journal = {
    provenAt: (addresses: readonly string[]) =>
      addresses.flatMap((of) => [
        { account: '1001@example.com', address: address(of), port: 5060, until: NOW + 1 },
        { account: '1002@example.com', address: address(of), port: 5062, until: NOW + 1 },
      ]),
  }
  const of = (text: string, members: readonly (readonly ReturnType<typeof member>[])[]) =>
    registeredPorts(address(text), { desired: desired({ members }), journal, now: NOW })

  it('is nobody where no port is proven, or not any more', () => {
    expect(of('198.51.100.7', [[member('198.51.100.8', 5060), member('198.51.100.7', 5060, -1)]])).toEqual({
      count: 0,
      first: [],
    })
  })

  it('is each proven port with its accounts', () => {
    expect(of('198.51.100.7', [[member('198.51.100.7', 5062, 300), member('198.51.100.7', 5060)]])).toEqual({
      count: 2,
      first: [
        { source: '198.51.100.7:5060', accounts: ['1001@example.com'], secondsLeft: 540 },
        { source: '198.51.100.7:5062', accounts: ['1002@example.com'], secondsLeft: 240 },
      ],
    })
  })

  it('ends when the registration does, not when the kernel lets the port go', () => {
    const left = (until: number) =>
      registeredPorts(address('198.51.100.7'), {
        desired: desired({ members: [[member('198.51.100.7', 5060, 600)]] }),
        journal,
        now: NOW,
        bound: [
          { address: address('198.51.100.7'), port: 5060, transport: 'udp', until: NOW + until * 1_000 },
        ],
      }).first[0]?.secondsLeft
    expect(left(517)).toBe(517)
    // Another account at that port lasts longer than the one that registered last.
    expect(left(120)).toBe(540)
  })

  it('of IPv6 is the /64, those of the address first, and a bounded number', () => {
    const many = Array.from({ length: 40 }, (_, i) => member('2001:db8::9', 6000 + i))
    const found = of('2001:db8::7', [
      many,
      [member('2001:db8::7', 5060, 60)],
      [member('2001:db8:0:1::7', 5060)],
    ])
    expect(found.count).toBe(41)
    expect(found.first).toHaveLength(20)
    expect(found.first[0]?.source).toBe('[2001:db8::7]:5060')
  })
})

describe('what would change its lane', () => {
  const facts = (rest: Partial<WouldChange>): WouldChange => ({
    address: address('203.0.113.7'),
    lane: 'unknown',
    standing: [],
    configuredAllow: [],
    knowledge: null,
    policy: { registerRetry: 6, registerSuspend: true, registerSuspendTime: 180 },
    registered: { count: 0, first: [] },
    now: NOW,
    ...rest,
  })
  const block = {
    kind: 'block',
    target: { kind: 'prefix', prefix: prefix('203.0.113.7/32') },
    until: NOW + 541_000,
    by: 'register-flood',
  } as unknown as Decision
  const FAILS = '6 failed registrations of one account in a row would suspend it for 3m'

  it.each<{ of: string; facts: Partial<WouldChange>; says: readonly string[] }>([
    {
      of: 'unknown',
      facts: {},
      says: ['a registration with a nonce of its own would make its port proven', FAILS],
    },
    {
      of: 'blocked',
      facts: { lane: 'blocked', standing: [block], registered: { count: 2, first: [] } },
      says: [
        'the block of 203.0.113.7 ends in 9m 1s; `ringfence unblock 203.0.113.7` ends it now',
        'its 2 registered ports stay served meanwhile, but for a port that is suspended itself',
        '`ringfence allow 203.0.113.7` ends all of it, and no verdict reaches it again',
      ],
    },
    {
      of: 'blocked by the operator, who spares nobody',
      facts: {
        lane: 'blocked',
        standing: [{ ...block, until: null, by: 'operator' }],
        registered: { count: 2, first: [] },
      },
      says: [
        'the block of 203.0.113.7 stands until it is taken back: `ringfence unblock 203.0.113.7` ends it now',
        '`ringfence allow 203.0.113.7` ends all of it, and no verdict reaches it again',
      ],
    },
    {
      of: 'suspended at one port',
      facts: {
        lane: 'suspended',
        standing: [
          {
            ...block,
            kind: 'suspend',
            target: { kind: 'source', address: address('203.0.113.7'), port: 5062 },
          },
        ],
      },
      says: [
        'the suspension of 203.0.113.7:5062 ends in 9m 1s; `ringfence unblock 203.0.113.7:5062` ends it now',
        '`ringfence allow 203.0.113.7` ends all of it, and no verdict reaches it again',
      ],
    },
    {
      of: 'registered, with ports that are suspended already',
      facts: {
        lane: 'proven',
        standing: [5062, 5063].map((port) => ({
          ...block,
          kind: 'suspend',
          target: { kind: 'source', address: address('203.0.113.7'), port },
        })),
      },
      says: [
        'each port stays proven until its registration ends, and its next success renews it; from another port it would be returning',
        'the suspension of 203.0.113.7:5062 ends in 9m 1s; `ringfence unblock 203.0.113.7:5062` ends it now',
        'the suspension of 203.0.113.7:5063 ends in 9m 1s; `ringfence unblock 203.0.113.7:5063` ends it now',
      ],
    },
    {
      of: 'registered',
      facts: { lane: 'proven' },
      says: [
        'each port stays proven until its registration ends, and its next success renews it; from another port it would be returning',
        FAILS,
      ],
    },
    {
      of: 'returning',
      facts: { lane: 'returning', knowledge: { ...KNOWN, lastSuccess: NOW - 86_400_000 } },
      says: [
        'a registration with a nonce of its own would make its port proven; without a success it is unknown again in 6d',
        FAILS,
      ],
    },
    {
      of: 'allowed by the file',
      facts: { lane: 'allowed', configuredAllow: [prefix('203.0.113.0/24')] },
      says: ['it is on the allowlist of the configuration file: take it out there'],
    },
  ])('$of', ({ facts: rest, says }) => {
    expect(whatWouldChange(facts(rest))).toEqual(says)
  })
})
