/** The ports of which everything, in both directions, is to be captured. */
export interface CapturePorts {
  readonly udpPorts: readonly number[]
  readonly tcpPorts: readonly number[]
}

/** `plain` for links that know no VLAN tags (tun, PPP, WireGuard): libpcap refuses `vlan` there. */
export type TagHandling = 'tagged' | 'plain'

/**
 * Which way frames go; libpcap knows it of a live capture only. `outside-in`: requests that come in and answers that go
 * out, as on a host or a gateway; what comes in and begins as an answer does is a forgery, or nobody's business.
 */
export type FrameDirection = 'all' | 'inbound' | 'outbound' | 'outside-in'

/**
 * What may stand between an IPv6 header and the ports: hop-by-hop, routing, fragment, authentication, destination
 * options, mobility, HIP, shim6. BPF cannot follow the chain, and whoever puts one in front of his REGISTER must
 * not be invisible: all of them are let through, and decoding sorts them out.
 */
const V6_EXTENSIONS = [0, 43, 44, 51, 60, 135, 139, 140]

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
  const either =
    tags === 'plain' ? packet : `(${packet}) or (vlan and ((${packet}) or (vlan and (${packet}))))`
  return frames === 'inbound' || frames === 'outbound' ? `${frames} and (${either})` : either
}

/**
 * The direction is asked for within each form of tag, since `vlan` moves the offsets of what is written after it.
 * A phone may send from a port that SIP is read on, so ports alone do not tell a forged answer from a request.
 * A datagram of less than four bytes is let go too: BPF rejects what it cannot look into.
 */
function outsideIn(ports: CapturePorts): string {
  const answer = `(udp[8:4] = ${SIP_SLASH}) or (ip6 and ip6[6] = 17 and ip6[48:4] = ${SIP_SLASH})`
  return `(inbound and (${packetFilter(ports, 'dst port')}) and not (${answer})) or (outbound and (${packetFilter(ports, 'src port')}))`
}

/** "SIP/", which every answer over UDP begins with; the reader of a live capture believes no others. */
const SIP_SLASH = '0x5349502f'

function packetFilter(
  { udpPorts, tcpPorts }: CapturePorts,
  end: 'port' | 'src port' | 'dst port' = 'port',
): string {
  const parts = [
    ...udpPorts.map((port) => `udp ${end} ${checked(port)}`),
    ...tcpPorts.map((port) => `tcp ${end} ${checked(port)}`),
  ]
  if (parts.length === 0) throw new RangeError('a capture needs at least one port')
  // `port` never matches the later fragments, which carry none. Fragmented TCP does not occur: it segments itself.
  if (udpPorts.length > 0) parts.push('(ip proto 17 and ip[6:2] & 0x1fff != 0)')
  // Every network has ICMPv6 behind a hop-by-hop header (RFC 3810); that is nobody's REGISTER.
  const extensions = V6_EXTENSIONS.map((header) => `ip6[6] = ${header}`).join(' or ')
  parts.push(`(ip6 and ip6[40] != 58 and (${extensions}))`)
  return parts.join(' or ')
}

function checked(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`${port} is no port`)
  return port
}
