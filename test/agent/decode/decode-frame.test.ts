import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import { decodeFrame } from '../../../agent/decode/decode-frame.ts'
import { checksumOf } from '../../../agent/decode/decode-transport.ts'
import { IpFragments } from '../../../agent/decode/ip-fragments.ts'
import type { Decoded, UndecodedReason } from '../../../agent/decode/packet.ts'
import * as p from '../../packets.ts'

const TEXT = 'REGISTER sip:example.com SIP/2.0\r\n\r\n'
const datagram = p.udp({}, TEXT)
const v4 = p.ipv4({}, datagram)
const v6 = p.ipv6({}, datagram)

function frame(linkType: number, bytes: Buffer, originalLength = bytes.length): Frame {
  return { time: 1_700_000_000_123, linkType, bytes, originalLength }
}

/** The decoded packet as one comparable value, its payload as text. */
function shown(decoded: Decoded) {
  if (!('payload' in decoded)) return decoded
  // Whether a packet was plain has a table of its own.
  const { plain: _, ...rest } = decoded
  // Checksums have tests of their own.
  if (rest.kind === 'udp') {
    const { checksum: __, addressSum: ___, ...datagram } = rest
    return { ...datagram, payload: decoded.payload.toString('latin1') }
  }
  return { ...rest, payload: decoded.payload.toString('latin1') }
}

function decode(linkType: number, bytes: Buffer) {
  return shown(decodeFrame(frame(linkType, bytes), new IpFragments()))
}

const UDP4 = {
  kind: 'udp',
  time: 1_700_000_000_123,
  source: '10.0.0.1',
  sourcePort: 5062,
  destination: '10.0.0.2',
  destinationPort: 5060,
  payload: TEXT,
  truncated: false,
}
const UDP6 = { ...UDP4, source: '2001:db8::1', destination: '2001:db8::2' }
const TCP4 = {
  ...UDP4,
  kind: 'tcp',
  sequence: 4_294_967_290,
  acknowledgement: 0,
  syn: false,
  fin: false,
  rst: false,
}

/** Behind so many headers of destination options. */
function behindOptions(content: p.Transport, count: number): p.Transport {
  return Array.from({ length: count }).reduce<p.Transport>((inner) => p.extension(60, inner), content)
}

