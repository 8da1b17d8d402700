import type { Socket } from 'node:net'
import { type Address, type Prefix, parseAddress, type Source, sourcePrefixOf } from './net/address.ts'
import type { EpochMilliseconds, Milliseconds } from './net/time.ts'
import type { SipLimits, SipReading } from './sip/message.ts'
import { SipFramer } from './sip/stream-framer.ts'

export interface TcpBounds {
  readonly connections: number
  /** Of one address (IPv6: /64). */
  readonly connectionsPerSource: number
  /** How long a message may take from its first byte to its last, and a newcomer to register. */
  readonly patience: Milliseconds
  /** How long a registered phone may be silent. */
  readonly idle: Milliseconds
  /** Bytes of answers that the peer has not read. */
  readonly unreadBytes: number
}

export const DEFAULT_TCP_BOUNDS: TcpBounds = {
  connections: 4_096,
  connectionsPerSource: 256,
  patience: 10_000,
  idle: 3_700_000,
  unreadBytes: 65_536,
}

export interface TcpListener {
  /** Called with each reading. Returns the answer, and whether the peer has proven to be a phone of ours. */
  onReading(
    reading: SipReading,
    source: Source,
  ): { readonly response?: Buffer | undefined; readonly proven: boolean }
  onClosed(cause: 'bound' | 'peer'): void
}

/**
 * TCP connections within bounds: how many, how many from one source, how long a message may dribble, how long a
 * newcomer may hang around and how much may lie unread. When all places are taken, a newcomer takes that of the
 * oldest connection that has not registered.
 */
export class TcpConnections {
  readonly #bounds: TcpBounds
  readonly #limits: SipLimits
  readonly #listener: TcpListener
  readonly #open = new Set<Connection>()
  readonly #bySource = new Map<Prefix, number>()

  constructor(options: { bounds: TcpBounds; limits: SipLimits; listener: TcpListener }) {
    this.#bounds = options.bounds
    this.#limits = options.limits
    this.#listener = options.listener
  }

  get size(): number {
    return this.#open.size
  }

  accept(stream: Socket, now: () => EpochMilliseconds): void {
    // Whatever goes wrong on a connection ends with its closing.
    stream.on('error', () => stream.destroy())
    const address = addressOf(stream.remoteAddress)
    if (!address || stream.remotePort === undefined) {
      stream.destroy()
      return
    }
    const prefix = sourcePrefixOf(address)
    if ((this.#bySource.get(prefix) ?? 0) >= this.#bounds.connectionsPerSource || !this.#findPlace()) {
      this.#listener.onClosed('bound')
      stream.destroy()
      return
    }
    const connection: Connection = {
      stream,
      source: { address, port: stream.remotePort },
      prefix,
      framer: new SipFramer({ limits: this.#limits, onFault: 'stop' }),
      proven: false,
      openedAt: now(),
      heardAt: now(),
      pendingSince: undefined,
      boundReached: false,
    }
    this.#open.add(connection)
    this.#bySource.set(prefix, (this.#bySource.get(prefix) ?? 0) + 1)
    stream.on('data', (bytes: Buffer) => this.#read(connection, bytes, now()))
    stream.on('close', () => this.#forget(connection))
  }

  /** Closes what has been slow or silent for too long. */
  sweep(now: EpochMilliseconds): void {
    const { patience, idle } = this.#bounds
    for (const connection of this.#open) {
      const { pendingSince, proven, openedAt, heardAt } = connection
      const dribbles = pendingSince !== undefined && now - pendingSince > patience
      const hangsAround = proven ? now - heardAt > idle : now - openedAt > patience
      if (dribbles || hangsAround) this.#close(connection)
    }
  }

  closeAll(): void {
    for (const { stream } of this.#open) stream.destroy()
  }

  #read(connection: Connection, bytes: Buffer, now: EpochMilliseconds): void {
    const { framer, stream } = connection
    connection.heardAt = now
    for (const reading of framer.push(bytes)) {
      connection.pendingSince = undefined
      const { response, proven } = this.#listener.onReading(reading, connection.source)
      if (proven) connection.proven = true
      if (response && !stream.destroyed) stream.write(response)
      if (stream.writableLength > this.#bounds.unreadBytes) this.#close(connection)
      if (stream.destroyed) return
    }
    if (framer.broken) this.#close(connection)
    else if (framer.pendingBytes === 0) connection.pendingSince = undefined
    else connection.pendingSince ??= now
  }

  #findPlace(): boolean {
    if (this.#open.size < this.#bounds.connections) return true
    for (const connection of this.#open) {
      if (connection.proven) continue
      this.#close(connection)
      this.#forget(connection)
      return true
    }
    return false
  }

  #close(connection: Connection): void {
    connection.boundReached = true
    connection.stream.destroy()
  }

  #forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return
    const left = (this.#bySource.get(connection.prefix) ?? 1) - 1
    if (left > 0) this.#bySource.set(connection.prefix, left)
    else this.#bySource.delete(connection.prefix)
    this.#listener.onClosed(connection.boundReached ? 'bound' : 'peer')
  }
}

/** The peer's address in normal form, the zone of a link-local one left out. */
export function addressOf(text: string | undefined): Address | undefined {
  return text === undefined ? undefined : parseAddress(text.split('%', 1)[0]!)
}

interface Connection {
  readonly stream: Socket
  readonly source: Source
  readonly prefix: Prefix
  readonly framer: SipFramer
  proven: boolean
  readonly openedAt: EpochMilliseconds
  heardAt: EpochMilliseconds
  /** Since when a message has been under way. */
  pendingSince: EpochMilliseconds | undefined
  boundReached: boolean
}
