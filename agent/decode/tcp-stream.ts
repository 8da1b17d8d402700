import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Flow, TcpSegment } from './packet.ts'
import type { StreamEvent } from './tcp-streams.ts'

/** Further ahead or behind than this belongs to another connection, or to nobody. */
export const WINDOW = 1_048_576
/** What a held segment costs beside its bytes. */
export const HELD_OVERHEAD = 128
/** So far from what was sent the acknowledgement of a segment may be, where some of both was not captured. */
const ACKNOWLEDGED_WITHIN = 65_536

interface Piece {
  readonly sequence: number
  readonly bytes: Buffer
}

export type Emit = (event: StreamEvent) => void

/** One direction of a connection, as `TcpStreams` keeps it. */
export interface ByteStream {
  /** Bytes held, with a fee for each piece. */
  readonly held: number
  /** Whether it waits for missing bytes, and since when. */
  readonly waits: boolean
  readonly waitingSince: EpochMilliseconds
  /** Whether any bytes came out, and whether the other direction has some too. */
  readonly delivered: boolean
  talking: boolean
  take(segment: TcpSegment, emit: Emit, options: { readonly isAnswered: boolean }): void
  /** The other end, which is believed, answered a SYN: the stream begins with that number. */
  accept(first: number, time: EpochMilliseconds, emit: Emit): void
  /** The other end, which is believed, received all before that. */
  acknowledge(upTo: number, time: EpochMilliseconds, emit: Emit): void
  /** Whether the other end can have received all before that of it, and no more. */
  mayBeAcknowledged(upTo: number): boolean
  /** Waits no longer for what is missing. */
  release(time: EpochMilliseconds, emit: Emit): void
  /** Frees what is held, for lack of room. */
  letGo(time: EpochMilliseconds, emit: Emit): void
  /** Ends the stream. */
  abandon(time: EpochMilliseconds, emit: Emit): void
}

/** One direction of a connection whose sender is believed. Sequence numbers wrap (RFC 9293 section 3.4): all comparisons are differences. */
export class TcpStream implements ByteStream {
  #flow: Flow
  /** The sequence number that the next byte in order has. */
  #next: number
  #open = true
  /** Set where the first bytes to come may stand in the midst of a message. */
  #joinedInMidst: boolean
  /** The capture cut the last segment short: the next one starts behind a hole that nothing will fill. */
  #cut = false
  #end: number | undefined
  /** Where bytes far outside of the window ended: if the next ones go on there, that is where the stream is. */
  #elsewhere: number | undefined
  #pieces: Piece[] = []
  /** Bytes held before their turn, with a fee for each piece. */
  held = 0
  waitingSince: EpochMilliseconds = 0
  delivered = false
  talking = false
  /** The last that was sent, and how much that was since the stream is known. */
  #sentUpTo: number
  #sent = 0

  constructor(first: TcpSegment) {
    this.#flow = flowOf(first)
    this.#next = first.syn ? (first.sequence + 1) >>> 0 : first.sequence
    this.#joinedInMidst = !first.syn
    this.#sentUpTo = this.#next
  }

  get waits(): boolean {
    return this.held > 0
  }

  accept(): void {}

  acknowledge(): void {}

