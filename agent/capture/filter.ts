/** The ports of which everything, in both directions, is to be captured. */
export interface CapturePorts {
  readonly udpPorts: readonly number[]
  readonly tcpPorts: readonly number[]
}

/** `plain` for links that know no VLAN tags (tun, PPP, WireGuard): libpcap refuses `vlan` there. */
export type TagHandling = 'tagged' | 'plain'

/**
 * Which way frames go; libpcap knows it of a live capture only. `outside-in`: requests that come in and answers that go
 * out, as on a host or a gateway; what comes in and begins as an answer does is left to `incomingAnswersFilter`.
 */
export type FrameDirection = 'all' | 'inbound' | 'outbound' | 'outside-in'

/**
 * What may stand between an IPv6 header and the ports: hop-by-hop, routing, fragment, authentication, destination
 * options, mobility, HIP, shim6. BPF cannot follow the chain, and whoever puts one in front of his REGISTER must
 * not be invisible: all of them are let through, and decoding sorts them out.
 */
const V6_EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140]
// Every network has ICMPv6 behind a hop-by-hop header (RFC 3810); that is nobody's REGISTER.
const BEHIND_EXTENSIONS = `(ip6 and ip6[40] != 58 and (${V6_EXTENSIONS.map((header) => `ip6[6] = ${header}`).join(' or ')}))`

/**
 * The BPF expression for all that may belong to the ports: IPv4 and IPv6, with fragments, and with up to two
 * VLAN tags. It lets through more than the ports (other people's fragments), so the reader looks at them again.
 * Throws a RangeError for a port that is none, and where no port is given.
 */
export function captureFilter(
  ports: CapturePorts,
  tags: TagHandling = 'tagged',
  frames: FrameDirection = 'all',
): string {
  const packet = frames === 'outside-in' ? outsideIn(ports) : packetFilter(ports)
  // `vlan` moves the offsets of all that is written after it, so each form has to come before the next tag.
  const either = underTags(packet, tags)
  return frames === 'inbound' || frames === 'outbound' ? `${frames} and (${either})` : either
}

/**
 * The direction is asked for within each form of tag, since `vlan` moves the offsets of what is written after it.
 * A phone may send from a port that SIP is read on, so ports alone do not tell a forged answer from a request.
 * A datagram of less than four bytes is let go too: BPF rejects what it cannot look into.
 */
function outsideIn(ports: CapturePorts): string {
  const leaving = portFilters(ports, 'src port').join(' or ')
  return `(inbound and (${packetFilter(ports, 'dst port')}) and not ${BEGINS_AS_ANSWER}) or (outbound and (${leaving}) and not ${FRAGMENT})`
}

/**
 * What goes out of UDP in fragments or behind IPv6 extension headers; null where there is no such port. It is captured
 * apart, since of such packets no filter can tell the ports: among all that come and go nobody could tell the softswitch's
 * long answers from forged ones.
 */
export function outgoingPartsFilter({ udpPorts }: CapturePorts, tags: TagHandling = 'tagged'): string | null {
  if (udpPorts.length === 0) return null
  const packet = `outbound and ((ip proto 17 and ${FRAGMENT}) or ${BEHIND_EXTENSIONS})`
  return underTags(packet, tags)
}

/**
 * What a capture has to see beside the kernel's own log of the requests over UDP that passed: answers, TCP with payload,
 * and the later fragments of IP, which carry no port and so are nobody's to log. A flood of requests over UDP, or of TCP
 * packets without payload, costs whoever captures by it nothing. `inbound`: on a bridge's member, where the answers of a
 * softswitch come in as well.
 */
