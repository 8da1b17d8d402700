import { bytesOfAddress } from '../../registrar/net/address.ts'
import { ethernet, extension, fragmentHeader, ipv4, ipv6, type Transport, tcp, udp } from '../packets.ts'
import { address } from '../rules/desired.ts'
import { familyOf, HOST } from './rules-stage.ts'

export interface Forged {
  readonly source: string
  readonly port?: number
  readonly destination?: string
  readonly destinationPort?: number
  readonly text: string
  /** IPv4: bytes of options. IPv6: kinds of extension headers, the outermost first. */
  readonly options?: Buffer
  readonly extensions?: readonly number[]
  /** Cuts the IP payload into pieces of so many bytes; `at` gives each but the last its length. */
  readonly cut?: readonly number[]
  readonly identification?: number
}

/** IPv6 extension headers by their kinds (RFC 8200). */
export const HOP_BY_HOP = 0
export const FRAGMENT = 44
export const DESTINATION = 60

/** A datagram from any source, in one frame or, where it is cut, in several. */
export function datagram({
  source,
  port = 5060,
  destination,
  destinationPort = 5060,
  text,
  ...rest
}: Forged): readonly Buffer[] {
  const ends = { source, destination: destination ?? HOST[familyOf(source)] }
  const whole = summed(ends, udp({ sourcePort: port, destinationPort }, text))
  const identification = rest.identification ?? 1
  const frames: Buffer[] = []
  const ownLengths = rest.cut ?? []
  for (let at = 0, piece = 0; at < whole.bytes.length; piece++) {
    const length = ownLengths[piece] ?? whole.bytes.length - at
    const part = { protocol: whole.protocol, bytes: whole.bytes.subarray(at, at + length) }
    const place = { identification, fragmentOffset: at, more: at + length < whole.bytes.length }
    if (familyOf(source) === 4) {
      frames.push(
        ethernet(ipv4({ ...ends, ...place, ...(rest.options ? { options: rest.options } : {}) }, part)),
      )
    } else {
      const isCut = place.more || at > 0
      const inner = (rest.extensions ?? []).reduceRight<Transport>(
        (content, kind) =>
          kind === FRAGMENT
            ? fragmentHeader({ identification, fragmentOffset: 0, more: false }, content)
            : padded(kind, content),
        isCut ? fragmentHeader(place, part) : part,
      )
      frames.push(ethernet(ipv6(ends, inner)))
    }
    at += length
  }
  return frames
}

/** A SYN from any source. */
export function syn({
  source,
  port = 40_000,
  destinationPort = 5060,
}: Pick<Forged, 'source' | 'port' | 'destinationPort'>): Buffer {
  const ends = { source, destination: HOST[familyOf(source)] }
  const segment = summed(
    ends,
    tcp({ sourcePort: port, destinationPort, sequence: 1, flags: { syn: true } }, ''),
  )
  return ethernet(familyOf(source) === 4 ? ipv4(ends, segment) : ipv6(ends, segment))
}

/** An extension header whose options are padding (PadN), as a host has to accept them. */
function padded(kind: number, content: Transport): Transport {
  const made = extension(kind, content)
  made.bytes.set([1, 4, 0, 0, 0, 0], 2)
  return made
}

/** With the checksum that IPv6 demands of UDP, and conntrack of TCP (RFC 8200, section 8.1). */
function summed(
  { source, destination }: { source: string; destination: string },
  content: Transport,
): Transport {
  const at = content.protocol === 6 ? 16 : 6
  const bytes = Buffer.from(content.bytes)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  const pseudo = Buffer.concat([
    bytesOfAddress(address(source)),
    bytesOfAddress(address(destination)),
    length,
    Buffer.from([0, 0, 0, content.protocol]),
  ])
  bytes.writeUInt16BE(0, at)
  const all = Buffer.concat([pseudo, bytes, Buffer.alloc(bytes.length % 2)])
  let sum = 0
  for (let i = 0; i < all.length; i += 2) sum += all.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  bytes.writeUInt16BE(~sum & 0xffff || 0xffff, at)
  return { protocol: content.protocol, bytes }
}
