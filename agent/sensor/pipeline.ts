import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Source, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { SipMessage, SipReading } from '../../registrar/sip/message.ts'
import { readSipMessage } from '../../registrar/sip/read-message.ts'
import type { Frame, LoggedBy } from '../capture/frame.ts'
import { decodeFrame } from '../decode/decode-frame.ts'
import { checksumOf } from '../decode/decode-transport.ts'
import { IpFragments } from '../decode/ip-fragments.ts'
import type { Decoded, Flow, TcpSegment, UdpDatagram } from '../decode/packet.ts'
import { Exchanges, type ExchangesOptions, type SeenMessage } from '../observe/exchanges.ts'
import type { Observation, Sighting, Transport } from '../observe/observation.ts'
import { OnlineCheck } from '../observe/online-check.ts'
import { SeenRegister } from '../observe/seen-register.ts'
import type { Opaque } from '../observe/sight.ts'
import { DuplicateDatagrams } from './duplicate-datagrams.ts'
import type { NotRead } from './messages.ts'
import { READING_LIMITS } from './reading-limits.ts'
import { type Lost, SipStreams } from './sip-streams.ts'

export interface PipelineOptions {
  /** Ports that SIP is read on; `any` takes whatever looks like SIP on every port. */
  readonly ports: { readonly udp: ReadonlySet<number>; readonly tcp: ReadonlySet<number> } | 'any'
  /**
   * Whether an address is one that is protected. REGISTERs count when they go to one and do not come from one.
   * Undefined where nobody knows, as in a capture of somebody else's network: then every REGISTER counts.
   */
  readonly isProtected?: (address: Address) => boolean
  /** Asked before a REGISTER over UDP is read: whether it is counted already and need not be. */
  readonly countFlood?: (address: Address, time: EpochMilliseconds) => boolean
  /** Whether somebody registered from the address, or it is a gateway's, so that the softswitch may ask it for its health. */
  readonly isEndpoint?: (source: Source, time: EpochMilliseconds) => boolean
  /** Whether the capture showed all answers that came in since then. */
  readonly sawAnswersSince?: (time: EpochMilliseconds) => boolean
  /** An endpoint answered the softswitch's own OPTIONS. */
  readonly onAnswered?: (source: Source, time: EpochMilliseconds) => void
  /** What the matching of requests with answers may ask. */
  readonly exchanges?: ExchangesOptions
  /** Given where several captures of one host may show one packet twice: any number that nobody outside knows. */
  readonly duplicatesSeed?: number
  readonly onObservation: (observation: Observation, sighting: Sighting) => void
  /** A datagram to a protected port that is no SIP and too long for a keepalive. */
  readonly onStray?: (source: Source, time: EpochMilliseconds) => void
}

const READING = { limits: READING_LIMITS }
/** The bytes of payload up to which the kernel takes a datagram for a keepalive. */
const KEEPALIVE_PAYLOAD = 39
/** In characters; and in bytes, of all of it. */
const LONGEST_CONTACT = 2_048
const LONGEST_REGISTER = 8_192
const MOST_HEADERS = 128
/** As long as a softswitch may take for an answer (64 × T1, RFC 3261 section 17.1.2.2). */
const UNREADABLE_FOR: Milliseconds = 32_000
/** Connections of which so much is known. */
const MOST_UNREADABLE = 4_096

/** The packet's way from a frame to observations, the same for a live capture and for a file. */
export class Pipeline {
  frames = 0
  undecoded = 0
  /** Datagrams that came in with a wrong checksum, which the kernel lets nobody receive. */
  unreceived = 0
  readonly exchanges: Exchanges
  readonly onlineCheck: OnlineCheck
  readonly duplicates: DuplicateDatagrams | undefined
  readonly fragments: IpFragments
  readonly #streams: SipStreams
  readonly #options: PipelineOptions
  /** How the frame at hand was come by. */
  #sighting: Sighting = 'whole'
  /** Clients over TCP of which nobody can tell what they sent, and since when. */
  readonly #unreadable = new BoundedMap<string, EpochMilliseconds>({ capacity: MOST_UNREADABLE })

