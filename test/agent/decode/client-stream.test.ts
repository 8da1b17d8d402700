import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TcpSegment } from '../../../agent/decode/packet.ts'
import { type StreamEvent, type StreamLimits, TcpStreams } from '../../../agent/decode/tcp-streams.ts'
import { parseAddress } from '../../../registrar/net/address.ts'

const CLIENT = parseAddress('203.0.113.7')!
const SERVER = parseAddress('192.0.2.2')!
/** Of the first byte that the softswitch sends. */
const ITS_FIRST = 0x7000_0000

interface Piece {
  /** Relative to the first byte of the client's data. */
  readonly at?: number
  readonly text?: string
  readonly syn?: boolean
  readonly fin?: boolean
  readonly rst?: boolean
  readonly urgent?: true
  readonly time?: number
  /** What the client says it received, relative to the softswitch's first byte; null for no word of that. */
  readonly received?: number | null
  readonly port?: number
}

/** A segment of the client's, whose first byte of data has the number `base`. */
function sent(piece: Piece, base: number): TcpSegment {
  const {
    at = 0,
    text = '',
    syn = false,
    fin = false,
    rst = false,
    urgent,
    time = 0,
    received = 0,
    port = 4000,
  } = piece
  return {
    kind: 'tcp',
    time,
    source: CLIENT,
    sourcePort: port,
    destination: SERVER,
    destinationPort: 5060,
    payload: Buffer.from(text),
    truncated: false,
    plain: true,
    sequence: (base + at - (syn ? 1 : 0)) >>> 0,
    acknowledgement: syn || received === null ? undefined : (ITS_FIRST + received) >>> 0,
    syn,
    fin,
    rst,
    ...(urgent ? { urgent } : {}),
  }
}

interface Reply {
  /** How much the softswitch has received, relative to the client's first byte. */
  readonly has: number
  readonly text?: string
  readonly at?: number
  readonly syn?: boolean
  readonly time?: number
  readonly port?: number
}

