import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Flow, TcpSegment } from './packet.ts'
import { Pieces } from './stream-pieces.ts'
import { type ByteStream, type Emit, flowOf, HELD_OVERHEAD, WINDOW } from './tcp-stream.ts'

/** Further ahead than this nothing is held; a softswitch's window for a phone is far smaller. */
const HOLD_WINDOW = 262_144
/** Bytes given out that are kept until they are acknowledged, and bytes kept of what lies elsewhere. */
const MOST_KEPT = 65_536

/** Bytes that may be where the stream really is: only the other end can tell. */
interface Elsewhere {
  readonly start: number
  readonly chunks: Buffer[]
  length: number
}

/**
 * What a client that is not believed sends to a softswitch that is. Its bytes mean what the softswitch received, and only
 * that one's acknowledgements tell: whoever writes to a connection can send segments that its kernel drops (a wrong
 * checksum, an old timestamp, a short TTL) and then others in their place, and anybody can send segments, SYN, FIN and
 * RST in the client's name. So a hole is skipped when it was acknowledged and no sooner, the stream is elsewhere
 * when bytes there were acknowledged, and where two segments say different things of the same bytes that nobody has
 * acknowledged yet, nobody can read the connection: it is said to be lost.
 */
export class ClientStream implements ByteStream {
  #flow: Flow
  /** The sequence number of the next byte in order; undefined before anybody knows where the stream is. */
  #next: number | undefined
  /** Of the first byte after the SYN, or after it was joined. */
  #born = 0
  #acknowledged: number | undefined
  /** The other end acknowledged bytes of this flow: it is nobody's forgery. */
  #isReal = false
  /** To be told as soon as it is known to be real. */
  #owesLoss = false
  /** Set where the first bytes to come may stand in the midst of a message. */
  #joinedInMidst = true
  /** Given out and not acknowledged, up to `#next`; and whether some of that had to be let go. */
  readonly #kept = new Pieces()
  #hasLetGo = false
  /** Came before their turn. */
  readonly #early = new Pieces()
  #end: number | undefined
  #elsewhere: Elsewhere | undefined
  waitingSince: EpochMilliseconds = 0
  delivered = false
  talking = false

  constructor(first: TcpSegment) {
    this.#flow = flowOf(first)
  }

  get held(): number {
    const elsewhere = this.#elsewhere
    return (
      this.#kept.cost +
      this.#early.cost +
      (elsewhere ? elsewhere.length + elsewhere.chunks.length * HELD_OVERHEAD : 0)
    )
  }

  /** Bytes that the other end has received did not come here. */
  get waits(): boolean {
    return this.#next !== undefined && this.#missing > 0
  }

