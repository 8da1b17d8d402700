import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TcpSegment } from '../../../agent/decode/packet.ts'
import type { StreamEvent, StreamLimits } from '../../../agent/decode/tcp-streams.ts'
import { TcpStreams } from '../../../agent/decode/tcp-streams.ts'
import { parseAddress } from '../../../registrar/net/address.ts'

const CLIENT = parseAddress('192.0.2.1')!
const SERVER = parseAddress('192.0.2.2')!

interface Piece {
  /** Relative to the first byte of data. */
  readonly at?: number
  readonly text?: string
  readonly syn?: boolean
  readonly fin?: boolean
  readonly rst?: boolean
  readonly time?: number
  readonly port?: number
  readonly back?: boolean
  readonly cut?: boolean
}

/** A segment of a connection whose first byte of data has the number `base`. */
function segment(piece: Piece, base: number): TcpSegment {
  const {
    at = 0,
    text = '',
    syn = false,
    fin = false,
    rst = false,
    time = 0,
    port = 40_000,
    back,
    cut,
  } = piece
  return {
    kind: 'tcp',
    time,
    source: back ? SERVER : CLIENT,
    sourcePort: back ? 5060 : port,
    destination: back ? CLIENT : SERVER,
    destinationPort: back ? port : 5060,
    payload: Buffer.from(text),
    plain: true,
    truncated: cut ?? false,
    sequence: (base + at - (syn ? 1 : 0)) >>> 0,
    acknowledgement: undefined,
    syn,
    fin,
    rst,
  }
}

function shown(event: StreamEvent): string {
  const side = event.flow.source === CLIENT ? '' : '<'
  switch (event.kind) {
    case 'bytes':
      return side + event.bytes.toString()
    case 'gap':
      return `${side}(gap)`
    case 'lost':
      return `${side}(lost: ${event.why})`
    case 'closed':
      return `${side}(closed)`
  }
}

function run(pieces: readonly Piece[], options: { base?: number; limits?: Partial<StreamLimits> } = {}) {
  const events: string[] = []
  const streams = new TcpStreams({
    onEvent: (event) => events.push(shown(event)),
    ...(options.limits && { limits: options.limits }),
  })
  for (const piece of pieces) streams.take(segment(piece, options.base ?? 1000))
  return { events, streams }
}

const SYN = { syn: true }

