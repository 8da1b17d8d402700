import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import { CaptureReader, readCapture } from '../../../agent/capture/read-capture.ts'
import type { PcapngBlock } from '../../captures.ts'
import { pcapFile, pcapngFile } from '../../captures.ts'

const T = 1_700_000_000_250.125
const FRAMES = [
  { bytes: Buffer.from('one'), time: T },
  { bytes: Buffer.from('second'), time: T + 1, originalLength: 1514 },
  { bytes: Buffer.alloc(0), time: T + 2, originalLength: 60 },
]

function read(file: Buffer, chunkSize = file.length || 1) {
  const frames: { time: number; linkType: number; text: string; originalLength: number }[] = []
  const onFrame = ({ time, linkType, bytes, originalLength }: Frame) =>
    frames.push({ time, linkType, text: bytes.toString('latin1'), originalLength })
  const reader = new CaptureReader({ onFrame })
  for (let at = 0; at < file.length; at += chunkSize) reader.push(file.subarray(at, at + chunkSize))
  const result = reader.end()
  expect(result.frames).toBe(frames.length)
  return { frames, outcome: result.outcome }
}

const EXPECTED = [
  { time: T, linkType: 1, text: 'one', originalLength: 3 },
  { time: T + 1, linkType: 1, text: 'second', originalLength: 1514 },
  { time: T + 2, linkType: 1, text: '', originalLength: 60 },
]
const COMPLETE = { kind: 'complete' }

const micros = (time: number) => BigInt(time * 1000)
const SECTION: PcapngBlock = { kind: 'section' }
const ETHERNET: PcapngBlock = { kind: 'interface', linkType: 1 }
const PACKETS: PcapngBlock[] = FRAMES.map((frame) => ({ kind: 'enhanced', ticks: micros(frame.time), frame }))

const orders = [{ littleEndian: true }, { littleEndian: false }]

describe.each(orders)('pcap, %o', (order) => {
  test('microseconds', () => {
    expect(read(pcapFile(FRAMES, order))).toEqual({ frames: EXPECTED, outcome: COMPLETE })
  })

  test('nanoseconds, another link type', () => {
    const time = 1_700_000_000_000.5
    const file = pcapFile([{ bytes: Buffer.from('x'), time }], { ...order, nanoseconds: true, linkType: 276 })
    expect(read(file).frames).toEqual([{ time, linkType: 276, text: 'x', originalLength: 1 }])
  })

  test('the bits above the link type that tell of a checksum', () => {
    expect(read(pcapFile(FRAMES, { ...order, linkType: 0x4400_0001 })).frames).toEqual(EXPECTED)
  })

  test('no packets', () => {
    expect(read(pcapFile([], order))).toEqual({ frames: [], outcome: COMPLETE })
  })

  test('a record longer than any frame ends it, after the good ones', () => {
    const lie = pcapFile([{ bytes: Buffer.alloc(262_145) }], order).subarray(24)
    const { frames, outcome } = read(Buffer.concat([pcapFile(FRAMES, order), lie]))
    expect(frames).toEqual(EXPECTED)
    expect(outcome).toEqual({
      kind: 'bad-block',
      detail: 'a record claims 262145 bytes, more than any frame can have',
    })
  })
})

