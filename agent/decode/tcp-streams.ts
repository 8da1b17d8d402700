import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { ClientStream } from './client-stream.ts'
import type { Flow, TcpSegment } from './packet.ts'
import { type ByteStream, TcpStream } from './tcp-stream.ts'

/** What comes out of one direction of a connection. `flow` is the same object for all of one stream. */
export type StreamEvent =
  /** The next bytes, in order. A view: copy what must last. */
  | { readonly kind: 'bytes'; readonly flow: Flow; readonly time: EpochMilliseconds; readonly bytes: Buffer }
  /** Bytes are missing before the next ones, or the stream was joined in its midst: look for a new beginning. */
  | { readonly kind: 'gap'; readonly flow: Flow; readonly time: EpochMilliseconds }
  /**
   * The other end received what was not read here: two segments said different things of the same bytes, bytes are
   * missing, or there was no room for them. Of streams alone whose sender is not believed.
   */
  | {
      readonly kind: 'lost'
      readonly flow: Flow
      readonly time: EpochMilliseconds
      readonly why: 'contradiction' | 'missing' | 'crowded'
    }
  /** Nothing more comes of this flow object: the end, a reset, or a bound. */
  | { readonly kind: 'closed'; readonly flow: Flow; readonly time: EpochMilliseconds }

export interface StreamLimits {
  /** Directions that were never answered: whoever forges addresses can only push these out. */
  readonly freshStreams: number
  /** Directions of connections in which both sides have sent bytes. */
  readonly talkingStreams: number
  /** Bytes that arrived before their turn, with a fee for each segment, of one stream and in all. */
  readonly heldOfStream: number
  readonly held: number
  /** How long a missing piece is waited for. */
  readonly patience: Milliseconds
}

const STREAM_LIMITS: StreamLimits = {
  freshStreams: 4096,
  talkingStreams: 16_384,
  heldOfStream: 131_072,
  held: 8_388_608,
  patience: 1_000,
}

export interface StreamCounts {
  /** Pieces that never came, and streams joined in their midst. */
  gaps: number
  /** Streams let go to make room. */
  evicted: number
  /** How often what the other end received could not be read. */
  lost: number
  /** Segments that the other end drops: what they acknowledge was never sent. */
  implausible: number
}

/** Streams that are looked at when room is needed: the one that holds most is let go. */
const COMPARED = 32

/**
 * Puts captured TCP segments back into byte streams, each direction of a connection for itself, by the packets' own
 * clock. What a forger can do without seeing the connection (a stray SYN, RST or segment) costs at most a gap.
 */
export class TcpStreams {
  readonly #onEvent: (event: StreamEvent) => void
  readonly #limits: StreamLimits
  readonly #isBelieved: ((address: Address) => boolean) | undefined
  /** Whether acknowledgements of an end that is believed are captured. */
  #isAnswered = false
  /** Both in order of last use, so that the first is the one that was idle longest. */
  readonly #fresh = new Map<string, ByteStream>()
  readonly #talking = new Map<string, ByteStream>()
  /** Streams that wait for a missing piece, in the order in which they began to; and those that hold bytes. */
  readonly #waiting = new Set<ByteStream>()
  readonly #holding = new Set<ByteStream>()
  #held = 0
  readonly counts: StreamCounts = { gaps: 0, evicted: 0, lost: 0, implausible: 0 }

