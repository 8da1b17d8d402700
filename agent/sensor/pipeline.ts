import type { Address, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SipReading } from '../../registrar/sip/message.ts'
import { readSipMessage } from '../../registrar/sip/read-message.ts'
import type { Frame } from '../capture/frame.ts'
import { decodeFrame } from '../decode/decode-frame.ts'
import { IpFragments } from '../decode/ip-fragments.ts'
import type { TcpSegment, UdpDatagram } from '../decode/packet.ts'
import { Exchanges } from '../observe/exchanges.ts'
import type { Observation, Transport } from '../observe/observation.ts'
import { SipStreams } from './sip-streams.ts'

export interface PipelineOptions {
  /** Ports that SIP is read on; `any` takes whatever looks like SIP on every port. */
  readonly ports: { readonly udp: ReadonlySet<number>; readonly tcp: ReadonlySet<number> } | 'any'
  /**
   * Whether an address is one that is protected. REGISTERs count when they go to one and do not come from one.
   * Undefined where nobody knows, as in a capture of somebody else's network: then every REGISTER counts.
   */
  readonly isProtected?: (address: Address) => boolean
  readonly onObservation: (observation: Observation) => void
}

/** The packet's way from a frame to observations, the same for a live capture and for a file. */
export class Pipeline {
  frames = 0
  undecoded = 0
  readonly exchanges = new Exchanges()
  readonly fragments = new IpFragments()
  readonly #streams: SipStreams
  readonly #options: PipelineOptions

  constructor(options: PipelineOptions) {
    this.#options = options
    this.#streams = new SipStreams((flow, time, reading) => {
      this.#reading(
        time,
        'tcp',
        { address: flow.source, port: flow.sourcePort },
        { address: flow.destination, port: flow.destinationPort },
        reading,
      )
    })
  }

  take(frame: Frame): void {
    this.frames++
    const decoded = decodeFrame(frame, this.fragments)
    switch (decoded.kind) {
      case 'udp':
        if (this.#isOurs(decoded, 'udp')) this.#datagram(decoded)
        return
      case 'tcp':
        if (this.#isOurs(decoded, 'tcp')) this.#streams.take(decoded)
        return
      case 'fragment-held':
        return
      case 'undecoded':
        this.undecoded++
        return
    }
  }

  #datagram(datagram: UdpDatagram): void {
    if (datagram.payload.length === 0) return
    this.#reading(
      datagram.time,
      'udp',
      { address: datagram.source, port: datagram.sourcePort },
      { address: datagram.destination, port: datagram.destinationPort },
      readSipMessage(datagram.payload),
    )
  }

  #reading(
    time: EpochMilliseconds,
    transport: Transport,
    source: Source,
    destination: Source,
    reading: SipReading,
  ): void {
    switch (reading.kind) {
      case 'message': {
        const { message } = reading
        const client = message.kind === 'request' ? source : destination
        const server = message.kind === 'request' ? destination : source
        if (!this.#isServed(client.address, server.address)) return
        for (const observation of this.exchanges.observe({ time, transport, source, destination, message })) {
          this.#options.onObservation(observation)
        }
        return
      }
      case 'malformed':
        if (!this.#isServed(source.address, destination.address)) return
        this.#options.onObservation({
          kind: 'malformed',
          time,
          source,
          fault: reading.fault,
          register: reading.method === 'REGISTER',
        })
        return
      case 'keepalive':
      case 'not-sip':
        return
    }
  }

  #isServed(client: Address, server: Address): boolean {
    const { isProtected } = this.#options
    return !isProtected || (isProtected(server) && !isProtected(client))
  }

  #isOurs(packet: UdpDatagram | TcpSegment, transport: Transport): boolean {
    const { ports } = this.#options
    if (ports === 'any') return true
    return ports[transport].has(packet.sourcePort) || ports[transport].has(packet.destinationPort)
  }
}
