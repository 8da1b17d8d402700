import type { Address } from '../../registrar/net/address.ts'
import { familyOf } from '../../registrar/net/address.ts'
import type { Decoded, UdpDatagram } from './packet.ts'
import { UNDECODED } from './undecoded.ts'

/** What the IP layer knows of the bytes that a transport header starts in. */
export interface IpPayload {
  readonly time: number
  readonly bytes: Buffer
  readonly end: number
  readonly cut: boolean
  readonly plain: boolean
  readonly source: Address
  readonly destination: Address
  /** The sum of the 16-bit words of both addresses. */
  readonly addressSum: number
}

/** RFC 768. */
export function decodeUdp(ip: IpPayload, offset: number): Decoded {
  const bytes = ip.bytes
  if (offset + 8 > ip.end) return ip.cut ? UNDECODED.truncated : UNDECODED['bad-transport-header']
  const length = bytes.readUInt16BE(offset + 4)
  let end = ip.end
  let truncated = ip.cut
  // A length of 0 is a datagram larger than the field can say (RFC 2675, and segmentation offload).
  if (length !== 0) {
    if (length < 8) return UNDECODED['bad-transport-header']
    if (offset + length <= ip.end) {
      end = offset + length
      truncated = false
    } else if (!ip.cut) return UNDECODED['bad-transport-header']
  }
  return {
    kind: 'udp',
    time: ip.time,
    source: ip.source,
    sourcePort: bytes.readUInt16BE(offset),
    destination: ip.destination,
    destinationPort: bytes.readUInt16BE(offset + 2),
    payload: bytes.subarray(offset + 8, end),
    truncated,
    checksum: bytes.readUInt16BE(offset + 6),
    addressSum: ip.addressSum,
    plain: ip.plain,
  }
}

/** RFC 9293 section 3.1. */
export function decodeTcp(ip: IpPayload, offset: number): Decoded {
  const bytes = ip.bytes
  if (offset + 20 > ip.end) return ip.cut ? UNDECODED.truncated : UNDECODED['bad-transport-header']
  const headerLength = (bytes[offset + 12]! >> 4) * 4
  if (headerLength < 20) return UNDECODED['bad-transport-header']
  const payload = offset + headerLength
  if (payload > ip.end) return ip.cut ? UNDECODED.truncated : UNDECODED['bad-transport-header']
  const flags = bytes[offset + 13]!
  return {
    kind: 'tcp',
    time: ip.time,
    source: ip.source,
    sourcePort: bytes.readUInt16BE(offset),
    destination: ip.destination,
    destinationPort: bytes.readUInt16BE(offset + 2),
    payload: bytes.subarray(payload, ip.end),
    truncated: ip.cut,
    plain: ip.plain,
    sequence: bytes.readUInt32BE(offset + 4),
    acknowledgement: (flags & 0x10) === 0 ? undefined : bytes.readUInt32BE(offset + 8),
    syn: (flags & 0x02) !== 0,
    fin: (flags & 0x01) !== 0,
    rst: (flags & 0x04) !== 0,
    ...((flags & 0x20) === 0 ? {} : { urgent: true as const }),
  }
}

/**
 * Whether the receiver's kernel takes a datagram's checksum (RFC 768, RFC 8200 section 8.1) for right. `partial`: the sum of
 * the pseudo header alone, which is what stands there between a sender and the offload that completes it: on this host, between
 * its containers and virtual machines. `unknown`: the capture cut the datagram, or it is larger than its length can say.
 */
export function checksumOf(datagram: UdpDatagram): 'right' | 'none' | 'partial' | 'wrong' | 'unknown' {
  const { payload, checksum, source } = datagram
  if (checksum === 0) return familyOf(source) === 4 ? 'none' : 'wrong'
  const length = payload.length + 8
  if (datagram.truncated || length > 0xffff) return 'unknown'
  const pseudo = datagram.addressSum + PROTOCOL_UDP + length
  if (folded(pseudo) === checksum) return 'partial'
  let sum = pseudo + datagram.sourcePort + datagram.destinationPort + length + checksum
  const even = payload.length & ~1
  for (let at = 0; at < even; at += 2) sum += (payload[at]! << 8) | payload[at + 1]!
  if (even < payload.length) sum += payload[even]! << 8
  return folded(sum) === 0xffff ? 'right' : 'wrong'
}

const PROTOCOL_UDP = 17

/** Ones' complement addition: what is carried over is added again. At most 65,535 words fit into a number. */
export function folded(sum: number): number {
  let rest = sum
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000)
  return rest
}