  constructor(options: PipelineOptions) {
    this.#options = options
    this.exchanges = new Exchanges(options.exchanges)
    this.onlineCheck = new OnlineCheck({
      isEndpoint: options.isEndpoint ?? (() => false),
      ...(options.sawAnswersSince ? { sawAllSince: options.sawAnswersSince } : {}),
      ...(options.onAnswered ? { onAnswered: options.onAnswered } : {}),
    })
    this.duplicates =
      options.duplicatesSeed === undefined
        ? undefined
        : new DuplicateDatagrams({ seed: options.duplicatesSeed })
    // Where it is known what is protected, the capture is live: see there what tunnels could do.
    this.fragments = new IpFragments({}, { tunnels: options.isProtected ? 'leave' : 'read' })
    this.#streams = new SipStreams({
      ...(options.isProtected ? { isBelieved: options.isProtected } : {}),
      onLost: (flow, time, why) => this.#lost(flow, time, why),
      onReading: (flow, time, reading) => this.#reading(time, 'tcp', ...endsOf(flow), reading),
      onOpaque: (flow, time, carries) => this.#opaque(flow, time, carries),
    })
  }

  /** What came since the start and could not be taken as it came. */
  get notRead(): NotRead {
    const { gaps, evicted, lost, implausible } = this.#streams.counts
    return {
      datagrams: this.unreceived,
      segments: implausible,
      gaps: gaps + evicted,
      connections: lost,
      transactions: this.exchanges.letGo,
    }
  }

  take(frame: Frame): void {
    this.frames++
    const decoded = decodeFrame(frame, this.fragments)
    if (frame.logged !== undefined) {
      this.#logged(decoded, frame.logged)
      return
    }
    switch (decoded.kind) {
      case 'udp':
        for (let seen: UdpDatagram | undefined = decoded; seen; seen = seen.other) {
          if (!this.#isOurs(seen, 'udp') || !this.#isBelieved(seen, frame)) continue
          if (!this.duplicates?.isDuplicate(seen, frame.capture ?? 0)) this.#datagram(seen)
        }
        return
      case 'tcp':
        if (this.#isOurs(decoded, 'tcp') && this.#isBelieved(decoded, frame)) this.#streams.take(decoded)
        return
      case 'fragment-held':
        return
      case 'undecoded':
        this.undecoded++
        return
    }
  }

  /**
   * A frame of the kernel's log. What its rules let through is seen for all but the rates, for which a sample is taken.
   * The log is of packets that come in, so an answer in it is nobody's.
   */
  #logged(decoded: Decoded, logged: LoggedBy): void {
    if (decoded.kind === 'undecoded') this.undecoded++
    if (decoded.kind !== 'udp' || !this.#isOurs(decoded, 'udp')) return
    if (!this.#isServed(decoded.source, decoded.destination)) return
    this.#sighting = logged === 'sample' ? 'sampled' : 'logged'
    this.#datagram(decoded)
    this.#sighting = 'whole'
  }

  #datagram(datagram: UdpDatagram): void {
    const { payload, source, destination, time } = datagram
    if (payload.length === 0) return
    const { countFlood } = this.#options
    if (
      this.#sighting !== 'logged' &&
      countFlood &&
      startsWithRegister(payload) &&
      this.#isServed(source, destination)
    ) {
      if (countFlood(source, time)) return
    }
    const from = { address: source, port: datagram.sourcePort }
    const to = { address: destination, port: datagram.destinationPort }
    // Anybody can send answers to nothing; those of an endpoint alone are read.
    const comesIn = this.#options.isProtected !== undefined && this.#isServed(source, destination)
    if (comesIn) {
      if (startsAsAnswer(payload) && !this.onlineCheck.awaits(from, time)) return
      // The kernel drops it: nobody owes it an answer.
      if (checksumOf(datagram) === 'wrong') {
        this.unreceived++
        return
      }
    }
    const reading = readSipMessage(payload, READING)
    if (reading.kind === 'not-sip') this.#stray(datagram, from)
    else this.#reading(time, 'udp', from, to, reading)
  }

  #stray({ payload, destination, destinationPort, time }: UdpDatagram, from: Source): void {
    const { ports, onStray } = this.#options
    if (!onStray || payload.length <= KEEPALIVE_PAYLOAD || this.#sighting === 'logged') return
    if (ports !== 'any' && !ports.udp.has(destinationPort)) return
    if (this.#isServed(from.address, destination)) onStray(from, time)
  }

  #reading(
    time: EpochMilliseconds,
    transport: Transport,
    source: Source,
    destination: Source,
    reading: SipReading,
  ): void {
    switch (reading.kind) {
      case 'message':
        this.#message({ time, transport, source, destination, message: reading.message })
        if (reading.bytesRead > LONGEST_CONTACT || reading.message.headerCount > MOST_HEADERS)
          this.#long({ time, source, destination }, reading)
        return
      case 'malformed': {
        const { message, method, fault } = reading
        if (message) this.#message({ time, transport, source, destination, message })
        if (!this.#isServed(source.address, destination.address)) return
        const what = message ? 'observed' : method === 'REGISTER' ? 'register' : 'other'
        // Those that are logged are counted by the sample.
        if (this.#sighting !== 'logged')
          this.#options.onObservation({ kind: 'malformed', time, source, fault, what }, this.#sighting)
        return
      }
      case 'keepalive':
      case 'not-sip':
        return
    }
  }

  #message(seen: SeenMessage): void {
    const { message, source, destination } = seen
    this.#check(seen)
    const client = message.kind === 'request' ? source : destination
    const server = message.kind === 'request' ? destination : source
    if (!this.#isServed(client.address, server.address)) return
    const maybeForged = seen.transport === 'tcp' && this.#mayComeIn(client.port)
    if (this.#sighting === 'sampled') {
      this.#options.onObservation(sampled(seen), 'sampled')
      return
    }
    for (const observation of this.exchanges.observe({ ...seen, maybeForged }))
      this.#options.onObservation(this.#asRead(observation), this.#sighting)
  }

  /** The softswitch's own OPTIONS, and what comes back. */
  #check(seen: SeenMessage): void {
    const { message, source, destination } = seen
    if (message.kind === 'request') {
      if (message.method === 'OPTIONS' && this.#isServed(destination.address, source.address))
        this.onlineCheck.asked(seen)
    } else if (this.#isServed(source.address, destination.address)) this.onlineCheck.answered(seen)
  }

  /** A Contact that is longer than any phone's is made to fill somebody's memory, as are more headers than any sends. */
  #long(
    { time, source, destination }: Pick<SeenMessage, 'time' | 'source' | 'destination'>,
    { message, bytesRead }: { readonly message: SipMessage; readonly bytesRead: number },
  ): void {
    if (message.kind !== 'request' || message.method !== 'REGISTER') return
    if (!this.#isServed(source.address, destination.address)) return
    const isCrowded = message.headerCount > MOST_HEADERS
    const isLong = () => message.all('contact').some((contact) => contact.length > LONGEST_CONTACT)
    if (!isCrowded && bytesRead <= LONGEST_REGISTER && !isLong()) return
    const fault = isCrowded ? 'too-many-headers' : 'header-too-long'
    const oversized: Observation = { kind: 'malformed', time, source, fault, what: 'oversized' }
    if (this.#sighting !== 'logged') this.#options.onObservation(oversized, this.#sighting)
  }

  /** Encrypted bytes, or others that are not read: to a protected port, or from one. */
  #opaque(flow: Flow, time: EpochMilliseconds, carries: Opaque): void {
    const { ports } = this.#options
    // Where any port may be the softswitch's nobody can tell which end it is.
    if (ports === 'any') return
    const { source, sourcePort, destination, destinationPort } = flow
    const { sight } = this.exchanges
    if (ports.tcp.has(destinationPort) && this.#isServed(source, destination))
      sight.opaque(destinationPort, time, { carries, leaves: false })
    else if (ports.tcp.has(sourcePort) && this.#isServed(destination, source))
      sight.opaque(sourcePort, time, { carries, leaves: true })
  }

  /**
   * The softswitch received over TCP what was not read. Nobody sends two segments that contradict each other, or that much
   * before its turn, who does not hide something; what is merely missing the capture may have lost.
   */
  #lost({ source, sourcePort, destination }: Flow, time: EpochMilliseconds, why: Lost): void {
    if (why === 'missing' || !this.#isServed(source, destination)) return
    this.#unreadable.set(showSource({ address: source, port: sourcePort }), time)
  }

  /** What the softswitch refuses on a connection that nobody can read was a try. */
  #asRead(observation: Observation): Observation {
    if (this.#unreadable.size === 0 || observation.kind !== 'exchange' || observation.transport !== 'tcp')
      return observation
    const { outcome, time, source } = observation
    if (outcome !== 'challenge' && outcome !== 'stale') return observation
    this.#unreadable.sweep((at) => time - at > UNREADABLE_FOR)
    if (!this.#unreadable.has(showSource(source))) return observation
    return { ...observation, outcome: 'failure', withCredentials: true }
  }

  #isServed(client: Address, server: Address): boolean {
    const { isProtected } = this.#options
    return !isProtected || (isProtected(server) && !isProtected(client))
  }

  /**
   * Whether a live capture's filter can have told that a packet of the softswitch's went out. Fragments and
   * extension headers it knows where they were captured apart, as what went out; and it knows an answer over UDP by its first bytes. An OPTIONS under the softswitch's
   * address it lets in too, if it goes to a port that SIP is read on here: who sends that from the same network makes
   * an endpoint look asked that was not, which decides nothing.
   */
  #isBelieved(packet: UdpDatagram | TcpSegment, { cameIn = false, wentOut = false }: Frame): boolean {
    const { isProtected } = this.#options
    if (!isProtected || !this.#isServed(packet.destination, packet.source)) return true
    if (cameIn || (!packet.plain && !wentOut)) return false
    return packet.kind === 'tcp' || startsAsAnswer(packet.payload) || startsAsOptions(packet.payload)
  }

  /** Whether the filter of a live capture lets segments to the client's port in from outside, as it does requests. */
  #mayComeIn(clientPort: number): boolean {
    const { isProtected, ports } = this.#options
    return isProtected !== undefined && ports !== 'any' && ports.tcp.has(clientPort)
  }

  #isOurs(packet: UdpDatagram | TcpSegment, transport: Transport): boolean {
    // Nobody can be answered at port 0, and no phone sends from it: only a forger has a use for it.
    if (packet.sourcePort === 0 || packet.destinationPort === 0) return false
    const { ports } = this.#options
    if (ports === 'any') return true
    return ports[transport].has(packet.sourcePort) || ports[transport].has(packet.destinationPort)
  }
}

const NO_ANSWER = { answersOwnNonce: false, answersChallenge: false, answersSentNonce: false }

/** What becomes of it nobody knows, so it is matched with no answer. */
function sampled(seen: SeenMessage): Observation {
  const { message, time, source } = seen
  if (message.kind === 'request' && message.method === 'REGISTER')
    return new SeenRegister(seen, message, NO_ANSWER)
  return { kind: 'sip', time, source }
}

function endsOf({ source, sourcePort, destination, destinationPort }: Flow): [Source, Source] {
  return [
    { address: source, port: sourcePort },
    { address: destination, port: destinationPort },
  ]
}

function startsWithRegister(payload: Buffer): boolean {
  return payload.length > 8 && payload.readUInt32BE(0) === REGI && payload.readUInt32BE(4) === STER
}

function startsAsAnswer(payload: Buffer): boolean {
  return payload.length > 4 && payload.readUInt32BE(0) === SIP_SLASH
}

function startsAsOptions(payload: Buffer): boolean {
  return payload.length > 8 && payload.readUInt32BE(0) === OPTI
}

const SIP_SLASH = 0x5349502f
const OPTI = 0x4f505449
const REGI = 0x52454749
const STER = 0x53544552
