import { bytesOfAddress, parseAddress } from '../registrar/net/address.ts'

// Builds packets, layer by layer, and captures of them. Each builder takes what it carries and gives bytes, so a
// frame reads as it is nested: ethernet(vlan(100, ipv4({...}, udp({...}, 'REGISTER …')))).

export type Payload = Buffer | string

/** Bytes with the number by which the layer below announces them. */
export interface Layer {
  readonly bytes: Buffer
  /** The EtherType: 0x0800, 0x86dd, 0x8100, … */
  readonly etherType: number
}

/** The bytes of an IP payload and the protocol number by which IP announces it. */
export interface Transport {
  readonly bytes: Buffer
  readonly protocol: number
}

export interface Ends {
  readonly source?: string
  readonly destination?: string
}

const MACS = Buffer.from('020000000002020000000001', 'hex')

export function ethernet(content: Layer, options: { readonly padTo?: number } = {}): Buffer {
  const frame = Buffer.concat([MACS, u16(content.etherType), content.bytes])
  const padding = Math.max(0, (options.padTo ?? 0) - frame.length)
  return Buffer.concat([frame, Buffer.alloc(padding, 0xee)])
}

/** IEEE 802.3 with a length instead of a type, as spanning tree uses it. */
export function llc(payload: Payload): Buffer {
  const bytes = toBytes(payload)
  return Buffer.concat([MACS, u16(bytes.length + 3), Buffer.from([0x42, 0x42, 0x03]), bytes])
}

export function vlan(id: number, content: Layer, tag: 0x8100 | 0x88a8 | 0x9100 = 0x8100): Layer {
  return { etherType: tag, bytes: Buffer.concat([u16(id), u16(content.etherType), content.bytes]) }
}

export function pppoe(content: Layer): Layer {
  const inner = ppp(content)
  return {
    etherType: 0x8864,
    bytes: Buffer.concat([Buffer.from([0x11, 0]), u16(7), u16(inner.length), inner]),
  }
}

export function ppp(content: Layer): Buffer {
  return Buffer.concat([u16(content.etherType === 0x86dd ? 0x57 : 0x21), content.bytes])
}

/** LINKTYPE_LINUX_SLL, 113. */
export function cooked(content: Layer): Buffer {
  return Buffer.concat([u16(0), u16(1), u16(6), Buffer.alloc(8), u16(content.etherType), content.bytes])
}

/** LINKTYPE_LINUX_SLL2, 276. */
export function cooked2(content: Layer): Buffer {
  const rest = Buffer.concat([u16(0), u32(3), u16(1), Buffer.from([0, 6]), Buffer.alloc(8)])
  return Buffer.concat([u16(content.etherType), rest, content.bytes])
}

/** LINKTYPE_NULL (0) in the byte order of either host, LINKTYPE_LOOP (108) in network order. */
export function loopback(
  content: Layer,
  options: { readonly littleEndian: boolean; readonly v6Family?: number },
): Buffer {
  const head = Buffer.alloc(4)
  const family = content.etherType === 0x86dd ? (options.v6Family ?? 10) : 2
  if (options.littleEndian) head.writeUInt32LE(family)
  else head.writeUInt32BE(family)
  return Buffer.concat([head, content.bytes])
}

export interface Ipv4Options extends Ends {
  readonly identification?: number
  /** In bytes. */
  readonly fragmentOffset?: number
  readonly more?: boolean
  /** Padded to a multiple of four. */
  readonly options?: Buffer
  /** Written instead of the true one: 0 as segmentation offload leaves it, or a lie. */
  readonly totalLength?: number
}

export function ipv4(options: Ipv4Options, content: Transport): Layer {
  const extra = Buffer.concat([options.options ?? Buffer.alloc(0)])
  const padded = Buffer.concat([extra, Buffer.alloc((4 - (extra.length % 4)) % 4)])
  const header = Buffer.alloc(20 + padded.length)
  header[0] = 0x40 | (header.length / 4)
  header.writeUInt16BE(options.totalLength ?? header.length + content.bytes.length, 2)
  header.writeUInt16BE(options.identification ?? 0, 4)
  header.writeUInt16BE((options.more ? 0x2000 : 0) | ((options.fragmentOffset ?? 0) >> 3), 6)
  header[8] = 64
  header[9] = content.protocol
  address(options.source ?? '10.0.0.1').copy(header, 12)
  address(options.destination ?? '10.0.0.2').copy(header, 16)
  padded.copy(header, 20)
  header.writeUInt16BE(checksum(header), 10)
  return { etherType: 0x0800, bytes: Buffer.concat([header, content.bytes]) }
}

export interface Ipv6Options extends Ends {
  readonly payloadLength?: number
}

export function ipv6(options: Ipv6Options, content: Transport): Layer {
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header.writeUInt16BE(options.payloadLength ?? content.bytes.length, 4)
  header[6] = content.protocol
  header[7] = 64
  mapped(options.source ?? '2001:db8::1').copy(header, 8)
  mapped(options.destination ?? '2001:db8::2').copy(header, 24)
  return { etherType: 0x86dd, bytes: Buffer.concat([header, content.bytes]) }
}