  constructor(options: {
    readonly onEvent: (event: StreamEvent) => void
    readonly limits?: Partial<StreamLimits>
    /**
     * Whether packets under that address are its own, as those that leave the softswitch are: then what it acknowledges
     * says what others have sent to it (see `ClientStream`). Undefined where nobody knows: all are taken as they come.
     */
    readonly isBelieved?: (address: Address) => boolean
  }) {
    this.#isBelieved = options.isBelieved
    this.#limits = { ...STREAM_LIMITS, ...options.limits }
    this.#onEvent = (event) => {
      if (event.kind === 'gap') this.counts.gaps++
      if (event.kind === 'lost') this.counts.lost++
      options.onEvent(event)
    }
  }

  /** Streams known, and bytes held for them. */
  get size(): { readonly streams: number; readonly held: number } {
    return { streams: this.#fresh.size + this.#talking.size, held: this.#held }
  }

  take(segment: TcpSegment): void {
    this.#loseImpatience(segment.time)
    const key = `${segment.source} ${segment.sourcePort} ${segment.destination} ${segment.destinationPort}`
    const isBelieved = this.#isBelieved?.(segment.source) ?? true
    const isClient = !isBelieved && this.#isBelieved?.(segment.destination) === true
    if (this.#isBelieved) {
      const other = this.#find(backOf(segment))
      if (isBelieved) this.#hear(segment, other)
      else if (isClient && !segment.syn && other && !isPlausible(segment, other)) {
        this.counts.implausible++
        return
      }
    }
    const known = this.#touch(key)
    // An acknowledgement alone tells nothing of a stream that nobody has sent anything on.
    if (!known && !segment.syn && segment.payload.length === 0) return
    const stream = known ?? this.#open(key, segment, { isClient })
    this.#accounted(stream, () => {
      stream.take(segment, this.#onEvent, { isAnswered: this.#isAnswered })
      while (stream.held > this.#limits.heldOfStream) stream.letGo(segment.time, this.#onEvent)
    })
    while (this.#held > this.#limits.held) {
      const most = this.#largest()
      this.#accounted(most, () => most.letGo(segment.time, this.#onEvent))
    }
    if (stream.delivered && !stream.talking) this.#promote(key, stream, segment)
  }

  /** What one end that is believed acknowledges is what the other has sent. */
  #hear({ acknowledgement, syn, rst, time }: TcpSegment, other: ByteStream | undefined): void {
    if (acknowledgement === undefined || rst) return
    this.#isAnswered = true
    if (!other) return
    this.#accounted(other, () => {
      if (syn) other.accept(acknowledgement, time, this.#onEvent)
      else other.acknowledge(acknowledgement, time, this.#onEvent)
    })
  }

  #find(key: string): ByteStream | undefined {
    return this.#talking.get(key) ?? this.#fresh.get(key)
  }

  #touch(key: string): ByteStream | undefined {
    for (const table of [this.#talking, this.#fresh]) {
      const stream = table.get(key)
      if (!stream) continue
      table.delete(key)
      table.set(key, stream)
      return stream
    }
    return undefined
  }

  #open(key: string, segment: TcpSegment, { isClient }: { readonly isClient: boolean }): ByteStream {
    const stream = isClient ? new ClientStream(segment) : new TcpStream(segment)
    this.#fresh.set(key, stream)
    this.#trim(this.#fresh, this.#limits.freshStreams, segment.time)
    return stream
  }

  /** A stranger's forged segments are never answered with bytes, so both sides' bytes prove a connection. */
  #promote(key: string, stream: ByteStream, segment: TcpSegment): void {
    const back = backOf(segment)
    const other = this.#find(back)
    if (!other?.delivered) return
    this.#moveToTalking(key, stream)
    this.#moveToTalking(back, other)
    this.#trim(this.#talking, this.#limits.talkingStreams, segment.time)
  }

  #moveToTalking(key: string, stream: ByteStream): void {
    if (stream.talking) return
    stream.talking = true
    this.#fresh.delete(key)
    this.#talking.set(key, stream)
  }

  #trim(table: Map<string, ByteStream>, most: number, now: EpochMilliseconds): void {
    while (table.size > most) {
      const [key, stream] = table.entries().next().value!
      table.delete(key)
      this.#accounted(stream, () => stream.abandon(now, this.#onEvent))
      this.counts.evicted++
    }
  }

  #loseImpatience(now: EpochMilliseconds): void {
    for (const stream of this.#waiting) {
      if (now - stream.waitingSince < this.#limits.patience) return
      this.#giveUpWaiting(stream, now)
    }
  }

  #giveUpWaiting(stream: ByteStream, now: EpochMilliseconds): void {
    this.#accounted(stream, () => stream.release(now, this.#onEvent))
  }

  /** Does something to a stream, and keeps what is held and who waits in step. */
  #accounted(stream: ByteStream, change: () => void): void {
    const { held, waitingSince } = stream
    change()
    this.#held += stream.held - held
    if (stream.held === 0) this.#holding.delete(stream)
    else this.#holding.add(stream)
    const { waits } = stream
    if (!waits || stream.waitingSince !== waitingSince) this.#waiting.delete(stream)
    if (waits) this.#waiting.add(stream)
  }

  #largest(): ByteStream {
    let largest: ByteStream | undefined
    let compared = 0
    for (const stream of this.#holding) {
      if (!largest || stream.held > largest.held) largest = stream
      if (++compared === COMPARED) break
    }
    return largest!
  }
}

/** A segment that tells nothing of what it received, or what cannot be, its receiver drops (RFC 9293 section 3.10.7.4). */
function isPlausible({ acknowledgement, rst }: TcpSegment, other: ByteStream): boolean {
  return rst || (acknowledgement !== undefined && other.mayBeAcknowledged(acknowledgement))
}

function backOf({ source, sourcePort, destination, destinationPort }: Flow): string {
  return `${destination} ${destinationPort} ${source} ${sourcePort}`
}