function replied(
  { has, text = '', at = 0, syn = false, time = 0, port = 4000 }: Reply,
  base: number,
): TcpSegment {
  return {
    ...sent({ text, syn, time, port }, 0),
    source: SERVER,
    sourcePort: 5060,
    destination: CLIENT,
    destinationPort: port,
    sequence: (ITS_FIRST + at - (syn ? 1 : 0)) >>> 0,
    acknowledgement: (base + has) >>> 0,
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

function run(pieces: readonly (Piece | Reply)[], base = 1000, limits: Partial<StreamLimits> = {}) {
  const events: string[] = []
  const streams = new TcpStreams({
    onEvent: (event) => events.push(shown(event)),
    isBelieved: (address) => address === SERVER,
    limits,
  })
  for (const piece of pieces) streams.take('has' in piece ? replied(piece, base) : sent(piece, base))
  return { events, streams }
}

/** A handshake, and a first line that was received. */
const OPEN: readonly (Piece | Reply)[] = [{ syn: true }, { has: 0, syn: true }, { text: 'ab' }, { has: 2 }]
const far = 50_000_000

describe('what a softswitch receives of a client', () => {
  const table: [name: string, pieces: (Piece | Reply)[], expected: string[]][] = [
    ['comes at once', [...OPEN, { at: 2, text: 'cd' }], ['ab', 'cd']],
    ['is no copy', [...OPEN, { text: 'ab' }, { at: 2, text: 'cd' }, { at: 2, text: 'cd' }], ['ab', 'cd']],
    ['is no keepalive', [...OPEN, { at: 1, text: '\0' }, { at: 2, text: 'cd' }], ['ab', 'cd']],
    [
      'is not what another segment says of the same bytes: nobody knows which was received',
      [...OPEN, { at: 2, text: 'XX' }, { at: 2, text: 'cd' }, { has: 4 }, { at: 4, text: 'ef' }],
      ['ab', 'XX', '(gap)', '(lost: contradiction)', 'ef'],
    ],
    [
      'is not the first of two versions that begin elsewhere',
      [...OPEN, { at: 2, text: 'XXXX' }, { at: 4, text: 'ef' }],
      ['ab', 'XXXX', '(gap)', '(lost: contradiction)'],
    ],
    [
      'of two versions before their turn neither',
      [...OPEN, { at: 4, text: 'XX' }, { at: 4, text: 'ef' }],
      ['ab', '(gap)', '(lost: contradiction)'],
    ],
    [
      'in its first segment too, told when it is received',
      [{ syn: true }, { has: 0, syn: true }, { text: 'XX' }, { text: 'ab' }, { has: 2 }],
      ['XX', '(gap)', '(lost: contradiction)'],
    ],
    [
      'cannot be told where a byte is marked as urgent: the kernel takes that out',
      [...OPEN, { at: 2, text: 'cXd', urgent: true }, { has: 5 }],
      ['ab', '(gap)', '(lost: contradiction)', 'cXd'],
    ],
    [
      'waits for a hole that was not received, however long',
      [...OPEN, { at: 4, text: 'ef' }, { at: 0, time: 90_000 }, { has: 2 }, { at: 2, text: 'cd' }],
      ['ab', 'cd', 'ef'],
    ],
    [
      'leaves out what was received unseen',
      [...OPEN, { at: 4, text: 'ef' }, { has: 6, time: 10 }, { has: 6, time: 1_100 }],
      ['ab', '(gap)', '(lost: missing)', 'ef'],
    ],
    [
      'may be captured after it was acknowledged',
      [...OPEN, { has: 4, time: 10 }, { at: 2, text: 'cd', time: 20 }, { has: 4, time: 2_000 }],
      ['ab', 'cd'],
    ],
    [
      'goes on elsewhere when that was received',
      [
        ...OPEN,
        { at: far, text: 'cd' },
        { at: far + 2, text: 'ef' },
        { has: far + 4 },
        { at: far + 4, text: '!' },
      ],
      ['ab', '(closed)', '(gap)', 'cdef', '!'],
    ],
    [
      'does not go on elsewhere because somebody says so',
      [...OPEN, { at: far, text: '\r\n' }, { at: far + 2, text: 'XX' }, { has: 2 }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'is not ended by a RST that anybody may send',
      [...OPEN, { at: 2, rst: true }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'is not ended by a FIN that was not received',
      [...OPEN, { at: 2, fin: true }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    ['is ended by a FIN that was', [...OPEN, { at: 2, fin: true }, { has: 3 }], ['ab', '(closed)']],
    [
      'does not begin anew with a SYN that anybody may send',
      [...OPEN, { at: far, syn: true }, { has: 2 }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'begins anew with one that was answered',
      [...OPEN, { at: far, syn: true }, { has: far, syn: true }, { at: far, text: 'cd' }],
      ['ab', '(closed)', 'cd'],
    ],
    [
      'does not begin anew with an answer that came twice',
      [...OPEN, { has: 0, syn: true }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'is nothing that acknowledges what was never sent',
      [...OPEN, { at: 2, text: 'XX', received: 900_000 }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'is nothing without an acknowledgement',
      [...OPEN, { at: 2, text: 'XX', received: null }, { at: 2, text: 'cd' }],
      ['ab', 'cd'],
    ],
    [
      'of a connection that nobody saw begin is what was received',
      [
        ...OPEN,
        { port: 9, at: far, text: 'XX' },
        { port: 9, at: 5, text: 'cd' },
        { port: 9, has: 7 },
        { port: 9, at: 7, text: 'ef' },
      ],
      ['ab', '(gap)', 'cd', 'ef'],
    ],
    [
      'where no acknowledgement is seen at all is what comes',
      [{ text: 'ab' }, { at: 2, text: 'cd' }],
      ['(gap)', 'ab', 'cd'],
    ],
  ]
  test.each(table)('%s', (_name, pieces, expected) => {
    expect(run(pieces).events.filter((event) => !event.startsWith('<'))).toEqual(expected)
  })

  test.each(table)('%s, with the sequence numbers wrapping', (_name, pieces, expected) => {
    expect(run(pieces, 0xffff_ffff).events.filter((event) => !event.startsWith('<'))).toEqual(expected)
  })
})

describe('bounds', () => {
  test('so much before its turn is held, and then told to be lost', () => {
    const early = Array.from({ length: 50 }, (_, i) => ({ at: 100 + 20 * i, text: 'x'.repeat(10) }))
    const { events, streams } = run([...OPEN, ...early], 1000, { heldOfStream: 1380 })
    expect(events).toContain('(lost: crowded)')
    expect(streams.size.held).toBeLessThanOrEqual(1380)
  })

  test('nobody whose bytes were never received makes a connection lost', () => {
    const forged = Array.from({ length: 50 }, (_, i) => ({
      port: 7,
      at: 100 + 20 * i,
      text: `${i}`.repeat(10),
    }))
    const twice = forged.map((piece) => ({ ...piece, text: 'other' }))
    expect(run([...OPEN, ...forged, ...twice], 1000, { heldOfStream: 1380, held: 2000 }).events).toEqual([
      'ab',
    ])
  })

  test('no more is held than allowed, and the account is even', () => {
    const piece = fc.record({
      at: fc.oneof(fc.integer({ min: -50, max: 400 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
      text: fc.string({ maxLength: 40 }),
      syn: fc.boolean(),
      fin: fc.boolean(),
      rst: fc.boolean(),
      port: fc.integer({ min: 1, max: 6 }),
      time: fc.nat(5000),
    })
    const reply = fc.record({
      has: fc.oneof(fc.integer({ min: -50, max: 400 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 })),
      text: fc.string({ maxLength: 40 }),
      syn: fc.boolean(),
      port: fc.integer({ min: 1, max: 6 }),
      time: fc.nat(5000),
    })
    const limits = { freshStreams: 4, talkingStreams: 4, heldOfStream: 1000, held: 2000 }
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, reply), { maxLength: 150 }), (pieces) => {
        const streams = new TcpStreams({
          onEvent: () => {},
          isBelieved: (address) => address === SERVER,
          limits,
        })
        for (const each of pieces) {
          streams.take('has' in each ? replied(each, 100) : sent(each, 100))
          expect(streams.size.held).toBeGreaterThanOrEqual(0)
          expect(streams.size.held).toBeLessThanOrEqual(2000)
          expect(streams.size.streams).toBeLessThanOrEqual(8)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('whatever the network does, what comes out is what was sent, in order', () => {
    const text = 'The quick brown fox jumps over the lazy dog and runs away.'
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: text.length - 1 }), { maxLength: 12 })
    fc.assert(
      fc.property(cuts, fc.infiniteStream(fc.nat()), (points, order) => {
        const edges = [0, ...points.sort((a, b) => a - b), text.length]
        const pieces = edges.slice(1).map((end, i) => ({ at: edges[i]!, text: text.slice(edges[i], end) }))
        const shuffled = [...pieces, ...pieces]
          .map((piece) => ({ piece, rank: order.next().value }))
          .sort((a, b) => a.rank - b.rank)
        // What was received so far is acknowledged after each.
        const got = new Set<number>()
        const all: (Piece | Reply)[] = [{ syn: true }, { has: 0, syn: true }]
        for (const { piece } of shuffled) {
          for (let i = 0; i < piece.text.length; i++) got.add(piece.at + i)
          let has = 0
          while (got.has(has)) has++
          all.push(piece, { has })
        }
        const { events, streams } = run(all, 0xffff_ffe0)
        expect(events.join('')).toBe(text)
        expect(streams.size.held).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})