  get #missing(): number {
    return this.#acknowledged === undefined ? 0 : (this.#acknowledged - this.#next!) | 0
  }

  /** `isAnswered`: whether acknowledgements are seen at all; else segments are taken as they come. */
  take(segment: TcpSegment, emit: Emit, { isAnswered }: { readonly isAnswered: boolean }): void {
    // Who resets is not known: the other end closes, or acknowledges more.
    if (segment.rst) return
    const { payload } = segment
    const start = segment.syn ? (segment.sequence + 1) >>> 0 : segment.sequence
    if (segment.syn && this.#next !== undefined && !isAnswered && start !== this.#next)
      this.#restart(segment.time, start, emit, { flow: flowOf(segment) })
    if (this.#next === undefined && !isAnswered) this.#joinAt(start, { inMidst: !segment.syn })
    if (payload.length > 0) {
      const ahead = this.#next === undefined ? WINDOW : (start - this.#next) | 0
      if (ahead >= HOLD_WINDOW || ahead <= -WINDOW) {
        if (!isAnswered && this.#goesOnElsewhere(start)) {
          this.#joinAt(start, { inMidst: true })
          this.#takeBytes(segment, start, 0, emit)
        } else this.#keepElsewhere(start, payload)
      } else this.#takeBytes(segment, start, ahead, emit)
    }
    if (segment.fin) this.#end = (start + payload.length) >>> 0
    if (!isAnswered && this.#end !== undefined && this.#end === this.#next) this.abandon(segment.time, emit)
  }

  /** The other end has answered a SYN: a connection begins there. */
  accept(first: number, time: EpochMilliseconds, emit: Emit): void {
    if (this.#next !== undefined && this.#acknowledged !== undefined && first === this.#born) return
    const elsewhere = this.#elsewhere
    if (first !== this.#born || !this.delivered) this.#restart(time, first, emit, {})
    this.#acknowledged = first
    if (elsewhere?.start === first) this.#deliver(Buffer.concat(elsewhere.chunks), time, emit)
  }

  /** The other end has received all before `upTo`. */
  acknowledge(upTo: number, time: EpochMilliseconds, emit: Emit): void {
    const ahead = this.#next === undefined ? WINDOW : (upTo - this.#next) | 0
    if (Math.abs(ahead) >= WINDOW) this.#move(upTo, time, emit)
    else if (ahead === 1 && this.#end === this.#next) this.abandon(time, emit)
    const waited = this.waits
    if (this.#acknowledged === undefined || ((upTo - this.#acknowledged) | 0) > 0) this.#acknowledged = upTo
    this.#kept.dropBefore(this.#acknowledged)
    if (!waited && this.waits) this.waitingSince = time
    if (((upTo - this.#born) | 0) > 0 && !this.#isReal) {
      this.#isReal = true
      if (this.#owesLoss) emit({ kind: 'lost', flow: this.#flow, time, why: 'contradiction' })
      this.#owesLoss = false
    }
  }

  mayBeAcknowledged(): boolean {
    return true
  }

  /** Waits no longer for what was received and not seen. */
  release(time: EpochMilliseconds, emit: Emit): void {
    if (!this.waits) return
    const first = this.#early.first
    const reached =
      first !== undefined && ((first - this.#acknowledged!) | 0) <= 0 ? first : this.#acknowledged!
    this.#lose(time, emit, 'missing')
    this.#kept.clear()
    this.#next = reached
    this.#drain(time, emit)
    if (this.waits) this.waitingSince = time
  }

  /** Frees all that is held. What it was can be read no more, which is told. */
  letGo(time: EpochMilliseconds, emit: Emit): void {
    if (this.#early.cost > 0) this.#lose(time, emit, 'crowded')
    this.#early.clear()
    if (this.#kept.cost > 0) this.#hasLetGo = true
    this.#kept.clear()
    this.#elsewhere = undefined
  }

  abandon(time: EpochMilliseconds, emit: Emit): void {
    if (this.delivered) emit({ kind: 'closed', flow: this.#flow, time })
    this.#flow = flowOf(this.#flow)
    this.delivered = false
    this.#forget()
    this.#next = undefined
  }

  #takeBytes(segment: TcpSegment, start: number, ahead: number, emit: Emit): void {
    const { payload, time } = segment
    // Which byte of it the softswitch gets to read nobody can tell from here, and no phone sends any.
    if (segment.urgent || this.#contradicts(start, payload)) this.#lose(time, emit, 'contradiction')
    if (ahead + payload.length <= 0) return
    if (ahead > 0) {
      this.#early.add(start, payload)
      return
    }
    this.#deliver(ahead < 0 ? payload.subarray(-ahead) : payload, time, emit)
    // What the capture cut off is a hole like any other.
    if (!segment.truncated) this.#drain(time, emit)
  }

  /** Whether other bytes were said to be there, of those that the other end has not acknowledged. */
  #contradicts(start: number, bytes: Buffer): boolean {
    if (this.#early.contradicts(start, bytes) || this.#kept.contradicts(start, bytes)) return true
    if (!this.#hasLetGo) return false
    // Those that had to be let go cannot be compared.
    const from = this.#kept.first ?? this.#next!
    const end = (start + bytes.length) | 0
    const isBefore = ((start - from) | 0) < 0
    return isBefore && (this.#acknowledged === undefined || ((end - this.#acknowledged) | 0) > 0)
  }

  #deliver(bytes: Buffer, time: EpochMilliseconds, emit: Emit): void {
    if (this.#joinedInMidst) emit({ kind: 'gap', flow: this.#flow, time })
    this.#joinedInMidst = false
    this.#emitBytes(bytes, time, emit)
  }

  #emitBytes(bytes: Buffer, time: EpochMilliseconds, emit: Emit): void {
    // Acknowledged before it was seen, where two devices show the two directions.
    const isReceived = this.#missing >= bytes.length
    if (!isReceived) this.#kept.add(this.#next!, bytes)
    if (this.#kept.cost > MOST_KEPT) {
      this.#kept.dropFirst()
      this.#hasLetGo = true
    }
    this.#next = (this.#next! + bytes.length) >>> 0
    this.delivered = true
    emit({ kind: 'bytes', flow: this.#flow, time, bytes })
  }

  #drain(time: EpochMilliseconds, emit: Emit): void {
    for (;;) {
      const piece = this.#early.takeFirst(this.#next!)
      if (!piece) return
      const ahead = (piece.sequence - this.#next!) | 0
      if (ahead + piece.bytes.length > 0)
        this.#deliver(ahead < 0 ? piece.bytes.subarray(-ahead) : piece.bytes, time, emit)
    }
  }

  #lose(time: EpochMilliseconds, emit: Emit, why: 'contradiction' | 'missing' | 'crowded'): void {
    emit({ kind: 'gap', flow: this.#flow, time })
    if (this.#isReal) emit({ kind: 'lost', flow: this.#flow, time, why })
    else if (why === 'contradiction') this.#owesLoss = true
  }

  #goesOnElsewhere(start: number): boolean {
    const there = this.#elsewhere
    return there !== undefined && (there.start + there.length) >>> 0 === start
  }

  #keepElsewhere(start: number, bytes: Buffer): void {
    const there = this.#elsewhere
    if (there && this.#goesOnElsewhere(start)) {
      if (there.length + bytes.length > MOST_KEPT) return
      there.chunks.push(Buffer.from(bytes))
      there.length += bytes.length
    } else if (there?.start !== start)
      this.#elsewhere = { start, chunks: [Buffer.from(bytes)], length: bytes.length }
  }

  /** The other end acknowledged what is far from here. */
  #move(upTo: number, time: EpochMilliseconds, emit: Emit): void {
    const there = this.#elsewhere
    const isThere =
      there !== undefined && ((upTo - there.start) | 0) > 0 && ((upTo - there.start - there.length) | 0) <= 0
    const wasPlaced = this.#next !== undefined
    if (this.delivered) this.abandon(time, emit)
    this.#joinAt(isThere ? there.start : upTo, { inMidst: true })
    if (wasPlaced && !isThere) {
      this.#isReal = true
      this.#lose(time, emit, 'missing')
    }
    this.#acknowledged = upTo
    if (isThere) this.#deliver(Buffer.concat(there.chunks), time, emit)
  }

  #restart(time: EpochMilliseconds, start: number, emit: Emit, { flow }: { readonly flow?: Flow }): void {
    if (this.delivered) this.abandon(time, emit)
    if (flow) this.#flow = flow
    this.#joinAt(start, { inMidst: false })
  }

  #joinAt(sequence: number, { inMidst }: { readonly inMidst: boolean }): void {
    this.#forget()
    this.#next = sequence
    this.#born = sequence
    this.#joinedInMidst = inMidst
  }

  #forget(): void {
    this.#early.clear()
    this.#kept.clear()
    this.#hasLetGo = false
    this.#elsewhere = undefined
    this.#end = undefined
    this.#acknowledged = undefined
    this.#isReal = false
    this.#owesLoss = false
  }
}
