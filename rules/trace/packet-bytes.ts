import { Buffer } from 'node:buffer'
import { bytesOfAddress, familyOf } from '../../registrar/net/address.ts'
import type { ImaginaryPacket } from './packet.ts'

const UDP = 17
const TCP = 6
const DESTINATION_OPTIONS = 60
const FRAGMENT = 44
const LONGEST_IPV4_OPTIONS = 40
const LONGEST_EXTENSION = 2048
/** Where a later piece of a packet begins, in units of eight bytes. */
const LATER_OFFSET = 185

/** The bytes of a packet from its IP header on, as a rule sees them. Throws a RangeError for one that cannot be. */
export function bytesOfPacket(packet: ImaginaryPacket): Buffer {
  const family = familyOf(packet.source)
  if (family !== familyOf(packet.destination)) {
    throw new RangeError(`no packet goes from ${packet.source} to ${packet.destination}`)
  }
  const content = packet.fragment === 'later' ? packet.payload : transportOf(packet)
  return family === 4 ? ipv4(packet, content) : ipv6(packet, content)
}

function transportOf({
  protocol,
  sourcePort,
  destinationPort,
  payload,
  syn,
  fragment,
}: ImaginaryPacket): Buffer {
  const header = Buffer.alloc(protocol === 'udp' ? 8 : 20)
  header.writeUInt16BE(sourcePort, 0)
  header.writeUInt16BE(destinationPort, 2)
  if (protocol === 'udp') {
    // The length is that of the whole datagram, of which more is to come.
    header.writeUInt16BE(Math.min(0xffff, 8 + payload.length + (fragment === 'first' ? 8 : 0)), 4)
  } else {
    header[12] = 5 << 4
    header[13] = syn ? 0x02 : 0x10
    header.writeUInt16BE(0xffff, 14)
  }
  return Buffer.concat([header, payload])
}

function ipv4(packet: ImaginaryPacket, content: Buffer): Buffer {
  const { headerOptions: options, fragment } = packet
  if (options < 0 || options > LONGEST_IPV4_OPTIONS || options % 4 !== 0) {
    throw new RangeError(`no IPv4 header has ${options} bytes of options: use a multiple of 4 up to 40`)
  }
  // An option of one byte that says nothing, as often as it fits (RFC 791, section 3.1).
  const header = Buffer.alloc(20 + options, 1)
  header.fill(0, 0, 20)
  header[0] = 0x40 | (header.length / 4)
  header.writeUInt16BE(wholeLength(header.length + content.length), 2)
  header.writeUInt16BE(fragment === 'first' ? 0x2000 : fragment === 'later' ? LATER_OFFSET : 0, 6)
  header[8] = 64
  header[9] = protocolNumber(packet)
  header.set(bytesOfAddress(packet.source), 12)
  header.set(bytesOfAddress(packet.destination), 16)
  header.writeUInt16BE(checksum(header), 10)
  return Buffer.concat([header, content])
}

function ipv6(packet: ImaginaryPacket, content: Buffer): Buffer {
  const { headerOptions: options, fragment } = packet
  if (options < 0 || options > LONGEST_EXTENSION || options % 8 !== 0) {
    throw new RangeError(`no IPv6 extension header has ${options} bytes: use a multiple of 8 up to 2048`)
  }
  let next = protocolNumber(packet)
  let extensions = Buffer.alloc(0)
  if (fragment !== undefined) {
    extensions = Buffer.from([next, 0, 0, 0, 0, 0, 0, 1])
    extensions.writeUInt16BE(fragment === 'first' ? 1 : LATER_OFFSET << 3, 2)
    next = FRAGMENT
  }
  if (options > 0) {
    // Zeros are options of one byte that say nothing (RFC 8200, section 4.2).
    const header = Buffer.alloc(options)
    header[0] = next
    header[1] = options / 8 - 1
    extensions = Buffer.concat([header, extensions])
    next = DESTINATION_OPTIONS
  }
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header.writeUInt16BE(wholeLength(extensions.length + content.length), 4)
  header[6] = next
  header[7] = 64
  header.set(bytesOfAddress(packet.source), 8)
  header.set(bytesOfAddress(packet.destination), 24)
  return Buffer.concat([header, extensions, content])
}

function protocolNumber({ protocol }: ImaginaryPacket): number {
  return protocol === 'udp' ? UDP : TCP
}

function wholeLength(length: number): number {
  if (length > 0xffff) throw new RangeError(`no packet has ${length} bytes: a payload of at most 65000 fits`)
  return length
}

/** Of an IPv4 header (RFC 791, section 3.1), without which the kernel does not look further. */
function checksum(header: Buffer): number {
  let sum = 0
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