describe('a datagram is found in every kind of frame', () => {
  const table: [name: string, linkType: number, bytes: Buffer, expected: unknown][] = [
    ['Ethernet, IPv4', 1, p.ethernet(v4), UDP4],
    ['Ethernet, IPv6', 1, p.ethernet(v6), UDP6],
    [
      'Ethernet, padded',
      1,
      p.ethernet(p.ipv4({}, p.udp({}, 'OPT')), { padTo: 60 }),
      { ...UDP4, payload: 'OPT' },
    ],
    ['VLAN', 1, p.ethernet(p.vlan(100, v4)), UDP4],
    ['QinQ of 802.1ad', 1, p.ethernet(p.vlan(7, p.vlan(100, v6), 0x88a8)), UDP6],
    ['QinQ before 802.1ad', 1, p.ethernet(p.vlan(7, p.vlan(100, v4), 0x9100)), UDP4],
    ['PPPoE, IPv4', 1, p.ethernet(p.pppoe(v4)), UDP4],
    ['PPPoE, IPv6, in a VLAN', 1, p.ethernet(p.vlan(7, p.pppoe(v6))), UDP6],
    ['Linux cooked, IPv4', 113, p.cooked(v4), UDP4],
    ['Linux cooked, VLAN', 113, p.cooked(p.vlan(3, v6)), UDP6],
    ['Linux cooked v2, IPv4', 276, p.cooked2(v4), UDP4],
    ['Linux cooked v2, IPv6', 276, p.cooked2(v6), UDP6],
    ['raw IP of Linux', 12, v4.bytes, UDP4],
    ['raw IP of OpenBSD', 14, v6.bytes, UDP6],
    ['raw IP in files, IPv4', 101, v4.bytes, UDP4],
    ['raw IP in files, IPv6', 101, v6.bytes, UDP6],
    ['raw IPv4', 228, v4.bytes, UDP4],
    ['IPv6, a thousand options', 1, p.ethernet(p.ipv6({}, behindOptions(datagram, 1000))), UDP6],
    ['raw IPv6', 229, v6.bytes, UDP6],
    ['null, this byte order', 0, p.loopback(v4, { littleEndian: true }), UDP4],
    ['null, the other byte order', 0, p.loopback(v4, { littleEndian: false }), UDP4],
    ['null, IPv6 of FreeBSD', 0, p.loopback(v6, { littleEndian: true, v6Family: 28 }), UDP6],
    ['null, IPv6 of macOS', 0, p.loopback(v6, { littleEndian: true, v6Family: 30 }), UDP6],
    ['loop', 108, p.loopback(v6, { littleEndian: false, v6Family: 24 }), UDP6],
    ['PPP', 9, p.ppp(v4), UDP4],
    ['PPP with address and control', 50, Buffer.concat([Buffer.from([0xff, 3]), p.ppp(v6)]), UDP6],
    ['PPP with a compressed protocol', 9, p.ppp(v4).subarray(1), UDP4],
    ['PPPoE as a link', 51, p.pppoe(v4).bytes, UDP4],
    ['IPv4 options', 1, p.ethernet(p.ipv4({ options: Buffer.alloc(37, 1) }, datagram)), UDP4],
    ['IPv4 in IPv4', 1, p.ethernet(p.ipv4({ source: '192.0.2.1' }, p.tunnelled(v4))), UDP4],
    ['IPv6 in IPv4', 1, p.ethernet(p.ipv4({ source: '192.0.2.1' }, p.tunnelled(v6))), UDP6],
    ['IPv4 in IPv6', 1, p.ethernet(p.ipv6({}, p.tunnelled(v4))), UDP4],
    [
      'padding inside a tunnel',
      101,
      p.ipv4({}, p.other(4, Buffer.concat([v4.bytes, Buffer.alloc(9)]))).bytes,
      UDP4,
    ],
    [
      'IPv6 options',
      1,
      p.ethernet(p.ipv6({}, p.extension(0, p.extension(43, p.extension(60, datagram, 24))))),
      UDP6,
    ],
    ['IPv6 authentication', 1, p.ethernet(p.ipv6({}, p.extension(51, datagram, 24))), UDP6],
    [
      'an atomic fragment',
      1,
      p.ethernet(p.ipv6({}, p.fragmentHeader({ fragmentOffset: 0, more: false }, datagram))),
      UDP6,
    ],
    [
      'IPv4 length 0 of segmentation offload',
      1,
      p.ethernet(p.ipv4({ totalLength: 0 }, p.udp({ length: 0 }, TEXT))),
      UDP4,
    ],
    ['IPv6 length 0 of segmentation offload', 1, p.ethernet(p.ipv6({ payloadLength: 0 }, datagram)), UDP6],
    [
      'IPv4-mapped IPv6 addresses',
      101,
      p.ipv6({ source: '::ffff:10.0.0.1', destination: '::ffff:10.0.0.2' }, datagram).bytes,
      UDP4,
    ],
    ['TCP', 1, p.ethernet(p.ipv4({}, p.tcp({ sequence: -6 }, TEXT))), TCP4],
    [
      'TCP with options',
      1,
      p.ethernet(p.ipv4({}, p.tcp({ sequence: -6, options: Buffer.alloc(12, 1) }, TEXT))),
      TCP4,
    ],
    [
      'TCP flags',
      1,
      p.ethernet(p.ipv4({}, p.tcp({ sequence: -6, flags: { syn: true, rst: true, fin: true } }, ''))),
      { ...TCP4, payload: '', acknowledgement: undefined, syn: true, rst: true, fin: true },
    ],
    [
      'TCP with an urgent byte',
      1,
      p.ethernet(p.ipv4({}, p.tcp({ sequence: -6, flags: { ack: true, urg: true } }, TEXT))),
      { ...TCP4, urgent: true },
    ],
    [
      'TCP, padded',
      1,
      p.ethernet(p.ipv4({}, p.tcp({ sequence: -6 }, '')), { padTo: 60 }),
      { ...TCP4, payload: '' },
    ],
  ]
  test.each(table)('%s', (_name, linkType, bytes, expected) => {
    expect(decode(linkType, bytes)).toEqual(expected)
  })
})

