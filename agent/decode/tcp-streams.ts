import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Flow, TcpSegment } from './packet.ts'
import { TcpStream } from './tcp-stream.ts'

/** What comes out of one direction of a connection. `flow` is the same object for all of one stream. */
export type StreamEvent =
  /** The next bytes, in order. A view: copy what must last. */
  | { readonly kind: 'bytes'; readonly flow: Flow; readonly time: EpochMilliseconds; readonly bytes: Buffer }
  /** Bytes are missing before the next ones, or the stream was joined in its midst: look for a new beginning. */
  | { readonly kind: 'gap'; readonly flow: Flow; readonly time: EpochMilliseconds }
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

export const STREAM_LIMITS: StreamLimits = {
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
}

/**
 * Puts captured TCP segments back into byte streams, each direction of a connection for itself, by the packets' own
 * clock. What a forger can do without seeing the connection (a stray SYN, RST or segment) costs at most a gap.
 */
export class TcpStreams {
  readonly #onEvent: (event: StreamEvent) => void
  readonly #limits: StreamLimits
  /** Both in order of last use, so that the first is the one that was idle longest. */
  readonly #fresh = new Map<string, TcpStream>()
  readonly #talking = new Map<string, TcpStream>()
  /** Streams that wait for a missing piece, in the order in which they began to. */
  readonly #waiting = new Set<TcpStream>()
  #held = 0
  readonly counts: StreamCounts = { gaps: 0, evicted: 0 }

  constructor(options: {
    readonly onEvent: (event: StreamEvent) => void
    readonly limits?: Partial<StreamLimits>
  }) {
    this.#limits = { ...STREAM_LIMITS, ...options.limits }
    this.#onEvent = (event) => {
      if (event.kind === 'gap') this.counts.gaps++
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
    const known = this.#touch(key)
    // An acknowledgement alone tells nothing of a stream that nobody has sent anything on.
    if (!known && !segment.syn && segment.payload.length === 0) return
    const stream = known ?? this.#open(key, segment)
    this.#accounted(stream, () => {
      stream.take(segment, this.#onEvent)
      while (stream.held > this.#limits.heldOfStream) stream.release(segment.time, this.#onEvent)
    })
    while (this.#held > this.#limits.held) this.#giveUpWaiting(firstOf(this.#waiting), segment.time)
    if (stream.delivered && !stream.talking) this.#promote(key, stream, segment)
  }

  #touch(key: string): TcpStream | undefined {
    for (const table of [this.#talking, this.#fresh]) {
      const stream = table.get(key)
      if (!stream) continue
      table.delete(key)
      table.set(key, stream)
      return stream
    }
    return undefined
  }

  #open(key: string, segment: TcpSegment): TcpStream {
    const stream = new TcpStream(segment)
    this.#fresh.set(key, stream)
    this.#trim(this.#fresh, this.#limits.freshStreams, segment.time)
    return stream
  }

  /** A stranger's forged segments are never answered with bytes, so both sides' bytes prove a connection. */
  #promote(key: string, stream: TcpStream, segment: TcpSegment): void {
    const back = `${segment.destination} ${segment.destinationPort} ${segment.source} ${segment.sourcePort}`
    const other = this.#talking.get(back) ?? this.#fresh.get(back)
    if (!other?.delivered) return
    this.#moveToTalking(key, stream)
    this.#moveToTalking(back, other)
    this.#trim(this.#talking, this.#limits.talkingStreams, segment.time)
  }

  #moveToTalking(key: string, stream: TcpStream): void {
    if (stream.talking) return
    stream.talking = true
    this.#fresh.delete(key)
    this.#talking.set(key, stream)
  }

  #trim(table: Map<string, TcpStream>, most: number, now: EpochMilliseconds): void {
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

  #giveUpWaiting(stream: TcpStream, now: EpochMilliseconds): void {
    this.#accounted(stream, () => stream.release(now, this.#onEvent))
  }

  /** Does something to a stream, and keeps what is held and who waits in step. */
  #accounted(stream: TcpStream, change: () => void): void {
    const { held, waitingSince } = stream
    change()
    this.#held += stream.held - held
    if (stream.held === 0 || stream.waitingSince !== waitingSince) this.#waiting.delete(stream)
    if (stream.held > 0) this.#waiting.add(stream)
  }
}

function firstOf<Item>(items: Set<Item>): Item {
  return items.values().next().value!
}