/** An IPv6 extension header of any kind but fragment; `size` is its length in bytes, a multiple of eight. */
export function extension(kind: number, content: Transport, size = 8): Transport {
  const header = Buffer.alloc(size)
  header[0] = content.protocol
  // The authentication header alone counts in words of four bytes, less two (RFC 4302).
  header[1] = kind === 51 ? size / 4 - 2 : size / 8 - 1
  return { protocol: kind, bytes: Buffer.concat([header, content.bytes]) }
}

export interface FragmentOptions {
  readonly identification?: number
  /** In bytes. */
  readonly fragmentOffset: number
  readonly more: boolean
}

/** An IPv6 fragment of what `content` begins. */
export function fragmentHeader(options: FragmentOptions, content: Transport): Transport {
  const field = options.fragmentOffset | (options.more ? 1 : 0)
  const header = Buffer.concat([
    Buffer.from([content.protocol, 0]),
    u16(field),
    u32(options.identification ?? 1),
  ])
  return { protocol: 44, bytes: Buffer.concat([header, content.bytes]) }
}

/** Cuts an IP payload into IPv4 or IPv6 packets of at most `size` bytes of it each, in order. */
export function fragments(
  content: Transport,
  options: Ends & { readonly family: 4 | 6; readonly size: number; readonly identification?: number },
): Layer[] {
  const packets: Layer[] = []
  const step = options.size & ~7
  const identification = options.identification ?? 1
  for (let offset = 0; offset < content.bytes.length; offset += step) {
    const bytes = content.bytes.subarray(offset, offset + step)
    const piece = { protocol: content.protocol, bytes }
    const place = { identification, fragmentOffset: offset, more: offset + step < content.bytes.length }
    packets.push(
      options.family === 4
        ? ipv4({ ...options, ...place }, piece)
        : ipv6(options, fragmentHeader(place, piece)),
    )
  }
  return packets
}

/** An IP packet inside another: IPIP, 6in4 and their kin. */
export function tunnelled(content: Layer): Transport {
  return { protocol: content.etherType === 0x86dd ? 41 : 4, bytes: content.bytes }
}

export interface PortOptions {
  readonly sourcePort?: number
  readonly destinationPort?: number
}

/** With no checksum, unless one is given; see `withChecksum`. */
export function udp(
  options: PortOptions & { readonly length?: number; readonly checksum?: number },
  payload: Payload,
): Transport {
  const bytes = toBytes(payload)
  const length = options.length ?? 8 + bytes.length
  const ports = [u16(options.sourcePort ?? 5062), u16(options.destinationPort ?? 5060)]
  return {
    protocol: 17,
    bytes: Buffer.concat([...ports, u16(length), u16(options.checksum ?? 0), bytes]),
  }
}

/** A datagram with the checksum that is right between these ends. */
export function withChecksum({ source, destination }: Required<Ends>, datagram: Transport): Transport {
  const bytes = Buffer.from(datagram.bytes)
  bytes.writeUInt16BE(0, 6)
  const pseudo = [address(source), address(destination), u16(datagram.protocol), u16(bytes.length)]
  const all = Buffer.concat([...pseudo, bytes])
  const even = all.length % 2 === 0 ? all : Buffer.concat([all, Buffer.alloc(1)])
  bytes.writeUInt16BE(checksum(even) || 0xffff, 6)
  return { protocol: datagram.protocol, bytes }
}

export interface TcpOptions extends PortOptions {
  readonly sequence?: number
  readonly acknowledgement?: number
  readonly flags?: {
    readonly syn?: boolean
    readonly fin?: boolean
    readonly rst?: boolean
    readonly ack?: boolean
    readonly urg?: boolean
  }
  /** A multiple of four bytes. */
  readonly options?: Buffer
}

export function tcp(options: TcpOptions, payload: Payload): Transport {
  const extra = options.options ?? Buffer.alloc(0)
  const header = Buffer.alloc(20)
  const { syn, fin, rst, ack, urg } = options.flags ?? { ack: true }
  header.writeUInt16BE(options.sourcePort ?? 5062, 0)
  header.writeUInt16BE(options.destinationPort ?? 5060, 2)
  header.writeUInt32BE((options.sequence ?? 0) >>> 0, 4)
  header.writeUInt32BE((options.acknowledgement ?? 0) >>> 0, 8)
  header[12] = ((20 + extra.length) / 4) << 4
  header[13] = (fin ? 1 : 0) | (syn ? 2 : 0) | (rst ? 4 : 0) | (ack ? 16 : 0) | (urg ? 32 : 0)
  header.writeUInt16BE(65_535, 14)
  return { protocol: 6, bytes: Buffer.concat([header, extra, toBytes(payload)]) }
}

export function other(protocol: number, payload: Payload): Transport {
  return { protocol, bytes: toBytes(payload) }
}

function address(text: string): Buffer {
  const parsed = parseAddress(text)
  if (!parsed) throw new RangeError(`${text} is no address`)
  return Buffer.from(bytesOfAddress(parsed))
}

/** An IPv4 address as IPv6 carries it. */
function mapped(text: string): Buffer {
  const bytes = address(text)
  return bytes.length === 16 ? bytes : Buffer.concat([Buffer.alloc(10), Buffer.alloc(2, 0xff), bytes])
}

function checksum(header: Buffer): number {
  let sum = 0
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

function toBytes(payload: Payload): Buffer {
  return typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