describe.each(orders)('pcapng, %o', (order) => {
  const file = (blocks: PcapngBlock[]) => pcapngFile(blocks, order)
  test('enhanced packets', () => {
    expect(read(file([SECTION, ETHERNET, ...PACKETS]))).toEqual({ frames: EXPECTED, outcome: COMPLETE })
  })

  test('obsolete packets', () => {
    const packets = PACKETS.map((block) => ({ ...block, kind: 'obsolete' }) as PcapngBlock)
    expect(read(file([SECTION, ETHERNET, ...packets]))).toEqual({ frames: EXPECTED, outcome: COMPLETE })
  })

  test('simple packets have the time of the one before, and the snap length of their interface', () => {
    const blocks: PcapngBlock[] = [
      SECTION,
      { kind: 'interface', linkType: 101, snapLength: 4 },
      { kind: 'enhanced', ticks: micros(T), frame: { bytes: Buffer.from('x') } },
      { kind: 'simple', frame: { bytes: Buffer.from('long'), originalLength: 99 } },
      { kind: 'simple', frame: { bytes: Buffer.from('abc') } },
    ]
    expect(read(file(blocks)).frames).toEqual([
      { time: T, linkType: 101, text: 'x', originalLength: 1 },
      { time: T, linkType: 101, text: 'long', originalLength: 99 },
      { time: T, linkType: 101, text: 'abc', originalLength: 3 },
    ])
  })

  test('interfaces have their own link type, resolution and offset', () => {
    const frame = { bytes: Buffer.from('x') }
    const blocks: PcapngBlock[] = [
      SECTION,
      ETHERNET,
      { kind: 'interface', linkType: 101, resolution: 9 },
      { kind: 'interface', linkType: 113, resolution: 0x80 | 10, offset: 1_700_000_000 },
      { kind: 'interface', linkType: 276, resolution: 0, offset: -1 },
      { kind: 'enhanced', interface: 1, ticks: 1_700_000_000_000_500_000n, frame },
      { kind: 'enhanced', interface: 2, ticks: 1536n, frame },
      { kind: 'enhanced', interface: 3, ticks: 1_700_000_001n, frame },
      { kind: 'enhanced', interface: 0, ticks: 1_700_000_000_000_125n, frame },
    ]
    expect(read(file(blocks)).frames.map(({ time, linkType }) => ({ time, linkType }))).toEqual([
      { time: 1_700_000_000_000.5, linkType: 101 },
      { time: 1_700_000_001_500, linkType: 113 },
      { time: 1_700_000_000_000, linkType: 276 },
      { time: 1_700_000_000_000.125, linkType: 1 },
    ])
  })

  test('unknown blocks are passed over, also large ones', () => {
    const blocks: PcapngBlock[] = [
      SECTION,
      { kind: 'unknown', type: 5, body: Buffer.alloc(24) },
      ETHERNET,
      { kind: 'unknown', type: 0x0bad, body: Buffer.alloc(2_000_000) },
      ...PACKETS,
    ]
    expect(read(file(blocks), 65_536)).toEqual({ frames: EXPECTED, outcome: COMPLETE })
  })

  test('a new section forgets the interfaces', () => {
    const { frames, outcome } = read(file([SECTION, ETHERNET, ...PACKETS, SECTION, ...PACKETS]))
    expect(frames).toEqual(EXPECTED)
    expect(outcome).toEqual({
      kind: 'bad-block',
      detail: 'a packet names an interface that was not described',
    })
  })

  test('a new section may have another byte order', () => {
    const other = pcapngFile([SECTION, ETHERNET, ...PACKETS], { littleEndian: !order.littleEndian })
    const { frames, outcome } = read(Buffer.concat([file([SECTION, ETHERNET, ...PACKETS]), other]))
    expect(frames).toEqual([...EXPECTED, ...EXPECTED])
    expect(outcome).toEqual(COMPLETE)
  })

  const good = file([SECTION, ETHERNET, PACKETS[0]!])
  const write = (value: number, at: number) => {
    const bytes = Buffer.from(good)
    if (order.littleEndian) bytes.writeUInt32LE(value, at)
    else bytes.writeUInt32BE(value, at)
    return bytes
  }
  const packet = good.length - file([PACKETS[0]!]).length
  const broken: [name: string, file: Buffer, detail: string][] = [
    ['a block shorter than its frame', write(8, packet + 4), 'a block claims a length of 8 bytes'],
    ['a length that is no multiple of four', write(43, packet + 4), 'a block claims a length of 43 bytes'],
    [
      'a block too long to hold',
      write(0x1000_0000, packet + 4),
      'a block claims 268435456 bytes, more than any frame can have',
    ],
    ['two lengths that differ', write(20, good.length - 4), 'the two lengths of a block differ'],
    ['a packet longer than its block', write(4000, packet + 20), 'a packet is longer than its block'],
    [
      'a packet of an interface that is not',
      write(1, packet + 8),
      'a packet names an interface that was not described',
    ],
    ['a section without a byte order', write(0x0102_0304, 8), 'a section header has no byte-order magic'],
  ]
  test.each(broken)('%s', (_name, bytes, detail) => {
    expect(read(bytes)).toEqual({ frames: [], outcome: { kind: 'bad-block', detail } })
  })
})