describe('what holds no packet says why', () => {
  const lyingIhl = Buffer.from(v4.bytes)
  lyingIhl[0] = 0x44
  const table: [name: string, linkType: number, bytes: Buffer, reason: UndecodedReason][] = [
    ['an unknown link type', 105, p.ethernet(v4), 'unknown-link-type'],
    ['an empty frame', 1, Buffer.alloc(0), 'truncated'],
    ['spanning tree', 1, p.llc('bpdu'), 'not-ip'],
    ['ARP', 1, p.ethernet({ etherType: 0x0806, bytes: Buffer.alloc(28) }), 'not-ip'],
    [
      'PPPoE that is no session data',
      1,
      p.ethernet({ etherType: 0x8864, bytes: Buffer.alloc(20) }),
      'not-ip',
    ],
    ['PPP link control', 9, Buffer.from('c021', 'hex'), 'not-ip'],
    ['null of another family', 0, Buffer.from('07000000', 'hex'), 'not-ip'],
    [
      'five VLAN tags',
      1,
      p.ethernet(p.vlan(1, p.vlan(2, p.vlan(3, p.vlan(4, p.vlan(5, v4)))))),
      'too-many-headers',
    ],
    ['ICMP', 1, p.ethernet(p.ipv4({}, p.other(1, 'ping'))), 'not-udp-or-tcp'],
    ['IPv6 without a next header', 101, p.ipv6({}, p.other(59, '')).bytes, 'not-udp-or-tcp'],
    ['IP version 5', 101, Buffer.alloc(40, 0x55), 'bad-ip-header'],
    ['a header length below 20', 101, lyingIhl, 'bad-ip-header'],
    ['a total length below the header', 101, p.ipv4({ totalLength: 19 }, datagram).bytes, 'bad-ip-header'],
    ['half an IPv4 header', 101, v4.bytes.subarray(0, 10), 'truncated'],
    ['half an IPv6 header', 101, v6.bytes.subarray(0, 39), 'truncated'],
    ['half a UDP header that was cut', 101, v4.bytes.subarray(0, 24), 'truncated'],
    [
      'half a UDP header that was sent so',
      101,
      p.ipv4({}, p.other(17, 'abcd')).bytes,
      'bad-transport-header',
    ],
    ['a UDP length below 8', 101, p.ipv4({}, p.udp({ length: 7 }, TEXT)).bytes, 'bad-transport-header'],
    ['a UDP length beyond IP', 101, p.ipv4({}, p.udp({ length: 99 }, TEXT)).bytes, 'bad-transport-header'],
    ['half a TCP header', 101, p.ipv4({}, p.other(6, 'abcdefgh')).bytes, 'bad-transport-header'],
    ['a TCP data offset of 0', 101, p.ipv4({}, p.other(6, Buffer.alloc(20))).bytes, 'bad-transport-header'],
    [
      'a TCP data offset beyond IP',
      101,
      p.ipv4({}, p.other(6, Buffer.alloc(20, 0xf0))).bytes,
      'bad-transport-header',
    ],
    [
      'five IP headers',
      101,
      p.ipv4({}, p.tunnelled(p.ipv4({}, p.tunnelled(p.ipv4({}, p.tunnelled(p.ipv4({}, p.tunnelled(v4))))))))
        .bytes,
      'too-many-headers',
    ],
    [
      'IPv6 options to the end of the packet',
      101,
      p.ipv6({}, behindOptions(p.other(60, Buffer.alloc(0)), 1000)).bytes,
      'truncated',
    ],
    [
      'an IPv6 option beyond the packet',
      101,
      p.ipv6({}, p.other(60, Buffer.from('3cff000000000000', 'hex'))).bytes,
      'truncated',
    ],
    [
      'a fragment that was cut',
      101,
      p.ipv4({ more: true }, p.udp({}, 'x'.repeat(64))).bytes.subarray(0, 60),
      'truncated',
    ],
  ]
  test.each(table)('%s', (_name, linkType, bytes, reason) => {
    expect(decode(linkType, bytes)).toEqual({ kind: 'undecoded', reason })
  })
})

