import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SipReading } from '../../registrar/sip/message.ts'
import { SipFramer } from '../../registrar/sip/stream-framer.ts'
import type { Flow, TcpSegment } from '../decode/packet.ts'
import { type StreamCounts, type StreamEvent, TcpStreams } from '../decode/tcp-streams.ts'
import { recogniseOpaque } from '../observe/opaque-stream.ts'
import type { Opaque } from '../observe/sight.ts'
import { READING_LIMITS } from './reading-limits.ts'

export interface SipStreamsOptions {
  readonly onReading: (flow: Flow, time: EpochMilliseconds, reading: SipReading) => void
  /** A direction of a connection turned out to carry something that cannot be read; said once of each. */
  readonly onOpaque?: (flow: Flow, time: EpochMilliseconds, carries: Opaque) => void
  /**
   * The softswitch received something that was not read; after a contradiction, said again of all that follows on the
   * connection, since nobody knows any more where its messages begin.
   */
  readonly onLost?: (flow: Flow, time: EpochMilliseconds, why: Lost) => void
  /** See `TcpStreams`. */
  readonly isBelieved?: (address: Address) => boolean
}

export type Lost = Extract<StreamEvent, { kind: 'lost' }>['why']

/** SIP messages out of captured TCP segments, each direction of a connection cut by its own framer. */
export class SipStreams {
  readonly #streams: TcpStreams
  /** One for each stream that has brought bytes; it goes when its stream is closed, so it is bounded as they are. */
  readonly #framers = new Map<Flow, SipFramer | 'opaque'>()
  /** Connections that contradicted themselves; they go with their streams. */
  readonly #contradictory = new Set<Flow>()
  readonly #options: SipStreamsOptions

  constructor(options: SipStreamsOptions) {
    this.#options = options
    this.#streams = new TcpStreams({
      onEvent: (event) => this.#take(event),
      ...(options.isBelieved ? { isBelieved: options.isBelieved } : {}),
    })
  }

  get counts(): StreamCounts {
    return this.#streams.counts
  }

  take(segment: TcpSegment): void {
    this.#streams.take(segment)
  }

  #take(event: StreamEvent): void {
    switch (event.kind) {
      case 'bytes': {
        if (this.#contradictory.has(event.flow))
          this.#options.onLost?.(event.flow, event.time, 'contradiction')
        const framer = this.#framers.get(event.flow) ?? this.#begin(event)
        if (framer === 'opaque') return
        for (const reading of framer.push(event.bytes))
          this.#options.onReading(event.flow, event.time, reading)
        return
      }
      case 'gap': {
        // What was begun is lost. A stream that is joined in its midst has no framer yet: its bytes may well begin a message.
        const framer = this.#framers.get(event.flow)
        if (framer !== 'opaque') framer?.skipGap()
        return
      }
      case 'lost':
        if (event.why === 'contradiction') this.#contradictory.add(event.flow)
        this.#options.onLost?.(event.flow, event.time, event.why)
        return
      case 'closed':
        this.#framers.delete(event.flow)
        this.#contradictory.delete(event.flow)
        return
    }
  }

  #begin({ flow, time, bytes }: Extract<StreamEvent, { kind: 'bytes' }>): SipFramer | 'opaque' {
    const carries = recogniseOpaque(bytes)
    const framer =
      carries === undefined ? new SipFramer({ limits: READING_LIMITS, onFault: 'resynchronise' }) : 'opaque'
    this.#framers.set(flow, framer)
    if (carries !== undefined) this.#options.onOpaque?.(flow, time, carries)
    return framer
  }
}
