import { describe, expect, test } from 'vitest'
import { parseSource } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { ImaginedTraffic } from '../../rules/trace/imagined-traffic.ts'
import type { ImaginaryPacket, Trace } from '../../rules/trace/packet.ts'
import { address, DEFAULTS, desired, limits, prefix, returning, sizes, traffic } from './desired.ts'
import { everyLane, NOW, RESPONSE, SOURCES, sip, syn, udp } from './trace-packets.ts'

const STATE = everyLane()

/** Sends a packet so many times, so many milliseconds apart, and gives how many passed. */
function passed(
  world: ImaginedTraffic,
  packet: ImaginaryPacket,
  { times, every = 0, from = NOW }: { times: number; every?: number; from?: number },
): number {
  let passing = 0
  for (let i = 0; i < times; i++) {
    if (world.arrive(packet, from + i * every).verdict === 'pass') passing++
  }
  return passing
}

describe('limits, packet after packet', () => {
  test.each([
    ['unknown', sip('REGISTER'), 10],
    ['proven', sip('REGISTER'), 50],
    // Beside its bucket as a proven one.
    ['aggregator', sip('REGISTER'), 50 + 1_000],
    // Beside its bucket as an unknown one.
    ['answered', sip('REGISTER'), 5 + 10],
    ['returning1', sip('REGISTER'), 20],
    ['returning2', sip('REGISTER'), 200],
    ['returning3', sip('REGISTER'), 2_000],
    ['ignoring', sip('REGISTER'), 2],
    ['gateway', sip('INVITE'), 10],
    ['gateway', sip('OPTIONS'), 4_000],
    ['unknown', '\r\n', 50],
    ['unknown', RESPONSE, 2_000],
  ] as const)('%s: a burst and then nothing', (name, payload, burst) => {
    for (const source of SOURCES[name]) {
      const world = new ImaginedTraffic(STATE)
      const packet = udp(STATE, source, payload)
      expect(passed(world, packet, { times: burst + 100 })).toBe(burst)
      expect(world.arrive(packet, NOW).says).toContain('is over the limit of')
    }
  })

  test('a bucket fills again at its rate, and no further than its burst', () => {
    const world = new ImaginedTraffic(STATE)
    const packet = udp(STATE, SOURCES.unknown[0])
    expect(passed(world, packet, { times: 12 })).toBe(10)
    expect(passed(world, packet, { times: 10, from: NOW + 1_000 })).toBe(5)
    expect(passed(world, packet, { times: 100, from: NOW + 100_000 })).toBe(10)
    expect(passed(world, packet, { times: 100, every: 100, from: NOW + 101_000 })).toBe(54)
  })

  test('a limit in tokens a minute gives the next one after ten seconds', () => {
    const world = new ImaginedTraffic(STATE)
    const packet = udp(STATE, SOURCES.ignoring[0])
    expect(passed(world, packet, { times: 5 })).toBe(2)
    expect(passed(world, packet, { times: 1, from: NOW + 9_999 })).toBe(0)
    expect(passed(world, packet, { times: 2, from: NOW + 10_000 })).toBe(1)
  })

  test('the ports of an address share its bucket, and addresses of an IPv6 /64 too', () => {
    const world = new ImaginedTraffic(STATE)
    const [first] = [1, 2, 3].map((port) => passed(world, udp(STATE, `198.51.100.99:${port}`), { times: 4 }))
    expect(first).toBe(4)
    expect(passed(world, udp(STATE, '198.51.100.99:4'), { times: 4 })).toBe(0)
    expect(passed(world, udp(STATE, '[2001:db8:b:99::1]:1'), { times: 8 })).toBe(8)
    expect(passed(world, udp(STATE, '[2001:db8:b:99:ffff::2]:2'), { times: 8 })).toBe(2)
  })

  test('a prefix has its own limit, and an IPv6 /56 has four times that of a source', () => {
    const world = new ImaginedTraffic(STATE)
    const of4 = Array.from({ length: 40 }, (_, i) => udp(STATE, `100.64.0.${i}:5060`))
    expect(of4.map((packet) => passed(world, packet, { times: 9 })).reduce((a, b) => a + b)).toBe(200)
    const of6 = Array.from({ length: 40 }, (_, i) => udp(STATE, `[2001:db8:c:${i.toString(16)}::1]:5060`))
    expect(of6.map((packet) => passed(world, packet, { times: 9 })).reduce((a, b) => a + b)).toBe(40)
  })

  test('who only floods INVITEs still gets his BYEs through', () => {
    const enforced = everyLane({ limits: limits({ sip: { ...DEFAULTS.limits.sip, enforced: true } }) })
    const world = new ImaginedTraffic(enforced)
    const source = SOURCES.unknown[0]
    expect(passed(world, udp(enforced, source, sip('INVITE')), { times: 80 })).toBe(50)
    expect(world.arrive(udp(enforced, source, sip('INVITE')), NOW).says).toBe(
      'An INVITE from 198.51.100.99:5060 is dropped: 198.51.100.99:5060 is over limits.sip: 20 a second after a burst of 50 for SIP other than REGISTER of one source.',
    )
    expect(passed(world, udp(enforced, source, sip('BYE')), { times: 80 })).toBe(80)
  })

  test('a limit that is not enforced lists, and lets pass', () => {
    const world = new ImaginedTraffic(STATE)
    const packet = udp(STATE, SOURCES.unknown[1], sip('INVITE'))
    expect(passed(world, packet, { times: 80 })).toBe(80)
    const { says, rule } = world.arrive(packet, NOW)
    expect([says, rule]).toEqual([
      'An INVITE from [2001:db8:b:99::1]:5060 passes: 2001:db8:b:99::1 is over limits.sip, which only lists sources until it is enforced.',
      '-A RINGFENCE-OVER -m set --match-set rf-wsip6 src -j RETURN',
    ])
    // The kernel lists the /64, for ten minutes from when it was listed.
    const another = udp(STATE, '[2001:db8:b:99::2]:7', sip('INVITE'))
    expect(passed(world, another, { times: 60, from: NOW + 599_999 })).toBe(60)
    expect(world.arrive(another, NOW + 599_999).rule).toContain('--match-set rf-wsip6')
  })

  test('new connections are limited, and so is how many stand at once', () => {
    const world = new ImaginedTraffic(STATE)
    expect(passed(world, syn(STATE, SOURCES.unknown[0]), { times: 30 })).toBe(20)
    const many = desired({
      limits: limits({
        connections: {
          source: { perSecond: 1_000, burst: 1_000 },
          prefix: { perSecond: 1_000, burst: 1_000 },
          most: 3,
        },
      }),
      members: [[returning('198.51.100.8', 6, NOW + 60_000)]],
    })
    const connections = new ImaginedTraffic(many)
    const connect = (source: string, ports: number) =>
      Array.from({ length: ports }, (_, i) =>
        connections.arrive(syn(many, `${source}:${1_000 + i}`), NOW),
      ).filter(({ verdict }) => verdict === 'pass').length
    expect(connect('198.51.100.99', 9)).toBe(3)
    expect(connect('198.51.100.8', 20)).toBe(12)
    expect(connect('[2001:db8::1]', 2) + connect('[2001:db8::2]', 2)).toBe(3)
    expect(connections.arrive(syn(many, '198.51.100.99:7'), NOW).says).toBe(
      'A new TCP connection from 198.51.100.99:7 is dropped: the source has more than 3 connections.',
    )
  })
})

