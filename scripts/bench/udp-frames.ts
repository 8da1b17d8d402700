import { writeFileSync } from 'node:fs'
import { type Address, bytesOfAddress, familyOf } from '../../registrar/net/address.ts'

export interface Datagram {
  readonly source: Address
  readonly port: number
  readonly destination: Address
  readonly destinationPort: number
  readonly destinationMac: string
  readonly text: string
}

/** An Ethernet frame with a UDP datagram in it, with its checksum, which IPv6 demands. */
export function udpFrame({
  source,
  port,
  destination,
  destinationPort,
  destinationMac,
  text,
}: Datagram): Buffer {
  const family = familyOf(source)
  const payload = Buffer.from(text, 'latin1')
  const length = 8 + payload.length
  const ip = Buffer.alloc(family === 4 ? 20 : 40)
  const [from, to] = [bytesOfAddress(source), bytesOfAddress(destination)]
  if (family === 4) {
    ip[0] = 0x45
    ip.writeUInt16BE(20 + length, 2)
    ip.set([64, 17], 8)
    ip.set(from, 12)
    ip.set(to, 16)
    ip.writeUInt16BE(onesComplement(ip), 10)
  } else {
    ip[0] = 0x60
    ip.writeUInt16BE(length, 4)
    ip.set([17, 64], 6)
    ip.set(from, 8)
    ip.set(to, 24)
  }
  const udp = Buffer.concat([Buffer.alloc(8), payload])
  udp.writeUInt16BE(port, 0)
  udp.writeUInt16BE(destinationPort, 2)
  udp.writeUInt16BE(length, 4)
  const pseudo = Buffer.concat([from, to, Buffer.from([0, 0, length >> 8, length & 255, 0, 0, 0, 17])])
  udp.writeUInt16BE(onesComplement(Buffer.concat([pseudo, udp])) || 0xffff, 6)
  const ethernet = Buffer.from(
    `${destinationMac.replaceAll(':', '')}020000000002${family === 4 ? '0800' : '86dd'}`,
    'hex',
  )
  return Buffer.concat([ethernet, ip, udp])
}

/** The classic pcap format: version 2.4, Ethernet, little-endian. */
export function writeFrames(file: string, frames: readonly Buffer[]): void {
  const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex')
  const records = frames.flatMap((frame) => {
    const record = Buffer.alloc(16)
    record.writeUInt32LE(frame.length, 8)
    record.writeUInt32LE(frame.length, 12)
    return [record, frame]
  })
  writeFileSync(file, Buffer.concat([header, ...records]))
}

function onesComplement(bytes: Buffer): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at]! << 8) | (bytes[at + 1] ?? 0)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}
