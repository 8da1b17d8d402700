import { Buffer } from 'node:buffer'
import { parseSource } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { imaginePacket } from '../../rules/trace/imagine-packet.ts'
import type { ImaginaryPacket } from '../../rules/trace/packet.ts'
import {
  address,
  answered,
  block,
  denied,
  desired,
  gateway,
  ignoring,
  prefix,
  proven,
  returning,
  suspension,
} from './desired.ts'

export const NOW = 1_800_000_000_000
const LATER = NOW + 600_000

/** A SIP message as a phone or a peer sends it: longer than any keepalive. */
export function sip(method: string, uri = 'sip:softswitch.example'): string {
  return [
    `${method} ${uri} SIP/2.0`,
    'Via: SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bK776asdhds',
    'From: <sip:1001@softswitch.example>;tag=1928301774',
    'To: <sip:1001@softswitch.example>',
    'Call-ID: a84b4c76e66710@192.0.2.77',
    `CSeq: 314159 ${method.trim()}`,
    'Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER',
    '',
    '',
  ].join('\r\n')
}

export const RESPONSE = sip('REGISTER').replace(/^.*\r\n/, 'SIP/2.0 200 OK\r\n')
/** RFC 8489, section 5, with a username that is longer than a keepalive. */
export const STUN = Buffer.concat([Buffer.from('000100302112a442', 'hex'), Buffer.alloc(60, 0x41)])

/** A UDP packet of a source (`198.51.100.1:5060`, `[2001:db8::1]:5060`) with a payload. */
export function udp(
  state: DesiredState,
  source: string,
  payload: string | Buffer = sip('REGISTER'),
  parts: Partial<ImaginaryPacket> = {},
): ImaginaryPacket {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload
  return imaginePacket(state.traffic, parseSource(source)!, { payload: bytes, ...parts })
}

/** The packet that opens a TCP connection. */
export function syn(
  state: DesiredState,
  source: string,
  parts: Partial<ImaginaryPacket> = {},
): ImaginaryPacket {
  return imaginePacket(state.traffic, parseSource(source)!, { protocol: 'tcp', ...parts })
}

/** One source of each lane, in both families. Ports other than 5060 are of nobody. */
export const SOURCES = {
  allowed: ['192.0.2.7:5060', '[2001:db8:a::7]:5060'],
  denied: ['203.0.113.1:5060', '[2001:db8:d::1]:5060'],
  gateway: ['203.0.113.65:5060', '[2001:db8:9::1]:5060'],
  blocked: ['198.51.100.1:5060', '[2001:db8:b:1::1]:5060'],
  registerBlocked: ['198.51.100.2:5060', '[2001:db8:b:2::1]:5060'],
  suspendedPort: ['198.51.100.3:5060', '[2001:db8:b:3::1]:5060'],
  suspended: ['198.51.100.4:5060', '[2001:db8:b:4::1]:5060'],
  proven: ['198.51.100.5:5060', '[2001:db8:b:5::1]:5060'],
  aggregator: ['198.51.100.6:5060', '[2001:db8:b:6::1]:5060'],
  answered: ['198.51.100.7:5060', '[2001:db8:b:7::1]:5060'],
  returning1: ['198.51.100.8:5060', '[2001:db8:b:8::1]:5060'],
  returning2: ['198.51.100.9:5060', '[2001:db8:b:9::1]:5060'],
  returning3: ['198.51.100.10:5060', '[2001:db8:b:a::1]:5060'],
  ignoring: ['198.51.100.11:5060', '[2001:db8:b:b::1]:5060'],
  unknown: ['198.51.100.99:5060', '[2001:db8:b:99::1]:5060'],
} as const satisfies Readonly<Record<string, readonly [string, string]>>

const PUNISHED_PROVEN = ['blocked', 'registerBlocked', 'suspended'] as const
/** Proven ports of punished addresses: they stay served. */
export const SPARED_PORT = 6000

/** A state in which every lane has members. */
export function everyLane(parts: Partial<DesiredState> = {}): DesiredState {
  const hosts = (name: keyof typeof SOURCES) => SOURCES[name].map((text) => parseSource(text)!)
  return desired({
    allow: [prefix('192.0.2.0/24'), prefix('2001:db8:a::/64')],
    gateways: [
      gateway('acme', ['203.0.113.64/26', '2001:db8:9::/48'], { perSecond: 5, burst: 10 }),
      gateway('bolt', ['203.0.113.96/32'], { perSecond: 80, burst: 160 }),
    ],
    blocks: [
      ...hosts('denied').map(({ address }) => denied(address)),
      ...hosts('blocked').map(({ address }) => block(address, 'sip', LATER)),
      ...hosts('registerBlocked').map(({ address }) => block(address, 'register', LATER)),
    ],
    suspensions: [
      ...hosts('suspendedPort').map(({ address, port }) => suspension(address, port, LATER)),
      ...hosts('suspended').map(({ address }) => suspension(address, 0, LATER)),
    ],
    members: [
      [...hosts('proven'), ...hosts('aggregator')].map(({ address, port }) => proven(address, port, LATER)),
      PUNISHED_PROVEN.flatMap((name) => hosts(name).map((one) => proven(one.address, SPARED_PORT, LATER))),
      hosts('answered').map(({ address, port }) => answered(address, port, LATER)),
      (
        [
          ['returning1', 1],
          ['returning2', 6],
          ['returning3', 51],
          ['aggregator', 500],
        ] as const
      ).flatMap(([name, accounts]) =>
        hosts(name).map((one) => returning(sourceOf(one.address), accounts, LATER)),
      ),
      hosts('ignoring').map((one) => ignoring(sourceOf(one.address), LATER)),
    ],
    ...parts,
  })
}

/** An IPv4 address or the /64 of an IPv6 address, as text. */
function sourceOf(text: string): string {
  return text.includes(':') ? prefix(`${address(text)}/64`) : text
}