describe('under attack', () => {
  const STRICT = everyLane({ strictUntil: NOW + 120_000 })

  test('an address and port is served from its second packet within 5 s on', () => {
    const world = new ImaginedTraffic(STRICT)
    const [a, b] = ['198.51.100.99:5060', '198.51.100.99:5061'].map((source) => udp(STRICT, source))
    const verdict = (packet: ImaginaryPacket, after: number) => world.arrive(packet, NOW + after).verdict
    expect(verdict(a!, 0)).toBe('drop')
    expect(verdict(b!, 0)).toBe('drop')
    expect(verdict(a!, 500)).toBe('pass')
    expect(verdict(b!, 5_000)).toBe('drop')
    expect(verdict(b!, 5_500)).toBe('pass')
  })

  test('what filled the tables of peace with one packet each keeps nobody out who comes twice', () => {
    const few = { sizes: sizes({ buckets: 64 }) }
    const world = new ImaginedTraffic(desired(few))
    for (let i = 0; i < 100; i++) world.arrive(udp(STATE, `100.64.${i}.1:5060`), NOW)
    world.become(desired({ ...few, strictUntil: NOW + 120_000 }))
    const newcomer = udp(STATE, '198.51.100.200:5060')
    expect([world.arrive(newcomer, NOW + 1).verdict, world.arrive(newcomer, NOW + 500).verdict]).toEqual([
      'drop',
      'pass',
    ])
  })

  test('peace returns by itself', () => {
    const world = new ImaginedTraffic(STRICT)
    expect(world.arrive(udp(STRICT, SOURCES.unknown[0]), NOW + 119_999).verdict).toBe('drop')
    expect(world.arrive(udp(STRICT, SOURCES.unknown[0]), NOW + 120_000).verdict).toBe('pass')
  })
})