export function answersFilter(
  { udpPorts, tcpPorts }: CapturePorts,
  tags: TagHandling = 'tagged',
  frames: Exclude<FrameDirection, 'all'> = 'outside-in',
): string {
  const udp = (end: string) => udpPorts.map((port) => `udp ${end} ${checked(port)}`)
  const tcp = (end: string) => tcpPorts.map((port) => `(tcp ${end} ${checked(port)} and ${WITH_PAYLOAD})`)
  const later = [
    ...(udpPorts.length > 0 ? LATER_FRAGMENTS : []),
    ...(tcpPorts.length > 0 ? [LATER_TCP_FRAGMENTS] : []),
  ]
  const leaving = (end: string) => [...udp('src port'), ...tcp(end), ...later]
  // In fragments it is captured apart: see `outgoingPartsFilter`.
  const leavingWhole = [...udp('src port').map((one) => `(${one} and not ${FRAGMENT})`), ...tcp('src port')]
  const entering = (end: string, answers: readonly string[]) => [...answers, ...tcp(end), ...later]
  const answers = udpPorts.length === 0 ? [] : [`((${udp('src port').join(' or ')}) and ${BEGINS_AS_ANSWER})`]
  const parts = {
    'outside-in': [
      `(inbound and (${orNothing(entering('dst port', []))}))`,
      `(outbound and (${orNothing(leavingWhole)}))`,
    ],
    inbound: [`(inbound and (${orNothing(entering('port', answers))}))`],
    outbound: [`(outbound and (${orNothing(leaving('port'))}))`],
  }[frames]
  if (udpPorts.length + tcpPorts.length === 0) throw new RangeError('a capture needs at least one port')
  const packet = parts.join(' or ')
  return underTags(packet, tags)
}

/**
 * Answers over UDP that come in, to the softswitch's own requests; null where there is no such port. They are captured
 * apart, so that one under the softswitch's own address is known for a forgery.
 */
export function incomingAnswersFilter(
  { udpPorts }: CapturePorts,
  tags: TagHandling = 'tagged',
): string | null {
  if (udpPorts.length === 0) return null
  const ports = udpPorts.map((port) => `udp dst port ${checked(port)}`).join(' or ')
  const packet = `inbound and (${ports}) and ${BEGINS_AS_ANSWER}`
  return underTags(packet, tags)
}

/** The same below none, one or two tags: `vlan` moves the offsets of all that is written after it. */
function underTags(packet: string, tags: TagHandling): string {
  return tags === 'plain' ? packet : `(${packet}) or (vlan and ((${packet}) or (vlan and (${packet}))))`
}

/** An expression that nothing meets, where there is none: libpcap takes an empty one for everything. */
function orNothing(parts: readonly string[]): string {
  return parts.length === 0 ? 'ip6[6] = 255' : parts.join(' or ')
}

/** The IP packet is longer than its headers; IPv6 with extension headers is not looked into. */
const WITH_PAYLOAD =
  '((ip and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0) or ' +
  '(ip6 and ip6[4:2] != ((ip6[52] & 0xf0) >> 2)))'

/** A fragment of IPv4, the first among them. */
const FRAGMENT = '(ip[6:2] & 0x3fff != 0)'

/** TCP segments itself, but who cuts his segments once more must not be invisible. */
const LATER_TCP_FRAGMENTS = '(ip proto 6 and ip[6:2] & 0x1fff != 0)'

const LATER_FRAGMENTS = [
  '(ip proto 17 and ip[6:2] & 0x1fff != 0)',
  '(ip6 and ip6[6] = 44 and ip6[42:2] & 0xfff8 != 0)',
]

/** "SIP/", which every answer over UDP begins with; the reader of a live capture believes no others. */
const SIP_SLASH = '0x5349502f'
const BEGINS_AS_ANSWER = `((udp[8:4] = ${SIP_SLASH}) or (ip6 and ip6[6] = 17 and ip6[48:4] = ${SIP_SLASH}))`

function packetFilter(
  { udpPorts, tcpPorts }: CapturePorts,
  end: 'port' | 'src port' | 'dst port' = 'port',
): string {
  const parts = portFilters({ udpPorts, tcpPorts }, end)
  // `port` never matches the later fragments, which carry none.
  if (udpPorts.length > 0) parts.push('(ip proto 17 and ip[6:2] & 0x1fff != 0)')
  if (tcpPorts.length > 0) parts.push(LATER_TCP_FRAGMENTS)
  parts.push(BEHIND_EXTENSIONS)
  return parts.join(' or ')
}

function portFilters({ udpPorts, tcpPorts }: CapturePorts, end: string): string[] {
  const parts = [
    ...udpPorts.map((port) => `udp ${end} ${checked(port)}`),
    ...tcpPorts.map((port) => `tcp ${end} ${checked(port)}`),
  ]
  if (parts.length === 0) throw new RangeError('a capture needs at least one port')
  return parts
}

function checked(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`${port} is no port`)
  return port
}
