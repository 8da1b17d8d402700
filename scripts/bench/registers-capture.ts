import { closeSync, openSync, writeSync } from 'node:fs'

export interface RegistersOptions {
  readonly packets: number
  /** An IPv4 address, or `random`: every packet from another address. */
  readonly source: string
  readonly destination: string
  readonly destinationMac?: string
  /** `same`: one REGISTER again and again. `fresh`: every one with a Call-ID and a branch of its own. */
  readonly messages: 'same' | 'fresh'
  /** Only the time stamps depend on it. */
  readonly perSecond: number
}

const RECORD = 16
const ETHERNET = 14
const IPV4 = 20
const UDP = 8
const HEADERS = ETHERNET + IPV4 + UDP
const CHUNK = 1_000
/** Where a number of eight digits goes that makes a message a new one. */
const OWN = '00000000'

/** Writes a capture of REGISTERs as a flooder's tool sends them, over Ethernet, IPv4 and UDP. */
export function writeRegisters(file: string, options: RegistersOptions): void {
  const record = template(options)
  const marks = options.messages === 'fresh' ? placesOf(record, OWN) : []
  const chunk = Buffer.alloc(record.length * CHUNK)
  const descriptor = openSync(file, 'w')
  try {
    // The classic pcap format: version 2.4, Ethernet, microseconds, little-endian.
    writeSync(descriptor, Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex'))
    for (let written = 0; written < options.packets; written += CHUNK) {
      const count = Math.min(CHUNK, options.packets - written)
      for (let i = 0; i < count; i++) fill(record, written + i, options, marks).copy(chunk, i * record.length)
      writeSync(descriptor, chunk, 0, count * record.length)
    }
  } finally {
    closeSync(descriptor)
  }
}

function fill(record: Buffer, number: number, options: RegistersOptions, marks: readonly number[]): Buffer {
  const microseconds = Math.floor((number * 1e6) / options.perSecond)
  record.writeUInt32LE(1_700_000_000 + Math.floor(microseconds / 1e6), 0)
  record.writeUInt32LE(microseconds % 1e6, 4)
  const own = String(number).padStart(OWN.length, '0')
  for (const mark of marks) record.write(own, mark, 'latin1')
  if (options.source === 'random') {
    // A full-period scramble; the first octet stays clear of addresses that a host refuses.
    const scrambled = Math.imul(number, 2_654_435_761) >>> 0
    const source = ((11 + ((scrambled >>> 24) % 88)) * 0x1000000 + (scrambled & 0xffffff)) >>> 0
    record.writeUInt32BE(source, RECORD + ETHERNET + 12)
    writeHeaderChecksum(record.subarray(RECORD + ETHERNET, RECORD + ETHERNET + IPV4))
  }
  return record
}

/** A whole pcap record: its header, then the frame. */
function template(options: RegistersOptions): Buffer {
  const { source, destination, destinationMac = '02:00:00:00:00:01', messages } = options
  const message = Buffer.from(register(source === 'random' ? '192.0.2.1' : source, messages))
  const frame = Buffer.alloc(HEADERS + message.length)
  frame.write(destinationMac.replaceAll(':', ''), 0, 'hex')
  frame.write('020000000002', 6, 'hex')
  frame.writeUInt16BE(0x0800, 12)
  const ip = frame.subarray(ETHERNET, ETHERNET + IPV4)
  Buffer.from([0x45, 0]).copy(ip)
  ip.writeUInt16BE(IPV4 + UDP + message.length, 2)
  Buffer.from([64, 17]).copy(ip, 8)
  Buffer.from((source === 'random' ? '192.0.2.1' : source).split('.').map(Number)).copy(ip, 12)
  Buffer.from(destination.split('.').map(Number)).copy(ip, 16)
  writeHeaderChecksum(ip)
  // The UDP checksum stays zero, which means none.
  frame.writeUInt16BE(5066, ETHERNET + IPV4)
  frame.writeUInt16BE(5060, ETHERNET + IPV4 + 2)
  frame.writeUInt16BE(UDP + message.length, ETHERNET + IPV4 + 4)
  message.copy(frame, HEADERS)
  const lengths = Buffer.alloc(RECORD)
  lengths.writeUInt32LE(frame.length, 8)
  lengths.writeUInt32LE(frame.length, 12)
  return Buffer.concat([lengths, frame])
}

function register(host: string, messages: RegistersOptions['messages']): string {
  const own = messages === 'fresh' ? OWN : 'a776asdh'
  return [
    'REGISTER sip:example.com SIP/2.0',
    `Via: SIP/2.0/UDP ${host}:5066;branch=z9hG4bK${own};rport`,
    'Max-Forwards: 70',
    'To: <sip:1001@example.com>',
    'From: <sip:1001@example.com>;tag=456248',
    `Call-ID: ${own}17637684230@998sdasdh09`,
    'CSeq: 1826 REGISTER',
    `Contact: <sip:1001@${host}:5066>`,
    'User-Agent: friendly-scanner',
    'Expires: 3600',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
}

function placesOf(bytes: Buffer, text: string): number[] {
  const places: number[] = []
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) places.push(at)
  return places
}

function writeHeaderChecksum(header: Buffer): void {
  header.writeUInt16BE(0, 10)
  let sum = 0
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  header.writeUInt16BE(~sum & 0xffff, 10)
}
