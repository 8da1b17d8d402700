import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FragmentLimits, IpFragment } from '../../../agent/decode/ip-fragments.ts'
import { IpFragments } from '../../../agent/decode/ip-fragments.ts'
import { parseAddress } from '../../../registrar/net/address.ts'

interface Piece {
  readonly at: number
  readonly text: string
  readonly last?: boolean
  readonly source?: string
  readonly id?: number
  readonly time?: number
  readonly protocol?: number
  readonly family?: 4 | 6
}

function fragment({
  at,
  text,
  last,
  source = '192.0.2.1',
  id = 1,
  time = 0,
  protocol = 17,
  family = 4,
}: Piece): IpFragment {
  return {
    time,
    family,
    source: parseAddress(source)!,
    destination: parseAddress('192.0.2.2')!,
    identification: id,
    protocol,
    fragmentOffset: at,
    more: !last,
    bytes: Buffer.from(text),
  }
}

function run(pieces: readonly Piece[], limits: Partial<FragmentLimits> = {}) {
  const fragments = new IpFragments(limits)
  const whole = pieces
    .map((piece) => fragments.add(fragment(piece)))
    .filter((datagram) => datagram !== undefined)
  const texts = whole.map(
    ({ protocol, bytes, other }) => `${protocol} ${bytes.toString()}${other ? ` or ${other.bytes}` : ''}`,
  )
  return { texts, ...fragments.counts, waiting: fragments.held.datagrams }
}

const NOTHING = {
  texts: [],
  reassembled: 0,
  overlapping: 0,
  timedOut: 0,
  evicted: 0,
  malformed: 0,
  waiting: 0,
}

describe('what fragments come to', () => {
  const a = { at: 0, text: 'aaaaaaaa' }
  const b = { at: 8, text: 'bbbbbbbb' }
  const c = { at: 16, text: 'ccc', last: true }
  const whole = { ...NOTHING, texts: ['17 aaaaaaaabbbbbbbbccc'], reassembled: 1 }
  const table: [name: string, pieces: Piece[], expected: object][] = [
    ['in order', [a, b, c], whole],
    ['backwards', [c, b, a], whole],
    ['the middle last', [a, c, b], whole],
    ['an exact copy is no overlap', [a, a, b, b, c], whole],
    ['a copy is none whatever is in it: the first counts', [a, { ...a, text: 'AAAAAAAA' }, b, c], whole],
    [
      'a copy of a part is none',
      [{ at: 0, text: 'aaaaaaaabbbbbbbb' }, { at: 8, text: 'XXXXXXXX' }, c],
      whole,
    ],
    ['what two of one run cover is a copy', [a, b, { at: 0, text: 'X'.repeat(16) }, c], whole],
    [
      'what two of different runs cover is an overlap',
      [b, a, { at: 0, text: 'X'.repeat(16) }, c],
      { ...NOTHING, overlapping: 1, waiting: 1 },
    ],
    [
      'after an overlap it begins anew',
      [a, { at: 0, text: 'X'.repeat(16) }, a, b, c],
      { ...whole, overlapping: 1 },
    ],
    [
      'teardrop: an end within another',
      [
        { at: 0, text: 'a'.repeat(24) },
        { at: 8, text: 'b', last: true },
      ],
      { ...NOTHING, overlapping: 1 },
    ],
    [
      'the end of one over the next',
      [b, { at: 0, text: 'a'.repeat(16) }, c],
      { ...NOTHING, overlapping: 1, waiting: 1 },
    ],
    ['two ends', [c, { at: 24, text: 'd', last: true }, a, b], { ...NOTHING, overlapping: 1, waiting: 1 }],
    [
      'bytes behind the end',
      [{ at: 8, text: 'b', last: true }, c, a],
      { ...NOTHING, overlapping: 1, waiting: 1 },
    ],
    ['an end before known bytes', [b, { at: 0, text: 'a', last: true }], { ...NOTHING, overlapping: 1 }],
    ['a hole', [a, c], { ...NOTHING, waiting: 1 }],
    ['an empty one', [a, { at: 8, text: '' }], { ...NOTHING, overlapping: 1 }],
    ['IPv4 cuts a length that is no multiple of eight', [{ at: 0, text: 'aaaaaaaaXXX' }, b, c], whole],
    [
      'IPv6 passes over a length that is no multiple of eight',
      [
        { at: 0, text: 'aaaaaaaaXXX', family: 6 },
        { ...a, family: 6 },
        { ...b, family: 6 },
        { ...c, family: 6 },
      ],
      { ...whole, malformed: 1 },
    ],
    [
      'more than a datagram holds',
      [{ at: 65_528, text: 'abcdefgh', last: true }],
      { ...NOTHING, malformed: 1 },
    ],
    ['another identification', [a, b, { ...c, id: 2 }], { ...NOTHING, waiting: 2 }],
    ['another source', [a, b, { ...c, source: '192.0.2.3' }], { ...NOTHING, waiting: 2 }],
    ['another protocol, IPv4', [a, b, { ...c, protocol: 6 }], { ...NOTHING, waiting: 2 }],
    [
      'another next header, IPv6: that of the first fragment counts',
      [
        { ...c, family: 6, protocol: 6 },
        { ...a, family: 6 },
        { ...b, family: 6, protocol: 6 },
      ],
      whole,
    ],
    ['the last one just in time', [a, b, { ...c, time: 29_999 }], whole],
    [
      'the last one a little late, as the kernel’s timer may be',
      [a, b, { ...c, time: 33_000 }],
      { ...whole, waiting: 1 },
    ],
    ['the last one too late', [a, b, { ...c, time: 34_000 }], { ...NOTHING, timedOut: 1, waiting: 1 }],
    [
      'IPv6 has a minute',
      [
        { ...a, family: 6 },
        { ...b, family: 6 },
        { ...c, family: 6, time: 59_999 },
      ],
      whole,
    ],
    [
      'when the kernel may have begun anew, both',
      [a, b, { ...a, text: 'AAAAAAAA', time: 32_000 }, { ...b, time: 32_000 }, { ...c, time: 32_000 }],
      { ...whole, texts: ['17 aaaaaaaabbbbbbbbccc or AAAAAAAAbbbbbbbbccc'], reassembled: 2 },
    ],
  ]
  test.each(table)('%s', (_name, pieces, expected) => {
    expect(run(pieces)).toEqual(expected)
  })
})