describe('segments become a stream', () => {
  const far = 50_000_000
  const table: [name: string, pieces: Piece[], expected: string[]][] = [
    ['in order', [SYN, { text: 'ab' }, { at: 2, text: 'cd' }], ['ab', 'cd']],
    [
      'data in the SYN',
      [
        { syn: true, text: 'ab' },
        { at: 2, text: 'cd' },
      ],
      ['ab', 'cd'],
    ],
    ['the SYN twice', [SYN, SYN, { text: 'ab' }], ['ab']],
    [
      'joined in the midst',
      [
        { at: 77, text: 'ab' },
        { at: 79, text: 'cd' },
      ],
      ['(gap)', 'ab', 'cd'],
    ],
    ['acknowledgements alone', [{ at: 1 }, { at: 1, fin: true }, { rst: true }], []],
    ['a retransmission', [SYN, { text: 'ab' }, { text: 'ab' }, { at: 2, text: 'cd' }], ['ab', 'cd']],
    ['a retransmission with more', [SYN, { text: 'ab' }, { text: 'abcd' }], ['ab', 'cd']],
    ['an overlap: the first wins', [SYN, { text: 'abc' }, { at: 1, text: 'XYd' }], ['abc', 'd']],
    ['a keepalive', [SYN, { text: 'ab' }, { at: 1, text: '\0' }, { at: 2, text: 'cd' }], ['ab', 'cd']],
    ['two swapped', [SYN, { at: 2, text: 'cd' }, { text: 'ab' }], ['ab', 'cd']],
    [
      'three backwards',
      [SYN, { at: 4, text: 'ef' }, { at: 2, text: 'cd' }, { text: 'ab' }],
      ['ab', 'cd', 'ef'],
    ],
    [
      'early ones that overlap: the first wins',
      [SYN, { at: 2, text: 'cd' }, { at: 1, text: 'bXXe' }, { text: 'a' }],
      ['a', 'b', 'cd', 'e'],
    ],
    [
      'an early one that came again',
      [SYN, { at: 2, text: 'cd' }, { at: 2, text: 'XX' }, { text: 'ab' }],
      ['ab', 'cd'],
    ],
    ['a late one over early ones', [SYN, { at: 2, text: 'cd' }, { text: 'abXXe' }], ['abXXe']],
    [
      'a hole, for too long',
      [SYN, { at: 2, text: 'cd', time: 5 }, { at: 4, text: 'ef', time: 1005 }],
      ['(gap)', 'cd', 'ef'],
    ],
    [
      'a hole that another connection sees is old',
      [SYN, { at: 2, text: 'cd', time: 5 }, { port: 7, syn: true, text: 'x', time: 1005 }],
      ['(gap)', 'cd', 'x'],
    ],
    ['the end', [SYN, { text: 'ab' }, { at: 2, fin: true }, { at: 2, fin: true }], ['ab', '(closed)']],
    ['the end with data', [SYN, { text: 'ab', fin: true }], ['ab', '(closed)']],
    ['the end before its turn', [SYN, { at: 2, fin: true }, { text: 'ab' }], ['ab', '(closed)']],
    [
      'late copies after the end',
      [SYN, { text: 'ab', fin: true }, { text: 'ab', fin: true }],
      ['ab', '(closed)'],
    ],
    ['a reset', [SYN, { text: 'ab' }, { at: 2, rst: true }], ['ab', '(closed)']],
    [
      'a reset from elsewhere',
      [SYN, { text: 'ab' }, { at: far, rst: true }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'data after a forged reset',
      [SYN, { text: 'ab' }, { at: 2, rst: true }, { at: 2, text: 'cd' }],
      ['ab', '(closed)', '(gap)', 'cd'],
    ],
    [
      'a forged segment from elsewhere',
      [SYN, { text: 'ab' }, { at: far, text: 'XX' }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'a jump that goes on',
      [SYN, { text: 'ab' }, { at: far, text: 'XX' }, { at: far + 2, text: 'yz' }, { at: far + 4, text: '!' }],
      ['ab', '(gap)', 'yz', '!'],
    ],
    [
      'the same ports again',
      [SYN, { text: 'ab' }, { at: far, syn: true }, { at: far, text: 'cd' }],
      ['ab', '(closed)', 'cd'],
    ],
    [
      'a segment that the capture cut',
      [SYN, { text: 'ab', cut: true }, { at: 1500, text: 'cd' }, { at: 1502, text: 'ef' }],
      ['ab', '(gap)', 'cd', 'ef'],
    ],
    [
      'both directions',
      [SYN, { back: true, syn: true }, { text: 'ab' }, { back: true, text: 'xy' }],
      ['ab', '<xy'],
    ],
  ]
  test.each(table)('%s', (_name, pieces, expected) => {
    expect(run(pieces).events).toEqual(expected)
  })

  test.each(table)('%s, with the sequence numbers wrapping', (_name, pieces, expected) => {
    expect(run(pieces, { base: 0xffff_ffff }).events).toEqual(expected)
  })

  test('one stream has one flow object', () => {
    const flows = new Set<unknown>()
    const streams = new TcpStreams({ onEvent: ({ flow }) => flows.add(flow) })
    for (const piece of [
      SYN,
      { text: 'ab' },
      { at: 9, text: 'cd' },
      { at: 11, text: 'e', time: 5000 },
      { at: 12, rst: true },
    ]) {
      streams.take(segment(piece, 0))
    }
    expect(flows.size).toBe(1)
  })
})

describe('bounds', () => {
  test('a stream holds so much, then goes on behind the hole', () => {
    const pieces = Array.from({ length: 30 }, (_, i) => ({ at: 100 + 20 * i, text: 'x'.repeat(10) }))
    const { events, streams } = run([SYN, ...pieces], { limits: { heldOfStream: 1380 } })
    expect(events.slice(0, 2)).toEqual(['(gap)', 'xxxxxxxxxx'])
    expect(streams.size.held).toBeLessThanOrEqual(1380)
  })

  test('all streams hold so much, and the first to wait goes on', () => {
    const pieces = [1, 2, 3].flatMap((port) => [
      { port, syn: true },
      { port, at: 5, text: `port ${port}` },
    ])
    expect(run(pieces, { limits: { held: 300 } }).events).toEqual(['(gap)', 'port 1'])
  })

  test('a flood of new connections pushes out none in which both sides have spoken', () => {
    const flood = Array.from({ length: 500 }, (_, i) => ({ port: i + 1, syn: true, text: 'x' }))
    const { events, streams } = run(
      [
        SYN,
        { text: 'ab' },
        { back: true, text: 'xy' },
        ...flood,
        { at: 2, text: 'cd' },
        { back: true, at: 2, text: 'z' },
      ],
      { limits: { freshStreams: 50 } },
    )
    expect(events.filter((event) => event !== 'x' && event !== '(closed)')).toEqual([
      'ab',
      '<(gap)',
      '<xy',
      'cd',
      '<z',
    ])
    expect(streams.size.streams).toBe(52)
    expect(streams.counts.evicted).toBe(450)
  })

  test('the connection that was idle longest goes first', () => {
    const open = (port: number) => ({ port, syn: true, text: `${port}` })
    const { events } = run(
      [open(1), open(2), { port: 1, at: 1, text: 'more' }, open(3), { port: 1, at: 5, text: '!' }],
      {
        limits: { freshStreams: 2 },
      },
    )
    expect(events).toEqual(['1', '2', 'more', '(closed)', '3', '!'])
  })
})

describe('whatever the network does', () => {
  test('what comes out is what was sent, in order', () => {
    const sent = 'The quick brown fox jumps over the lazy dog and runs away.'
    // Each piece of the text at least once, then shuffled together with repetitions of any part.
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: sent.length - 1 }), { maxLength: 12 })
    const repeats = fc.array(fc.tuple(fc.nat(sent.length - 1), fc.integer({ min: 1, max: 20 })), {
      maxLength: 8,
    })
    fc.assert(
      fc.property(cuts, repeats, fc.infiniteStream(fc.nat()), (points, again, order) => {
        const edges = [0, ...points.sort((a, b) => a - b), sent.length]
        const pieces = edges.slice(1).map((end, i) => ({ at: edges[i]!, text: sent.slice(edges[i], end) }))
        const all = [...pieces, ...again.map(([at, size]) => ({ at, text: sent.slice(at, at + size) }))]
          .map((piece) => ({ piece, rank: order.next().value }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ piece }) => piece)
        const { events, streams } = run([SYN, ...all], { base: 0xffff_ffe0 })
        expect(events.join('')).toBe(sent)
        expect(streams.size.held).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  test('no more is held than allowed, and the account is even', () => {
    const piece = fc.record({
      at: fc.oneof(fc.integer({ min: -50, max: 400 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
      text: fc.string({ maxLength: 40 }),
      syn: fc.boolean(),
      fin: fc.boolean(),
      rst: fc.boolean(),
      cut: fc.boolean(),
      back: fc.boolean(),
      port: fc.integer({ min: 1, max: 6 }),
      time: fc.nat(5000),
    })
    const limits = { freshStreams: 4, talkingStreams: 4, heldOfStream: 1000, held: 2000 }
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 150 }), (pieces) => {
        const streams = new TcpStreams({ onEvent: () => {}, limits })
        for (const each of pieces) {
          streams.take(segment({ ...each, syn: each.syn && each.at % 5 === 0 }, 100))
          expect(streams.size.held).toBeGreaterThanOrEqual(0)
          expect(streams.size.held).toBeLessThanOrEqual(2000)
          expect(streams.size.streams).toBeLessThanOrEqual(8)
        }
        // A packet of much later ends all waiting.
        streams.take(segment({ port: 99, syn: true, time: 1e9 }, 0))
        streams.take(segment({ port: 99, syn: true, time: 2e9 }, 0))
        expect(streams.size.held).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
