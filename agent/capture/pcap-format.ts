import type { CaptureFormat, FormatStep } from './capture-format.ts'
import { MAX_FRAME_BYTES } from './capture-format.ts'
import type { Frame } from './frame.ts'

const FILE_HEADER_BYTES = 24
const RECORD_HEADER_BYTES = 16

/** The classic pcap format (draft-ietf-opsawg-pcap): either byte order, micro- or nanoseconds. */
export class PcapFormat implements CaptureFormat {
  readonly #littleEndian: boolean
  readonly #fractionsPerMillisecond: number
  readonly #deliver: (frame: Frame) => void
  #linkType = -1

  constructor(options: {
    readonly littleEndian: boolean
    readonly fractionsPerMillisecond: number
    readonly deliver: (frame: Frame) => void
  }) {
    this.#littleEndian = options.littleEndian
    this.#fractionsPerMillisecond = options.fractionsPerMillisecond
    this.#deliver = options.deliver
  }

  /** The format for the first four bytes of a file, read in network order; undefined where it is none. */
  static forMagic(magic: number, deliver: (frame: Frame) => void): PcapFormat | undefined {
    switch (magic) {
      case 0xa1b2c3d4:
        return new PcapFormat({ littleEndian: false, fractionsPerMillisecond: 1e3, deliver })
      case 0xd4c3b2a1:
        return new PcapFormat({ littleEndian: true, fractionsPerMillisecond: 1e3, deliver })
      case 0xa1b23c4d:
        return new PcapFormat({ littleEndian: false, fractionsPerMillisecond: 1e6, deliver })
      case 0x4d3cb2a1:
        return new PcapFormat({ littleEndian: true, fractionsPerMillisecond: 1e6, deliver })
      default:
        return undefined
    }
  }

  get ready(): boolean {
    return this.#linkType >= 0
  }

  step(bytes: Buffer, start: number, end: number): FormatStep {
    if (this.#linkType < 0) return this.#readFileHeader(bytes, start, end)
    if (end - start < RECORD_HEADER_BYTES) return { kind: 'need', bytes: RECORD_HEADER_BYTES }
    const captured = this.#u32(bytes, start + 8)
    if (captured > MAX_FRAME_BYTES) {
      const detail = `a record claims ${captured} bytes, more than any frame can have`
      return { kind: 'stop', outcome: { kind: 'bad-block', detail } }
    }
    const size = RECORD_HEADER_BYTES + captured
    if (end - start < size) return { kind: 'need', bytes: size }
    const seconds = this.#u32(bytes, start)
    const fraction = this.#u32(bytes, start + 4)
    this.#deliver({
      time: seconds * 1000 + fraction / this.#fractionsPerMillisecond,
      linkType: this.#linkType,
      bytes: bytes.subarray(start + RECORD_HEADER_BYTES, start + size),
      originalLength: this.#u32(bytes, start + 12),
    })
    return { kind: 'taken', size }
  }

  #readFileHeader(bytes: Buffer, start: number, end: number): FormatStep {
    if (end - start < FILE_HEADER_BYTES) return { kind: 'need', bytes: FILE_HEADER_BYTES }
    // The upper six bits tell of a frame check sequence; what follows the IP packet is not looked at anyway.
    this.#linkType = this.#u32(bytes, start + 20) & 0x03ff_ffff
    return { kind: 'taken', size: FILE_HEADER_BYTES }
  }

  #u32(bytes: Buffer, offset: number): number {
    return this.#littleEndian ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset)
  }
}
