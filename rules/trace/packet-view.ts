import type { Buffer } from 'node:buffer'
import {
  type Address,
  type Family,
  familyOf,
  type Prefix,
  prefixOf,
  showPrefix,
} from '../../registrar/net/address.ts'
import type { ImaginaryPacket } from './packet.ts'
import { bytesOfPacket } from './packet-bytes.ts'
import type { Side } from './parse-rule.ts'

/** A packet as rules look at it: what several of them ask for is worked out once. */
export class PacketView {
  readonly packet: ImaginaryPacket
  readonly family: Family
  /** `in`: it arrives at PREROUTING. `out`: the host itself sends it. */
  readonly direction: 'in' | 'out'
  /** From the IP header on. */
  readonly bytes: Buffer
  readonly #prefixes = { src: new Map<number, Prefix>(), dst: new Map<number, Prefix>() }

  constructor(packet: ImaginaryPacket, direction: 'in' | 'out') {
    this.packet = packet
    this.family = familyOf(packet.source)
    this.direction = direction
    this.bytes = bytesOfPacket(packet)
  }

  address(side: Side): Address {
    return side === 'src' ? this.packet.source : this.packet.destination
  }

  /** Undefined where the piece of a packet carries no ports. */
  port(side: Side): number | undefined {
    if (this.packet.fragment === 'later') return undefined
    return side === 'src' ? this.packet.sourcePort : this.packet.destinationPort
  }

  prefix(side: Side, length: number): Prefix {
    const known = this.#prefixes[side].get(length)
    if (known !== undefined) return known
    const prefix = prefixOf(this.address(side), length)
    this.#prefixes[side].set(length, prefix)
    return prefix
  }

  /** The element that `SET` and `--match-set` make of it for a set of addresses, or of addresses and ports. */
  element(sides: readonly Side[], length?: number): string {
    const [side = 'src'] = sides
    if (sides.length === 1) {
      return length === undefined ? this.address(side) : showPrefix(this.prefix(side, length))
    }
    return `${this.address(side)},${this.packet.protocol}:${this.port(sides[1]!)}`
  }
}