describe('a frame that the capture cut', () => {
  test('a datagram keeps what there is, and says so', () => {
    const cut = p.ethernet(v4).subarray(0, 14 + 20 + 8 + 8)
    expect(decode(1, cut)).toEqual({ ...UDP4, payload: 'REGISTER', truncated: true })
  })

  test('padding that was cut off is no loss', () => {
    const padded = p.ethernet(p.ipv4({}, p.udp({}, 'OPT')), { padTo: 60 }).subarray(0, 14 + 20 + 8 + 3)
    expect(decode(1, padded)).toEqual({ ...UDP4, payload: 'OPT' })
  })

  test('a segment says so too', () => {
    const cut = p.ethernet(p.ipv4({}, p.tcp({ sequence: -6 }, TEXT))).subarray(0, 14 + 20 + 20 + 8)
    expect(decode(1, cut)).toEqual({ ...TCP4, payload: 'REGISTER', truncated: true })
  })
})

describe('fragments become a datagram', () => {
  const long = p.udp({}, `INVITE ${'x'.repeat(3000)}`)
  const whole = { payload: `INVITE ${'x'.repeat(3000)}` }
  const table: [name: string, layers: p.Layer[], expected: object][] = [
    ['IPv4', p.fragments(long, { family: 4, size: 1480 }), { ...UDP4, ...whole }],
    ['IPv4, last first', p.fragments(long, { family: 4, size: 1480 }).reverse(), { ...UDP4, ...whole }],
    ['IPv6', p.fragments(long, { family: 6, size: 1400 }), { ...UDP6, ...whole }],
    ['IPv6, last first', p.fragments(long, { family: 6, size: 1400 }).reverse(), { ...UDP6, ...whole }],
    [
      'IPv6 with options inside',
      p.fragments(p.extension(60, long), { family: 6, size: 1400 }),
      { ...UDP6, ...whole },
    ],
    [
      'a tunnel',
      p.fragments(p.tunnelled(p.ipv4({}, long)), { family: 4, size: 1480, source: '192.0.2.9' }),
      { ...UDP4, ...whole },
    ],
  ]
  test.each(table)('%s', (_name, layers, expected) => {
    const fragments = new IpFragments()
    const decoded = layers.map((layer) => shown(decodeFrame(frame(1, p.ethernet(layer)), fragments)))
    expect(decoded.slice(0, -1).map(({ kind }) => kind)).toEqual(layers.slice(1).map(() => 'fragment-held'))
    expect(decoded.at(-1)).toEqual(expected)
    expect(fragments.held).toEqual({ datagrams: 0, bytes: 0 })
  })
})

