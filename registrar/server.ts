import type { Socket as UdpSocket } from 'node:dgram'
import type { AddressInfo, Server } from 'node:net'
import { AnswerCache } from './answer-cache.ts'
import type { RegistrarState } from './authenticate.ts'
import type { Binding, BindingChange, Transport } from './binding.ts'
import { type Counters, newCounters, noteOutcome, type RegistrarCounts } from './counters.ts'
import { type Handled, handleRequest } from './handle-register.ts'
import { type Endpoint, listenTcp, listenUdp } from './listen.ts'
import { familyOf, parseAddress, type Source } from './net/address.ts'
import type { Clock, EpochMilliseconds, Milliseconds } from './net/time.ts'
import type { LockedOut, Suspended } from './policy.ts'
import { DEFAULT_SIP_LIMITS, type SipLimits, type SipReading, type SipRequest } from './sip/message.ts'
import { readSipMessage } from './sip/read-message.ts'
import { readVia } from './sip/read-via.ts'
import { responseTarget } from './sip/respond.ts'
import { addressOf, DEFAULT_TCP_BOUNDS, type TcpBounds, TcpConnections } from './tcp-connections.ts'

/** A request with what became of it, for whoever watches. */
export interface Exchange {
  readonly outcome: Handled['outcome']
  readonly source: Source
  readonly transport: Transport
  readonly account: string
  readonly userAgent: string
  readonly at: EpochMilliseconds
}

export interface RegistrarServerOptions {
  readonly listen: readonly Endpoint[]
  readonly state: RegistrarState
  readonly clock?: Clock
  readonly tcp?: Partial<TcpBounds>
  readonly onExchange?: (exchange: Exchange) => void
  readonly onSuspend?: (suspension: Suspended, exchange: Exchange) => void
  readonly onLockout?: (lockout: LockedOut, exchange: Exchange) => void
  readonly onBindings?: (changes: readonly BindingChange[]) => void
  /** An exception while a request was handled: a bug, counted and survived. */
  readonly onFault?: (error: unknown) => void
}

export interface RegistrarStats {
  readonly counts: RegistrarCounts
  readonly bindings: number
  readonly accounts: number
  readonly connections: number
  readonly policy: RegistrarState['policy']['stats']
  readonly nonces: RegistrarState['window']['stats']
}

/** Much smaller than the reader's own: a REGISTER with everything in it has a few kilobytes. */
const LIMITS: SipLimits = { ...DEFAULT_SIP_LIMITS, messageBytes: 16_384, headerCount: 96, headerBytes: 4_096 }
const REMEMBERED_ANSWERS = 16_384
/** Bytes that may wait in a socket for the kernel to take them. */
const UNSENT_BYTES = 4 * 1024 * 1024
const TICK: Milliseconds = 1_000
const PONG = Buffer.from('\r\n')

