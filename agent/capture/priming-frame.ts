import { readFileSync } from 'node:fs'

/** Link types of the pcap format that a frame can be made for. */
const ETHERNET = 1
const RAW_IP = 101

/** RFC 863: who reads this port throws away what comes. */
const DISCARD = 9

/**
 * A frame that the host's own capture takes for one that leaves from the port, and that is nothing to anybody else: the
 * link's own address is its destination, so a switch keeps it, and it goes from loopback to loopback with no hop to live,
 * so no host takes it and no router passes it on. `primedBy` is `udp:5060`, `tcp:5061`, `fragment` for a later fragment
 * of UDP, or `none`. Null where none is asked for, and for a link that no frame can be made for.
 */
export function primingFrame(device: string, linkType: number, primedBy: string): Buffer | null {
  const [protocol, port] = primedBy.split(':') as ['udp' | 'tcp' | 'fragment' | 'none', string | undefined]
  if (protocol === 'none') return null
  const packet = ipPacket(protocol, Number(port))
  if (linkType === RAW_IP) return packet
  const hardware = hardwareAddress(device)
  if (linkType !== ETHERNET || hardware.length !== 6) return null
  return Buffer.concat([hardware, hardware, Buffer.from([0x08, 0x00]), packet])
}

/** Empty where it is not known. */
function hardwareAddress(device: string): Buffer {
  try {
    const text = readFileSync(`/sys/class/net/${device}/address`, 'latin1').trim()
    return Buffer.from(text.replaceAll(':', ''), 'hex')
  } catch {
    return Buffer.alloc(0)
  }
}

const PAYLOAD = Buffer.from('ringfence')

/** Checksums are left at 0: nobody is to take it. */
function ipPacket(protocol: 'udp' | 'tcp' | 'fragment', port: number): Buffer {
  const transport = { udp: udpHeader, tcp: tcpHeader, fragment: () => Buffer.alloc(0) }[protocol](port)
  const ip = Buffer.alloc(20)
  ip[0] = 0x45
  ip.writeUInt16BE(ip.length + transport.length + PAYLOAD.length, 2)
  // A later fragment begins eight bytes behind the first.
  if (protocol === 'fragment') ip.writeUInt16BE(1, 6)
  ip[9] = protocol === 'tcp' ? 6 : 17
  ip.set([127, 0, 0, 1], 12)
  ip.set([127, 0, 0, 1], 16)
  return Buffer.concat([ip, transport, PAYLOAD])
}

function udpHeader(port: number): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt16BE(port, 0)
  header.writeUInt16BE(DISCARD, 2)
  header.writeUInt16BE(header.length + PAYLOAD.length, 4)
  return header
}

function tcpHeader(port: number): Buffer {
  const header = Buffer.alloc(20)
  header.writeUInt16BE(port, 0)
  header.writeUInt16BE(DISCARD, 2)
  header[12] = 0x50
  return header
}