describe('a limit that changes', () => {
  const tighter = everyLane({ limits: limits({ proven: { perSecond: 2, burst: 5 } }) })
  const packet = udp(STATE, SOURCES.proven[0])

  test('gives a fresh bucket when it decides at once', () => {
    const world = new ImaginedTraffic(STATE)
    expect(passed(world, packet, { times: 60 })).toBe(50)
    world.become(tighter)
    expect(passed(world, packet, { times: 60 })).toBe(5)
  })

  test('gives none when its table counted before', () => {
    const world = new ImaginedTraffic(STATE)
    world.become(STATE, tighter)
    expect(passed(world, packet, { times: 60 })).toBe(50)
    world.become(tighter)
    expect(passed(world, packet, { times: 60 })).toBe(0)
  })
})

describe('whom the softswitch asked', () => {
  const invite = (
    state: DesiredState,
    to: string,
    payload: string,
    parts: Partial<ImaginaryPacket> = {},
  ) => ({
    ...udp(state, to, payload),
    source: address('192.0.2.1'),
    sourcePort: 5060,
    destination: parseSource(to)!.address,
    destinationPort: parseSource(to)!.port,
    ...parts,
  })
  const answer = (world: ImaginedTraffic, state: DesiredState, after = 0) =>
    world.arrive(udp(state, '198.51.100.99:7777', RESPONSE), NOW + after).lane

  test.each<[string, string, Partial<ImaginaryPacket>, Trace['lane']]>([
    ['a request', sip('INVITE'), {}, 'peer'],
    ['a request from another port', sip('INVITE'), { sourcePort: 5070 }, 'rest'],
    ['a request to itself', sip('INVITE'), { interface: 'lo' }, 'rest'],
    ['a response', RESPONSE, {}, 'rest'],
  ])('on its own host: %s', (_name, payload, parts, lane) => {
    const world = new ImaginedTraffic(STATE)
    world.leave(invite(STATE, '198.51.100.99:5060', payload, parts), NOW)
    expect(answer(world, STATE)).toBe(lane)
  })

  test('is remembered for a quarter of an hour from the last request on', () => {
    const world = new ImaginedTraffic(STATE)
    const packet = invite(STATE, '198.51.100.99:5060', sip('OPTIONS'))
    world.leave(packet, NOW)
    world.leave(packet, NOW + 600_000)
    expect([answer(world, STATE, 1_499_999), answer(world, STATE, 1_500_000)]).toEqual(['peer', 'rest'])
  })

  test('behind a gateway it is learnt from what passes through, and comes from where the softswitch is', () => {
    const routed = everyLane({ traffic: traffic({ destinations: [prefix('192.0.2.0/24')] }) })
    const packet = invite(routed, '198.51.100.99:5060', sip('INVITE'), { interface: 'lan0' })
    const world = new ImaginedTraffic(routed)
    expect(world.arrive(packet, NOW)).toMatchObject({ verdict: 'not-ours', lane: 'none' })
    expect(answer(world, routed)).toBe('peer')
    const host = { own: new Set<never>(), comesBack: (_source: string, name: string) => name === 'lan0' }
    const routes = new ImaginedTraffic(routed, host)
    routes.arrive({ ...packet, interface: 'eth0' }, NOW)
    expect(answer(routes, routed)).toBe('rest')
    routes.arrive(packet, NOW)
    expect(answer(routes, routed)).toBe('peer')
  })
})