/** The registrar on its sockets: UDP and TCP on every endpoint. All decisions are `handleRequest`'s. */
export class RegistrarServer {
  readonly #options: RegistrarServerOptions
  readonly #clock: Clock
  readonly #counts: Counters = newCounters()
  readonly #answers = new AnswerCache({ capacity: REMEMBERED_ANSWERS })
  readonly #connections: TcpConnections
  #udp: UdpSocket[] = []
  #tcp: Server[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: RegistrarServerOptions) {
    this.#options = options
    this.#clock = options.clock ?? Date.now
    this.#connections = new TcpConnections({
      bounds: { ...DEFAULT_TCP_BOUNDS, ...options.tcp },
      limits: LIMITS,
      listener: {
        onReading: (reading, source) => this.#readStream(reading, source),
        onClosed: (cause) => {
          if (cause === 'bound') this.#counts.connectionsClosed++
        },
      },
    })
  }

  /** Takes all endpoints or none; a `ListenError` says which could not be had. */
  async start(): Promise<readonly Endpoint[]> {
    const taken: Endpoint[] = []
    try {
      for (const endpoint of this.#options.listen) {
        const udp = await listenUdp(endpoint)
        this.#udp.push(udp)
        // A free port taken for UDP is the one for TCP, too.
        const { port } = udp.address()
        const tcp = await listenTcp({ host: endpoint.host, port }, (stream) => {
          this.#counts.connections++
          this.#connections.accept(stream, this.#clock)
        })
        this.#tcp.push(tcp)
        const { address } = tcp.address() as AddressInfo
        taken.push({ host: parseAddress(address) ?? endpoint.host, port })
      }
    } catch (error) {
      await this.stop()
      throw error
    }
    for (const socket of this.#udp) {
      socket.on('error', (error) => this.#options.onFault?.(error))
      socket.on('message', (bytes, from) => this.#readDatagram(socket, bytes, from))
    }
    for (const server of this.#tcp) server.on('error', (error) => this.#options.onFault?.(error))
    this.#timer = setInterval(() => this.#tick(), TICK)
    return taken
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#connections.closeAll()
    const udp = this.#udp.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve())))
    const tcp = this.#tcp.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    this.#udp = []
    this.#tcp = []
    await Promise.all([...udp, ...tcp])
  }

  stats(): RegistrarStats {
    const { bindings, accounts, policy, window } = this.#options.state
    return {
      counts: { ...this.#counts },
      bindings: bindings.size,
      accounts: accounts.size,
      connections: this.#connections.size,
      policy: policy.stats,
      nonces: window.stats,
    }
  }

  bindings(): readonly Binding[] {
    return [...this.#options.state.bindings.list(this.#clock())]
  }

  #readDatagram(socket: UdpSocket, bytes: Buffer, from: { address: string; port: number }): void {
    this.#counts.datagrams++
    const address = addressOf(from.address)
    // Nobody can be answered at port 0.
    if (!address || from.port === 0) {
      this.#counts.ignored++
      return
    }
    try {
      const source = { address, port: from.port }
      const now = this.#clock()
      const request = this.#requestIn(readSipMessage(bytes, { limits: LIMITS }))
      if (!request) return
      const key = this.#answers.keyOf(bytes, source)
      const known = this.#answers.find(key, now)
      if (known) this.#counts.retransmissions++
      const handled = known ? undefined : this.#handle(request, source, 'udp', now)
      const response = known ?? handled?.response
      if (!response) return
      if (handled?.remember) this.#answers.keep(key, response, now)
      const target = targetOf(request, source)
      // The socket knows a link-local peer only with its zone.
      this.#send(socket, response, target.port, from.address)
    } catch (error) {
      this.#fault(error)
    }
  }

  #readStream(reading: SipReading, source: Source): { response?: Buffer | undefined; proven: boolean } {
    if (reading.kind === 'keepalive') {
      this.#counts.keepalives++
      // RFC 5626 section 4.4.1: a ping is two line breaks, the pong one.
      return { response: PONG, proven: false }
    }
    try {
      const request = this.#requestIn(reading)
      if (!request) return { proven: false }
      const { response, outcome } = this.#handle(request, source, 'tcp', this.#clock())
      return { response, proven: outcome.kind === 'success' }
    } catch (error) {
      this.#fault(error)
      return { proven: false }
    }
  }

  #requestIn(reading: SipReading): SipRequest | undefined {
    switch (reading.kind) {
      case 'keepalive':
        this.#counts.keepalives++
        return undefined
      case 'not-sip':
        this.#counts.foreign++
        return undefined
      case 'malformed':
        this.#counts.malformed++
        return undefined
      case 'message':
        if (reading.message.kind === 'request') return reading.message
        this.#counts.foreign++
        return undefined
    }
  }

  #handle(request: SipRequest, source: Source, transport: Transport, at: EpochMilliseconds): Handled {
    const handled = handleRequest(request, source, transport, at, this.#options.state)
    const { outcome, userAgent, changes } = handled
    this.#counts.requests++
    if (request.method === 'REGISTER') this.#counts.registers++
    noteOutcome(this.#counts, outcome)
    if (changes.length > 0) this.#options.onBindings?.(changes)
    const exchange: Exchange = { outcome, source, transport, account: outcome.account, userAgent, at }
    this.#options.onExchange?.(exchange)
    if (outcome.kind === 'failure') {
      if (outcome.policy.kind === 'suspend') this.#options.onSuspend?.(outcome.policy, exchange)
      if (outcome.policy.kind === 'lockout') this.#options.onLockout?.(outcome.policy, exchange)
    }
    return handled
  }

  #send(socket: UdpSocket, bytes: Buffer, port: number, address: string): void {
    if (socket.getSendQueueSize() > UNSENT_BYTES) {
      this.#counts.unsent++
      return
    }
    socket.send(bytes, port, address, (error) => {
      if (error) this.#counts.unsent++
    })
  }

  #tick(): void {
    const now = this.#clock()
    this.#connections.sweep(now)
    const changes = this.#options.state.bindings.expire(now)
    if (changes.length > 0) this.#options.onBindings?.(changes)
  }

  #fault(error: unknown): void {
    this.#counts.faults++
    this.#options.onFault?.(error)
  }
}

/**
 * Where an answer over UDP goes: as RFC 3581 says, but to the source port, too, when the Via names another address
 * than the packet came from. There is a NAT between, and the port of the Via would be one of its inside.
 */
function targetOf(request: SipRequest, source: Source): Source {
  const via = readVia(request.first('via'))
  const named = via.ok ? parseAddress(via.value.host) : undefined
  if (named && (familyOf(named) !== familyOf(source.address) || named !== source.address)) return source
  const target = responseTarget(request, source)
  return target.port === 0 ? source : target
}