  /** RFC 5961 section 5.2: whoever forges a segment does not know it. Linux drops such a one too. */
  mayBeAcknowledged(upTo: number): boolean {
    const behind = (this.#sentUpTo - upTo) | 0
    return behind >= -ACKNOWLEDGED_WITHIN && behind <= Math.min(this.#sent, WINDOW) + ACKNOWLEDGED_WITHIN
  }

  letGo(time: EpochMilliseconds, emit: Emit): void {
    this.release(time, emit)
  }

  take(segment: TcpSegment, emit: Emit): void {
    const start = segment.syn ? (segment.sequence + 1) >>> 0 : segment.sequence
    if (segment.syn && (start !== this.#next || this.delivered)) this.#restart(segment, start, emit)
    const ahead = (start - this.#next) | 0
    if (segment.rst) {
      if (ahead >= 0 && ahead < WINDOW) this.abandon(segment.time, emit)
      return
    }
    this.#note((start + segment.payload.length) >>> 0, segment.payload.length)
    if (segment.payload.length > 0) this.#takeBytes(segment, start, ahead, emit)
    if (segment.fin) this.#takeEnd((start + segment.payload.length) >>> 0)
    if (this.#end !== undefined && ((this.#end - this.#next) | 0) <= 0) this.abandon(segment.time, emit)
  }

  /** Waits no longer for what is missing: goes on behind the hole. */
  release(time: EpochMilliseconds, emit: Emit): void {
    const first = this.#pieces[0]
    if (!first) return
    emit({ kind: 'gap', flow: this.#flow, time })
    this.#next = first.sequence
    this.#drain(time, emit)
  }

  /** Ends the stream. It stays known, so that late copies of its last bytes are not taken for something new. */
  abandon(time: EpochMilliseconds, emit: Emit): void {
    if (this.#open) emit({ kind: 'closed', flow: this.#flow, time })
    this.#open = false
    this.#pieces = []
    this.held = 0
    this.#end = undefined
  }

  #note(end: number, length: number): void {
    const ahead = (end - this.#sentUpTo) | 0
    if (ahead <= 0 && ahead > -WINDOW) return
    this.#sent = ahead < 0 || ahead >= WINDOW ? length : this.#sent + ahead
    this.#sentUpTo = end
  }

  #takeEnd(end: number): void {
    const ahead = (end - this.#next) | 0
    if (ahead >= 0 && ahead < WINDOW) this.#end = end
  }

  #takeBytes(segment: TcpSegment, start: number, ahead: number, emit: Emit): void {
    const { payload, time } = segment
    if (Math.abs(ahead) >= WINDOW) {
      const end = (start + payload.length) >>> 0
      if (this.delivered && this.#elsewhere !== start) {
        this.#elsewhere = end
        return
      }
      this.#joinAt(start)
      this.#deliver(segment, payload, emit)
      return
    }
    if (ahead + payload.length <= 0) return
    if (ahead <= 0) {
      this.#deliver(segment, ahead < 0 ? payload.subarray(-ahead) : payload, emit)
    } else if (this.#cut || !this.#open) {
      this.#joinAt(start)
      this.#deliver(segment, payload, emit)
    } else {
      if (this.held === 0) this.waitingSince = time
      this.#hold(ahead, payload)
    }
  }

  #deliver(segment: TcpSegment, bytes: Buffer, emit: Emit): void {
    this.#reopen(segment)
    this.#elsewhere = undefined
    if (this.#joinedInMidst) emit({ kind: 'gap', flow: this.#flow, time: segment.time })
    this.#joinedInMidst = false
    this.#emitBytes(bytes, segment.time, emit)
    this.#cut = segment.truncated
    this.#drain(segment.time, emit)
  }

  #emitBytes(bytes: Buffer, time: EpochMilliseconds, emit: Emit): void {
    this.#next = (this.#next + bytes.length) >>> 0
    this.delivered = true
    emit({ kind: 'bytes', flow: this.#flow, time, bytes })
  }

  /** Delivers the held pieces whose turn has come. */
  #drain(time: EpochMilliseconds, emit: Emit): void {
    let done = 0
    for (const { sequence, bytes } of this.#pieces) {
      const ahead = (sequence - this.#next) | 0
      if (ahead > 0) break
      done++
      this.held -= bytes.length + HELD_OVERHEAD
      if (ahead + bytes.length > 0) this.#emitBytes(ahead < 0 ? bytes.subarray(-ahead) : bytes, time, emit)
    }
    if (done > 0) this.#pieces.splice(0, done)
    if (this.held > 0) this.waitingSince = time
  }

  /** Keeps the parts of `bytes` that no earlier segment had: the first to come wins. */
  #hold(ahead: number, bytes: Buffer): void {
    let from = ahead
    const to = ahead + bytes.length
    let at = 0
    for (; at < this.#pieces.length && from < to; at++) {
      const piece = this.#pieces[at]!
      const start = (piece.sequence - this.#next) | 0
      if (start >= to) break
      if (start > from) this.#insert(at++, from, bytes.subarray(from - ahead, start - ahead))
      from = Math.max(from, start + piece.bytes.length)
    }
    if (from < to) this.#insert(at, from, bytes.subarray(from - ahead))
  }

  #insert(at: number, ahead: number, bytes: Buffer): void {
    this.#pieces.splice(at, 0, { sequence: (this.#next + ahead) >>> 0, bytes: Buffer.from(bytes) })
    this.held += bytes.length + HELD_OVERHEAD
  }

  #joinAt(sequence: number): void {
    this.#pieces = []
    this.held = 0
    this.#end = undefined
    this.#next = sequence
    this.#joinedInMidst = true
  }

  /** A new connection on the same ports. */
  #restart(segment: TcpSegment, start: number, emit: Emit): void {
    this.abandon(segment.time, emit)
    this.#reopen(segment)
    this.#joinAt(start)
    this.#joinedInMidst = false
    this.#cut = false
    this.delivered = false
  }

  #reopen(segment: TcpSegment): void {
    if (this.#open) return
    this.#open = true
    this.#flow = flowOf(segment)
    this.#joinedInMidst = true
  }
}

export function flowOf({ source, sourcePort, destination, destinationPort }: Flow): Flow {
  return { source, sourcePort, destination, destinationPort }
}