describe('whatever comes in, a value comes out', () => {
  const linkTypes = fc.constantFrom(0, 1, 9, 12, 50, 51, 101, 108, 113, 228, 229, 276, 4711)
  const good = [
    p.ethernet(v4),
    p.ethernet(p.vlan(1, v6)),
    p.ethernet(p.pppoe(v4)),
    p.ethernet(
      p.ipv6({}, p.extension(0, p.fragmentHeader({ fragmentOffset: 8, more: true }, p.tcp({}, TEXT)))),
    ),
    p.ethernet(p.ipv4({ options: Buffer.alloc(8, 1), more: true }, p.tunnelled(v6))),
    p.cooked2(p.ipv4({}, p.tcp({ options: Buffer.alloc(8) }, TEXT))),
  ]

  test('of any bytes', () => {
    const fragments = new IpFragments()
    fc.assert(
      fc.property(linkTypes, fc.uint8Array({ maxLength: 200 }), (linkType, bytes) => {
        decodeFrame(frame(linkType, Buffer.from(bytes)), fragments)
      }),
      { numRuns: 2000 },
    )
  })

  test('of good frames with some bytes changed and the end cut', () => {
    const fragments = new IpFragments({ bytes: 20_000 })
    const changes = fc.array(fc.tuple(fc.nat(150), fc.nat(255)), { maxLength: 6 })
    fc.assert(
      fc.property(
        fc.constantFrom(...good),
        fc.constantFrom(1, 101, 276),
        changes,
        fc.nat(150),
        (bytes, link, edits, cut) => {
          const mutated = Buffer.from(bytes.subarray(0, Math.max(14, bytes.length - cut)))
          for (const [at, value] of edits) mutated[at % mutated.length] = value
          const decoded = decodeFrame(frame(link, mutated), fragments)
          if ('payload' in decoded) expect(decoded.payload.length).toBeLessThanOrEqual(65_535)
          expect(fragments.held.bytes).toBeLessThanOrEqual(20_000)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

test.each<[name: string, layers: p.Layer[], plain: boolean]>([
  ['a datagram over IPv4', [p.ipv4({}, p.udp({}, TEXT))], true],
  ['a datagram over IPv6', [p.ipv6({}, p.udp({}, TEXT))], true],
  ['a segment', [p.ipv4({}, p.tcp({}, TEXT))], true],
  [
    'a datagram in IPv4 fragments',
    p.fragments(p.udp({}, 'x'.repeat(3000)), { family: 4, size: 1480 }),
    false,
  ],
  [
    'a datagram in IPv6 fragments',
    p.fragments(p.udp({}, 'x'.repeat(3000)), { family: 6, size: 1400 }),
    false,
  ],
  ['a datagram behind IPv6 options', [p.ipv6({}, p.extension(60, p.udp({}, TEXT)))], false],
  ['a segment behind IPv6 options', [p.ipv6({}, p.extension(0, p.tcp({}, TEXT)))], false],
])('%s is plain: %s', (_, layers, plain) => {
  const fragments = new IpFragments()
  const decoded = layers.map((layer) => decodeFrame(frame(1, p.ethernet(layer)), fragments)).at(-1)
  expect(decoded).toMatchObject({ plain })
  // What one packet was says nothing of the next.
  expect(decodeFrame(frame(1, p.ethernet(v4)), fragments)).toMatchObject({ plain: true })
})

describe('a checksum of UDP', () => {
  const ends = { source: '203.0.113.7', destination: '10.0.0.2' }
  const ends6 = { source: '2001:db8::1', destination: '2001:db8::2' }
  const of = (layer: p.Layer) => {
    const decoded = decodeFrame(frame(1, p.ethernet(layer)), new IpFragments())
    return decoded.kind === 'udp' ? checksumOf(decoded) : decoded.kind
  }
  /** What a sender leaves there for the offload: the sum of the pseudo header alone. */
  const partial = (content: p.Transport) =>
    content.bytes.length + 17 + 0xcb00 + 0x7107 + 0x0a00 + 0x0002 - 0xffff
  const right = p.withChecksum(ends, p.udp({}, TEXT))
  const wrong = p.udp({ checksum: 0x1234 }, TEXT)
  const table: [name: string, layer: p.Layer, expected: string][] = [
    ['is right', p.ipv4(ends, right), 'right'],
    ['is right for an odd length', p.ipv4(ends, p.withChecksum(ends, p.udp({}, `${TEXT}!`))), 'right'],
    ['is right in IPv6', p.ipv6(ends6, p.withChecksum(ends6, p.udp({}, TEXT))), 'right'],
    ['is wrong', p.ipv4(ends, wrong), 'wrong'],
    ['is wrong between other ends', p.ipv4({ ...ends, source: '203.0.113.8' }, right), 'wrong'],
    ['is none in IPv4', p.ipv4(ends, datagram), 'none'],
    ['has to be one in IPv6', p.ipv6(ends6, datagram), 'wrong'],
    ['is yet to be completed', p.ipv4(ends, p.udp({ checksum: partial(datagram) }, TEXT)), 'partial'],
  ]
  test.each(table)('%s', (_name, layer, expected) => {
    expect(of(layer)).toBe(expected)
  })

  test('is that of all fragments together', () => {
    const held = new IpFragments()
    const long = p.withChecksum(ends, p.udp({}, 'x'.repeat(3001)))
    const [last] = p
      .fragments(long, { family: 4, size: 1480, ...ends })
      .map((layer) => decodeFrame(frame(1, p.ethernet(layer)), held))
      .slice(-1)
    expect(last?.kind === 'udp' && checksumOf(last)).toBe('right')
  })
})

test('live, a header of IPv4 with a wrong checksum is no packet: the kernel drops it', () => {
  const packet = p.ethernet(p.ipv4({}, datagram))
  packet[24]! ^= 1
  expect(decodeFrame(frame(1, packet), new IpFragments({}, { tunnels: 'leave' }))).toEqual({
    kind: 'undecoded',
    reason: 'bad-ip-header',
  })
  expect(decodeFrame(frame(1, packet), new IpFragments()).kind).toBe('udp')
})
