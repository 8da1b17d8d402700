import type { Frame } from '../capture/frame.ts'
import { decodeIp } from './decode-ip.ts'
import type { IpFragments } from './ip-fragments.ts'
import { NFLOG_LINK_TYPE, readNflog } from './nflog.ts'
import type { Decoded } from './packet.ts'
import { UNDECODED } from './undecoded.ts'

const ETHERTYPE_IPV4 = 0x0800
const ETHERTYPE_IPV6 = 0x86dd
const ETHERTYPE_PPPOE_SESSION = 0x8864
/** IEEE 802.1Q, 802.1ad, and the number that was used for QinQ before 802.1ad. */
const isVlan = (etherType: number) => etherType === 0x8100 || etherType === 0x88a8 || etherType === 0x9100
const MAX_VLAN_TAGS = 4

/**
 * Finds the UDP datagram or TCP segment in a frame, through VLAN tags, PPPoE and IP tunnels. Fragments are kept
 * in `fragments` until their datagram is whole. Never throws: what cannot be decoded says why.
 * Link types: https://www.tcpdump.org/linktypes.html
 */
export function decodeFrame(frame: Frame, fragments: IpFragments): Decoded {
  const bytes = frame.bytes
  switch (frame.linkType) {
    case 1:
      if (bytes.length < 14) return UNDECODED.truncated
      return decodeEtherType(frame, bytes.readUInt16BE(12), 14, fragments)
    case 113: // Linux cooked v1
      if (bytes.length < 16) return UNDECODED.truncated
      return decodeEtherType(frame, bytes.readUInt16BE(14), 16, fragments)
    case 276: // Linux cooked v2
      if (bytes.length < 20) return UNDECODED.truncated
      return decodeEtherType(frame, bytes.readUInt16BE(0), 20, fragments)
    case 12: // raw IP as BSD and Linux number it, as OpenBSD does, and as files should
    case 14:
    case 101:
    case 228: // raw IPv4, and raw IPv6: the version nibble says the same
    case 229:
      return decodeIp(frame, 0, fragments)
    case 0: // BSD loopback, in the byte order of the host that captured
    case 108: // OpenBSD loopback, in network order
      return decodeLoopback(frame, fragments)
    case 9: // PPP, with or without the address and control bytes of RFC 1662
    case 50:
      return decodePpp(frame, 0, fragments)
    case 51:
      return decodePppoe(frame, 0, fragments)
    case NFLOG_LINK_TYPE: {
      const packet = readNflog(frame)
      return packet ? decodeIp(packet, 0, fragments) : UNDECODED.truncated
    }
    default:
      return UNDECODED['unknown-link-type']
  }
}

function decodeEtherType(
  frame: Frame,
  firstType: number,
  firstOffset: number,
  fragments: IpFragments,
): Decoded {
  let etherType = firstType
  let offset = firstOffset
  for (let tags = 0; isVlan(etherType); tags++) {
    if (tags === MAX_VLAN_TAGS) return UNDECODED['too-many-headers']
    if (frame.bytes.length < offset + 4) return UNDECODED.truncated
    etherType = frame.bytes.readUInt16BE(offset + 2)
    offset += 4
  }
  if (etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6) return decodeIp(frame, offset, fragments)
  if (etherType === ETHERTYPE_PPPOE_SESSION) return decodePppoe(frame, offset, fragments)
  return UNDECODED['not-ip']
}

/** RFC 2516 section 4: version and type 1, code 0 for session data, session, length, then PPP. */
function decodePppoe(frame: Frame, offset: number, fragments: IpFragments): Decoded {
  const bytes = frame.bytes
  if (bytes.length < offset + 6) return UNDECODED.truncated
  if (bytes[offset] !== 0x11 || bytes[offset + 1] !== 0) return UNDECODED['not-ip']
  return decodePpp(frame, offset + 6, fragments)
}

/** RFC 1661 section 2: the protocol field may be compressed to one byte, which is then odd. */
function decodePpp(frame: Frame, start: number, fragments: IpFragments): Decoded {
  const bytes = frame.bytes
  let offset = start
  if (bytes.length >= offset + 2 && bytes[offset] === 0xff && bytes[offset + 1] === 0x03) offset += 2
  if (bytes.length < offset + 2) return UNDECODED.truncated
  let protocol = bytes[offset]!
  if (protocol & 1) offset += 1
  else {
    protocol = bytes.readUInt16BE(offset)
    offset += 2
  }
  return protocol === 0x21 || protocol === 0x57 ? decodeIp(frame, offset, fragments) : UNDECODED['not-ip']
}

function decodeLoopback(frame: Frame, fragments: IpFragments): Decoded {
  const bytes = frame.bytes
  if (bytes.length < 4) return UNDECODED.truncated
  const big = bytes.readUInt32BE(0)
  const family = big > 0xffff ? bytes.readUInt32LE(0) : big
  switch (family) {
    case 2: // AF_INET everywhere; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS
    case 10:
    case 24:
    case 28:
    case 30:
      return decodeIp(frame, 4, fragments)
    default:
      return UNDECODED['not-ip']
  }
}
