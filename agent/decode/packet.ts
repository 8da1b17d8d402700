import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'

/** The two ends of a packet. */
export interface Flow {
  readonly source: Address
  readonly sourcePort: number
  readonly destination: Address
  readonly destinationPort: number
}

/** A whole UDP datagram, IP fragments already put together. */
export interface UdpDatagram extends Flow {
  readonly kind: 'udp'
  readonly time: EpochMilliseconds
  /** A view into the frame (or the reassembled datagram): copy what must last. */
  readonly payload: Buffer
  /** Whether the capture cut the payload short. */
  readonly truncated: boolean
  /** As sent: 0 for none. See `checksumOf`. */
  readonly checksum: number
  /** The sum of the 16-bit words of both addresses. */
  readonly addressSum: number
  /** What else it may be; see `WholeDatagram`. */
  readonly other?: UdpDatagram
  /** One packet without IPv6 extension headers, so that a capture's filter could see its ports and its payload. */
  readonly plain: boolean
}

export interface TcpSegment extends Flow {
  readonly kind: 'tcp'
  readonly time: EpochMilliseconds
  readonly payload: Buffer
  readonly truncated: boolean
  /** As of a datagram. */
  readonly plain: boolean
  readonly sequence: number
  /** What its sender has received, up to there; undefined where it says nothing of that (no ACK flag). */
  readonly acknowledgement: number | undefined
  readonly syn: boolean
  readonly fin: boolean
  readonly rst: boolean
  /** It marks a byte as urgent, which the kernel takes out of what a softswitch reads (RFC 6093 section 3). */
  readonly urgent?: true
}

/** Why a frame yields no packet. Each is counted; none is an error of ours. */
export type UndecodedReason =
  | 'unknown-link-type'
  | 'not-ip'
  | 'not-udp-or-tcp'
  | 'truncated'
  | 'bad-ip-header'
  | 'bad-transport-header'
  | 'too-many-headers'

/** What became of one frame. A fragment is held until its datagram is whole, or let go when it never is. */
export type Decoded =
  | UdpDatagram
  | TcpSegment
  | { readonly kind: 'fragment-held' }
  | { readonly kind: 'undecoded'; readonly reason: UndecodedReason }
