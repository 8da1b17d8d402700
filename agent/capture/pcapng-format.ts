import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { CaptureFormat, FormatStep } from './capture-format.ts'
import { MAX_FRAME_BYTES, MAX_RECORD_BYTES } from './capture-format.ts'
import type { Frame } from './frame.ts'

const SECTION_HEADER = 0x0a0d0d0a
const INTERFACE_DESCRIPTION = 1
const OBSOLETE_PACKET = 2
const SIMPLE_PACKET = 3
const ENHANCED_PACKET = 6

const OPTION_END = 0
const OPTION_TIME_RESOLUTION = 9
const OPTION_TIME_OFFSET = 14

/** More interfaces than this in one section are taken for garbage. */
const MAX_INTERFACES = 4096

interface CaptureInterface {
  readonly linkType: number
  readonly snapLength: number
  readonly ticksPerMillisecond: number
  readonly offset: number
}

/** The pcapng format (draft-ietf-opsawg-pcapng): several sections, interfaces and byte orders in one file. */
export class PcapngFormat implements CaptureFormat {
  readonly #deliver: (frame: Frame) => void
  #littleEndian = false
  #interfaces: CaptureInterface[] = []
  #lastTime: EpochMilliseconds = 0

  constructor(deliver: (frame: Frame) => void) {
    this.#deliver = deliver
  }

  get ready(): boolean {
    return this.#interfaces.length > 0
  }

  step(bytes: Buffer, start: number, end: number): FormatStep {
    if (end - start < 12) return { kind: 'need', bytes: 12 }
    if (bytes.readUInt32BE(start) === SECTION_HEADER) {
      const magic = bytes.readUInt32BE(start + 8)
      if (magic !== 0x1a2b3c4d && magic !== 0x4d3c2b1a) return bad('a section header has no byte-order magic')
      this.#littleEndian = magic === 0x4d3c2b1a
      this.#interfaces = []
    }
    const type = this.#u32(bytes, start)
    const length = this.#u32(bytes, start + 4)
    if (length < 12 || length % 4 !== 0) return bad(`a block claims a length of ${length} bytes`)
    if (!isRead(type)) return { kind: 'taken', size: 12, skip: length - 12 }
    if (length > MAX_RECORD_BYTES) return bad(`a block claims ${length} bytes, more than any frame can have`)
    if (end - start < length) return { kind: 'need', bytes: length }
    if (this.#u32(bytes, start + length - 4) !== length) return bad('the two lengths of a block differ')
    const problem = this.#readBlock(type, bytes, start + 8, start + length - 4)
    return problem === undefined ? { kind: 'taken', size: length } : bad(problem)
  }

  /** Reads a block's body, `bytes[start..end)`. Returns what is wrong with it, if anything. */
  #readBlock(type: number, bytes: Buffer, start: number, end: number): string | undefined {
    switch (type) {
      case SECTION_HEADER:
        return end - start < 16 ? 'a section header is too short' : undefined
      case INTERFACE_DESCRIPTION:
        return this.#readInterface(bytes, start, end)
      case ENHANCED_PACKET:
        if (end - start < 20) return 'a packet block is too short'
        return this.#readPacket(bytes, start, end, this.#u32(bytes, start))
      case OBSOLETE_PACKET:
        if (end - start < 20) return 'a packet block is too short'
        return this.#readPacket(bytes, start, end, this.#u16(bytes, start))
      default:
        return this.#readSimplePacket(bytes, start, end)
    }
  }

  #readInterface(bytes: Buffer, start: number, end: number): string | undefined {
    if (end - start < 8) return 'an interface description is too short'
    if (this.#interfaces.length >= MAX_INTERFACES)
      return `a section has more than ${MAX_INTERFACES} interfaces`
    let ticksPerMillisecond = 1e3
    let offset = 0
    for (let at = start + 8; at + 4 <= end; ) {
      const code = this.#u16(bytes, at)
      const length = this.#u16(bytes, at + 2)
      if (code === OPTION_END || at + 4 + length > end) break
      if (code === OPTION_TIME_RESOLUTION && length >= 1) ticksPerMillisecond = readResolution(bytes[at + 4]!)
      if (code === OPTION_TIME_OFFSET && length >= 8) {
        const high = this.#littleEndian ? bytes.readInt32LE(at + 8) : bytes.readInt32BE(at + 4)
        const low = this.#u32(bytes, this.#littleEndian ? at + 4 : at + 8)
        offset = (high * 2 ** 32 + low) * 1000
      }
      at += 4 + ((length + 3) & ~3)
    }
    const linkType = this.#u16(bytes, start)
    this.#interfaces.push({ linkType, snapLength: this.#u32(bytes, start + 4), ticksPerMillisecond, offset })
    return undefined
  }

  /** Enhanced and obsolete packet blocks have the same fields at the same places, but for the interface. */
  #readPacket(bytes: Buffer, start: number, end: number, interfaceIndex: number): string | undefined {
    const source = this.#interfaces[interfaceIndex]
    if (source === undefined) return 'a packet names an interface that was not described'
    const captured = this.#u32(bytes, start + 12)
    if (captured > MAX_FRAME_BYTES || captured > end - start - 20) return 'a packet is longer than its block'
    const ticks = this.#u32(bytes, start + 4) * 2 ** 32 + this.#u32(bytes, start + 8)
    this.#lastTime = source.offset + ticks / source.ticksPerMillisecond
    this.#deliver({
      time: this.#lastTime,
      linkType: source.linkType,
      bytes: bytes.subarray(start + 20, start + 20 + captured),
      originalLength: this.#u32(bytes, start + 16),
    })
    return undefined
  }

  /** A simple packet block has no time of its own: it gets the time of the packet before it. */
  #readSimplePacket(bytes: Buffer, start: number, end: number): string | undefined {
    const source = this.#interfaces[0]
    if (source === undefined) return 'a packet names an interface that was not described'
    if (end - start < 4) return 'a packet block is too short'
    const originalLength = this.#u32(bytes, start)
    const limit = source.snapLength === 0 ? MAX_FRAME_BYTES : Math.min(source.snapLength, MAX_FRAME_BYTES)
    const captured = Math.min(originalLength, limit)
    if (captured > end - start - 4) return 'a packet is longer than its block'
    this.#deliver({
      time: this.#lastTime,
      linkType: source.linkType,
      bytes: bytes.subarray(start + 4, start + 4 + captured),
      originalLength,
    })
    return undefined
  }

  #u32(bytes: Buffer, offset: number): number {
    return this.#littleEndian ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset)
  }

  #u16(bytes: Buffer, offset: number): number {
    return this.#littleEndian ? bytes.readUInt16LE(offset) : bytes.readUInt16BE(offset)
  }
}

function isRead(type: number): boolean {
  return (
    type === ENHANCED_PACKET ||
    type === SIMPLE_PACKET ||
    type === INTERFACE_DESCRIPTION ||
    type === OBSOLETE_PACKET ||
    type === SECTION_HEADER
  )
}

/** if_tsresol: a negative power of ten, or of two with the high bit set; as ticks in a millisecond. */
function readResolution(value: number): number {
  const exponent = value & 0x7f
  return (value & 0x80 ? 2 ** exponent : 10 ** exponent) / 1000
}

function bad(detail: string): FormatStep {
  return { kind: 'stop', outcome: { kind: 'bad-block', detail } }
}
