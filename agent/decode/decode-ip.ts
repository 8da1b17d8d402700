import type { Address } from '../../registrar/net/address.ts'
import type { Frame } from '../capture/frame.ts'
import { readV4Address, readV6Address } from './address-cache.ts'
import { decodeTcp, decodeUdp, folded } from './decode-transport.ts'
import type { IpFragments, WholeDatagram } from './ip-fragments.ts'
import type { Decoded } from './packet.ts'
import { FRAGMENT_HELD, UNDECODED } from './undecoded.ts'

const PROTOCOL_IPIP = 4
const PROTOCOL_TCP = 6
const PROTOCOL_UDP = 17
const PROTOCOL_IPV6 = 41
const PROTOCOL_FRAGMENT = 44
const PROTOCOL_AH = 51

/** IP in IP in IP …: real networks stop at two. */
const MAX_IP_HEADERS = 4

/**
 * The bytes that an IP packet lies in and what is known around it. One reused value, since decoding is
 * synchronous and a packet a microsecond leaves no room for garbage.
 */
interface IpContext {
  time: number
  bytes: Buffer
  /** Where the bytes of the innermost packet end: padding after it is none of its content. */
  end: number
  /** Whether the capture cut the packet short. */
  cut: boolean
  /** How its frame was captured; see `IpFragment`. */
  way: string | undefined
  /** No fragment and no IPv6 extension header so far. */
  plain: boolean
  ipHeaders: number
  source: Address
  destination: Address
  /** The sum of the 16-bit words of both addresses, for checksums. */
  addressSum: number
}

const NO_BYTES = Buffer.alloc(0)
const context: IpContext = {
  time: 0,
  bytes: NO_BYTES,
  end: 0,
  cut: false,
  way: undefined,
  plain: true,
  ipHeaders: 0,
  source: '0.0.0.0' as Address,
  destination: '0.0.0.0' as Address,
  addressSum: 0,
}

/** Decodes the IP packet that starts at `offset` of the frame, and what it tunnels. */
export function decodeIp(frame: Frame, offset: number, fragments: IpFragments): Decoded {
  context.time = frame.time
  context.bytes = frame.bytes
  context.end = frame.bytes.length
  context.cut = false
  context.plain = true
  context.way = frame.wentOut === true ? 'out' : undefined
  context.ipHeaders = 0
  const decoded = decodeIpHeader(context, offset, fragments)
  context.bytes = NO_BYTES
  return decoded
}

function decodeIpHeader(ip: IpContext, offset: number, fragments: IpFragments): Decoded {
  if (offset >= ip.end) return UNDECODED.truncated
  if (++ip.ipHeaders > MAX_IP_HEADERS) return UNDECODED['too-many-headers']
  switch (ip.bytes[offset]! >> 4) {
    case 4:
      return decodeV4(ip, offset, fragments)
    case 6:
      return decodeV6(ip, offset, fragments)
    default:
      return UNDECODED['bad-ip-header']
  }
}

/** RFC 791 section 3.1. */
function decodeV4(ip: IpContext, offset: number, fragments: IpFragments): Decoded {
  const bytes = ip.bytes
  if (offset + 20 > ip.end) return UNDECODED.truncated
  const headerLength = (bytes[offset]! & 0x0f) * 4
  if (headerLength < 20) return UNDECODED['bad-ip-header']
  if (offset + headerLength > ip.end) return UNDECODED.truncated
  const totalLength = bytes.readUInt16BE(offset + 2)
  const payload = offset + headerLength
  // Segmentation offload leaves 0 in frames larger than the field can say: then all that was captured counts.
  if (totalLength !== 0) {
    if (totalLength < headerLength) return UNDECODED['bad-ip-header']
    // The kernel drops it unread. Files may have been rewritten for their addresses.
    if (fragments.tunnels === 'leave' && folded(sumOf(bytes, offset, payload)) !== 0xffff)
      return UNDECODED['bad-ip-header']
    endAt(ip, offset + totalLength)
  }
  ip.addressSum = sumOf(bytes, offset + 12, offset + 20)
  ip.source = readV4Address(bytes, offset + 12)
  ip.destination = readV4Address(bytes, offset + 16)
  const protocol = bytes[offset + 9]!
  const flags = bytes.readUInt16BE(offset + 6)
  if ((flags & 0x3fff) === 0) return decodePayload(ip, protocol, payload, fragments)
  return decodeFragment(ip, payload, fragments, {
    family: 4,
    identification: bytes.readUInt16BE(offset + 4),
    protocol,
    fragmentOffset: (flags & 0x1fff) * 8,
    more: (flags & 0x2000) !== 0,
  })
}

