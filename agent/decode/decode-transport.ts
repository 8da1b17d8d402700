import type { Address } from '../../registrar/net/address.ts'
import type { Decoded } from './packet.ts'
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
    syn: (flags & 0x02) !== 0,
    fin: (flags & 0x01) !== 0,
    rst: (flags & 0x04) !== 0,
  }
}
