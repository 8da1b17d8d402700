import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SipReading } from '../../registrar/sip/message.ts'
import { SipFramer } from '../../registrar/sip/stream-framer.ts'
import type { Flow, TcpSegment } from '../decode/packet.ts'
import { type StreamEvent, TcpStreams } from '../decode/tcp-streams.ts'

/** SIP messages out of captured TCP segments, each direction of a connection cut by its own framer. */
export class SipStreams {
  readonly #streams: TcpStreams
  /** One for each stream that has brought bytes; it goes when its stream is closed, so it is bounded as they are. */
  readonly #framers = new Map<Flow, SipFramer>()
  readonly #onReading: (flow: Flow, time: EpochMilliseconds, reading: SipReading) => void

  constructor(onReading: (flow: Flow, time: EpochMilliseconds, reading: SipReading) => void) {
    this.#onReading = onReading
    this.#streams = new TcpStreams({ onEvent: (event) => this.#take(event) })
  }

  take(segment: TcpSegment): void {
    this.#streams.take(segment)
  }

  #take(event: StreamEvent): void {
    switch (event.kind) {
      case 'bytes': {
        let framer = this.#framers.get(event.flow)
        if (!framer) {
          framer = new SipFramer({ onFault: 'resynchronise' })
          this.#framers.set(event.flow, framer)
        }
        for (const reading of framer.push(event.bytes)) this.#onReading(event.flow, event.time, reading)
        return
      }
      case 'gap':
        // What was begun is lost. A stream that is joined in its midst has no framer yet: its bytes may well begin a message.
        this.#framers.get(event.flow)?.skipGap()
        return
      case 'closed':
        this.#framers.delete(event.flow)
        return
    }
  }
}