describe('a capture that ends within a record', () => {
  const files: [name: string, file: Buffer][] = [
    ['pcap', pcapFile(FRAMES.slice(0, 2))],
    ['pcapng', pcapngFile([SECTION, ETHERNET, ...PACKETS.slice(0, 2)])],
    [
      'pcapng, in an unknown block',
      pcapngFile([
        SECTION,
        ETHERNET,
        ...PACKETS.slice(0, 2),
        { kind: 'unknown', type: 99, body: Buffer.alloc(40) },
      ]),
    ],
  ]
  test.each(files)('%s', (_name, file) => {
    for (const missing of [1, 4, 9]) {
      const { frames, outcome } = read(file.subarray(0, file.length - missing))
      expect(EXPECTED.slice(0, frames.length)).toEqual(frames)
      expect(outcome).toEqual({
        kind: 'truncated',
        detail: `the capture ends within the record after frame ${frames.length}`,
      })
    }
  })
})

describe('what is no capture says so in a sentence', () => {
  const table: [name: string, file: Buffer, detail: string][] = [
    ['nothing', Buffer.alloc(0), 'The file is empty.'],
    ['too little', Buffer.from([0xd4, 0xc3]), 'The file is too short to be a pcap or pcapng capture.'],
    [
      'text',
      Buffer.from('REGISTER sip:example.com SIP/2.0\r\n'),
      'The file is neither a pcap nor a pcapng capture.',
    ],
    ['gzip', Buffer.from('1f8b0800deadbeef', 'hex'), 'The file is compressed with gzip; unpack it first.'],
    ['zstd', Buffer.from('28b52ffd00000000', 'hex'), 'The file is compressed with zstd; unpack it first.'],
  ]
  test.each(table)('%s', (_name, file, detail) => {
    expect(read(file)).toEqual({ frames: [], outcome: { kind: 'not-a-capture', detail } })
  })
})

describe('a stream', () => {
  const files = [pcapFile(FRAMES), pcapngFile([SECTION, ETHERNET, ...PACKETS], { littleEndian: true })]

  test.each(files.map((file, i) => [i, file] as const))(
    'is read the same in chunks of any size (%i)',
    (_i, file) => {
      for (let size = 1; size <= file.length; size++) {
        expect(read(file, size)).toEqual({ frames: EXPECTED, outcome: COMPLETE })
      }
    },
  )

  test('is read from an async iterable', async () => {
    let count = 0
    const result = await readCapture(
      Readable.from([files[0]!.subarray(0, 50), files[0]!.subarray(50)]),
      () => count++,
    )
    expect(result).toEqual({ outcome: COMPLETE, frames: 3 })
    expect(count).toBe(3)
  })

  test('of any bytes never throws', () => {
    const magic = fc.constantFrom(
      'a1b2c3d4',
      'd4c3b2a1',
      'a1b23c4d',
      '4d3cb2a1',
      '0a0d0d0a1c0000004d3c2b1a',
      '',
    )
    fc.assert(
      fc.property(
        magic,
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 1, max: 64 }),
        (start, rest, size) => {
          read(Buffer.concat([Buffer.from(start, 'hex'), rest]), size)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('of a good capture with some bytes changed never throws, in chunks of any size alike', () => {
    const edits = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 5 })
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        edits,
        fc.integer({ min: 1, max: 50 }),
        (file, changes, size) => {
          const bytes = Buffer.from(file)
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          expect(read(bytes, size)).toEqual(read(bytes))
        },
      ),
      { numRuns: 1000 },
    )
  })
})