describe('tables that are full', () => {
  test('take nobody new until an entry goes, and say so', () => {
    const small = desired({ sizes: sizes({ buckets: 64 }) })
    const world = new ImaginedTraffic(small)
    const from = (i: number) => udp(small, `100.64.${i}.1:5060`)
    for (let i = 0; i < 64; i++) expect(world.arrive(from(i), NOW).verdict).toBe('pass')
    const trace = world.arrive(from(64), NOW)
    expect([trace.verdict, trace.says]).toEqual([
      'drop',
      'A REGISTER from 100.64.64.1:5060 is dropped: the table of an unknown source is full and takes nobody new.',
    ])
    expect(world.arrive(from(0), NOW).verdict).toBe('pass')
    expect(world.arrive(from(64), NOW + 91_000).verdict).toBe('pass')
  })

  test('a full set of first packets takes none, and a full list lets the oldest go', () => {
    const few = everyLane({ sizes: { elements: 2, buckets: 1_000, seen: 1 }, strictUntil: NOW + 60_000 })
    const world = new ImaginedTraffic(few)
    const [a, b] = ['198.51.100.99:1', '198.51.100.99:2'].map((source) => udp(few, source))
    expect(passed(world, a!, { times: 2 })).toBe(1)
    expect(passed(world, b!, { times: 2, every: 1_000 })).toBe(0)
    expect(passed(world, b!, { times: 2, from: NOW + 6_000 })).toBe(1)
    for (const peer of [1, 2, 3]) {
      world.leave(
        {
          ...udp(few, '192.0.2.1:5060', sip('INVITE')),
          destination: address(`198.51.100.20${peer}`),
          destinationPort: 5060,
        },
        NOW,
      )
    }
    const lanes = [1, 2, 3].map(
      (peer) => world.arrive(udp(few, `198.51.100.20${peer}:5`, RESPONSE), NOW).lane,
    )
    expect(lanes).toEqual(['rest', 'peer', 'peer'])
  })
})

test('every rule counts its packets', () => {
  const world = new ImaginedTraffic(STATE)
  passed(world, udp(STATE, SOURCES.proven[0]), { times: 53 })
  const counted = world.counts(4).filter(({ packets }) => packets > 0)
  expect(
    counted.map(({ rule, packets }) => `${rule.split(' ')[1]} ${rule.split(' ').at(-1)} ${packets}`),
  ).toEqual([
    'RINGFENCE RETURN 50',
    'RINGFENCE RINGFENCE-UDP 3',
    'RINGFENCE-UDP RINGFENCE-REGISTER 3',
    'RINGFENCE-REGISTER RINGFENCE-PROVEN 3',
    'RINGFENCE-PROVEN RINGFENCE-AGGREGATOR 3',
    'RINGFENCE-AGGREGATOR DROP 3',
  ])
  expect(world.counts(6).every(({ packets }) => packets === 0)).toBe(true)
})