/** RFC 8200 section 3. */
function decodeV6(ip: IpContext, offset: number, fragments: IpFragments): Decoded {
  const bytes = ip.bytes
  if (offset + 40 > ip.end) return UNDECODED.truncated
  const payloadLength = bytes.readUInt16BE(offset + 4)
  // 0 is a jumbogram or segmentation offload: then all that was captured counts.
  if (payloadLength !== 0) endAt(ip, offset + 40 + payloadLength)
  ip.addressSum = sumOf(bytes, offset + 8, offset + 40)
  ip.source = readV6Address(bytes, offset + 8)
  ip.destination = readV6Address(bytes, offset + 24)
  return decodeExtensions(ip, bytes[offset + 6]!, offset + 40, fragments)
}

/**
 * RFC 8200 section 4: follows the chain of extension headers to what they precede, however many there are: Linux does, and each
 * takes eight bytes of the packet at least.
 */
function decodeExtensions(ip: IpContext, first: number, start: number, fragments: IpFragments): Decoded {
  const bytes = ip.bytes
  let header = first
  let offset = start
  while (isExtension(header)) {
    ip.plain = false
    if (offset + 8 > ip.end) return UNDECODED.truncated
    const next = bytes[offset]!
    if (header === PROTOCOL_FRAGMENT) {
      const field = bytes.readUInt16BE(offset + 2)
      // An atomic fragment (RFC 6946) is a whole datagram.
      if ((field & 0xfff9) !== 0) {
        return decodeFragment(ip, offset + 8, fragments, {
          family: 6,
          identification: bytes.readUInt32BE(offset + 4),
          protocol: next,
          fragmentOffset: field & 0xfff8,
          more: (field & 1) !== 0,
        })
      }
      offset += 8
    } else {
      offset += header === PROTOCOL_AH ? (bytes[offset + 1]! + 2) * 4 : (bytes[offset + 1]! + 1) * 8
    }
    header = next
  }
  return decodePayload(ip, header, offset, fragments)
}

/** Hop-by-hop, routing, fragment, authentication, destination options, mobility, HIP, shim6. */
function isExtension(header: number): boolean {
  switch (header) {
    case 0:
    case 43:
    case PROTOCOL_FRAGMENT:
    case PROTOCOL_AH:
    case 60:
    case 135:
    case 139:
    case 140:
      return true
    default:
      return false
  }
}

function decodePayload(ip: IpContext, protocol: number, offset: number, fragments: IpFragments): Decoded {
  switch (protocol) {
    case PROTOCOL_UDP:
      return decodeUdp(ip, offset)
    case PROTOCOL_TCP:
      return decodeTcp(ip, offset)
    case PROTOCOL_IPIP:
    case PROTOCOL_IPV6:
      if (fragments.tunnels === 'leave') return UNDECODED['not-udp-or-tcp']
      return decodeIpHeader(ip, offset, fragments)
    default:
      return UNDECODED['not-udp-or-tcp']
  }
}

interface FragmentHeader {
  readonly family: 4 | 6
  readonly identification: number
  readonly protocol: number
  readonly fragmentOffset: number
  readonly more: boolean
}

function decodeFragment(
  ip: IpContext,
  offset: number,
  fragments: IpFragments,
  header: FragmentHeader,
): Decoded {
  if (ip.cut || offset > ip.end) return UNDECODED.truncated
  const { time, source, destination } = ip
  const whole = fragments.add({
    ...header,
    time,
    source,
    destination,
    bytes: ip.bytes.subarray(offset, ip.end),
    ...(ip.way === undefined ? {} : { way: ip.way }),
  })
  if (whole === undefined) return FRAGMENT_HELD
  ip.plain = false
  const { ipHeaders } = ip
  const decoded = decodeWhole(ip, header.family, whole, fragments)
  if (!whole.other) return decoded
  ip.ipHeaders = ipHeaders
  ip.source = source
  ip.destination = destination
  const other = decodeWhole(ip, header.family, whole.other, fragments)
  if (other.kind !== 'udp') return decoded
  return decoded.kind === 'udp' ? { ...decoded, other } : other
}

function decodeWhole(ip: IpContext, family: 4 | 6, whole: WholeDatagram, fragments: IpFragments): Decoded {
  ip.bytes = whole.bytes
  ip.end = whole.bytes.length
  return family === 4
    ? decodePayload(ip, whole.protocol, 0, fragments)
    : decodeExtensions(ip, whole.protocol, 0, fragments)
}

function sumOf(bytes: Buffer, start: number, end: number): number {
  let sum = 0
  for (let at = start; at < end; at += 2) sum += (bytes[at]! << 8) | bytes[at + 1]!
  return sum
}

function endAt(ip: IpContext, end: number): void {
  if (end <= ip.end) ip.end = end
  else ip.cut = true
}