describe('bounds', () => {
  const start = (id: number, source = '192.0.2.1') => ({ at: 0, text: 'x'.repeat(800), id, source })
  const end = (id: number, source = '192.0.2.1') => ({ at: 800, text: 'end', last: true, id, source })
  const many = (count: number, source?: string) => Array.from({ length: count }, (_, id) => start(id, source))

  test('one source cannot push out what another has begun', () => {
    const result = run([start(7, '198.51.100.1'), ...many(5000), end(7, '198.51.100.1')], {
      datagrams: 500,
      datagramsOfSource: 128,
    })
    expect(result).toMatchObject({ reassembled: 1, waiting: 128, evicted: 5000 - 128 })
  })

  test('an IPv6 /64 is one source', () => {
    const addresses = Array.from({ length: 200 }, (_, host) =>
      start(1, `2001:db8::${(host + 1).toString(16)}`),
    )
    expect(run(addresses, { datagramsOfSource: 10 })).toMatchObject({ waiting: 10, evicted: 190 })
  })

  test('a source has a share of the bytes', () => {
    expect(run(many(100), { bytesOfSource: 10_560 })).toMatchObject({ waiting: 10, evicted: 90 })
  })

  test('many sources push out the oldest', () => {
    const pieces = Array.from({ length: 100 }, (_, host) => start(1, `198.51.100.${host}`))
    expect(
      run([...pieces, end(1, '198.51.100.99'), end(1, '198.51.100.0')], { datagrams: 50 }),
    ).toMatchObject({
      reassembled: 1,
      evicted: 50,
      waiting: 50,
    })
  })

  test('a datagram has a bound of fragments', () => {
    const pieces = Array.from({ length: 129 }, (_, i) => ({ at: i * 16, text: 'x'.repeat(8) }))
    expect(run(pieces, { fragmentsOfDatagram: 128 })).toMatchObject({ evicted: 1, waiting: 0 })
  })

  test('a datagram in the smallest fragments is put together', () => {
    const pieces = Array.from({ length: 8000 }, (_, i) => ({
      at: i * 8,
      text: 'x'.repeat(8),
      last: i === 7999,
    }))
    expect(run(pieces)).toMatchObject({ reassembled: 1, waiting: 0 })
  })

  test('as Linux does, what was begun so many fragments of its source ago begins anew', () => {
    const between = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ at: 8, text: 'x'.repeat(8), id: 9 + i }))
    const first = { at: 0, text: 'aaaaaaaa' }
    const last = { at: 8, text: 'b', last: true }
    expect(run([first, ...between(63), last])).toMatchObject({ reassembled: 1 })
    expect(run([first, ...between(64), last])).toMatchObject({ reassembled: 0, timedOut: 1 })
    expect(run([first, ...between(64), { ...first, text: 'AAAAAAAA' }, last]).texts).toEqual(['17 AAAAAAAAb'])
  })

  test('fragments that were captured in different ways are not put together', () => {
    const fragments = new IpFragments()
    const one = (at: number, last: boolean, way?: string) =>
      fragments.add({ ...fragment({ at, text: 'aaaaaaaa', last }), ...(way ? { way } : {}) })
    expect(
      [one(0, false, 'out'), one(8, true), one(8, true, 'out')].map((each) => each?.bytes.length),
    ).toEqual([undefined, undefined, 16])
  })

  test('whatever comes, no more is held than allowed', () => {
    const piece = fc.record({
      at: fc.nat(40).map((unit) => unit * 8),
      text: fc.constantFrom('', 'x'.repeat(8), 'y'.repeat(64), 'z'.repeat(640), 'odd'),
      last: fc.boolean(),
      source: fc.constantFrom('192.0.2.1', '192.0.2.9', '2001:db8::1', '2001:db8::2'),
      id: fc.nat(20),
      time: fc.nat(100_000),
    })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 200 }), (pieces) => {
        const fragments = new IpFragments({
          bytes: 10_000,
          datagrams: 12,
          datagramsOfSource: 5,
          fragmentsOfDatagram: 6,
        })
        for (const each of pieces) {
          fragments.add(fragment(each))
          expect(fragments.held.bytes).toBeLessThanOrEqual(10_000)
          expect(fragments.held.datagrams).toBeLessThanOrEqual(12)
        }
        // By the clock of a packet of much later everything is let go, and the account is even.
        fragments.add(fragment({ at: 0, text: '', time: 1e9 }))
        expect(fragments.held).toEqual({ datagrams: 0, bytes: 0 })
      }),
      { numRuns: 150 },
    )
  })
})
