/** A port on which something takes packets or connections from outside. */
export interface Listener {
  readonly transport: 'udp' | 'tcp'
  /** The local address as the kernel shows it: `0.0.0.0`, `*`, `::`, `192.0.2.1`. */
  readonly address: string
  readonly port: number
  /** The process's name; null where the kernel does not tell (no root, or a forwarding rule). */
  readonly program: string | null
}

/** A port that the firewall forwards to somewhere else (a container, a softswitch behind this gateway). */
export interface ForwardedPort {
  readonly transport: 'udp' | 'tcp'
  readonly port: number
}

export interface ChosenPort {
  readonly port: number
  readonly program: string
}

export interface SipPortChoice {
  readonly udpPorts: readonly ChosenPort[]
  readonly tcpPorts: readonly ChosenPort[]
  readonly notes: readonly string[]
}

/**
 * Which ports carry SIP, judged by what listens:
 *
 * - a softswitch: its ports in the ranges where SIP lives (5060–5099, 5160–5199), and any other port that it has open
 *   for UDP *and* TCP alike, which management (TCP only) and RTP (UDP only) never have;
 * - docker-proxy and forwarding rules: the ranges only, since nothing tells what is behind;
 * - any other program: 5060, 5061, 5080 and 5160 only.
 *
 * TLS ports count as TCP ports. WebSocket (5066 by custom) and whatever listens on loopback alone are left out.
 */
export function chooseSipPorts(
  listeners: readonly Listener[],
  forwarded: readonly ForwardedPort[] = [],
): SipPortChoice {
  const outside = listeners.filter((listener) => !isLoopback(listener.address))
  const found = { udp: new Map<number, string>(), tcp: new Map<number, string>() }
  for (const listener of outside) {
    const { transport, port, program } = listener
    if (isSipPort(listener, outside)) found[transport].set(port, nameOf(program, found[transport].get(port)))
  }
  for (const { transport, port } of forwarded) {
    if (isInSipRange(transport, port) && !found[transport].has(port)) {
      found[transport].set(port, 'forwarding rule')
    }
  }
  const notes = doubtfulPorts(outside, found)
  if (found.udp.size + found.tcp.size === 0) {
    notes.push(
      'Nothing listens on a SIP port yet, so 5060 (UDP and TCP) is assumed. ' +
        'If the softswitch uses others, set protect.ports.',
    )
    found.udp.set(5060, 'assumed')
    found.tcp.set(5060, 'assumed')
  }
  return { udpPorts: sorted(found.udp), tcpPorts: sorted(found.tcp), notes }
}

/** Beginnings of process names (the kernel keeps 15 characters) that are softswitches, proxies or SBCs. */
const softswitches: readonly string[] = [
  '3cx',
  'asterisk',
  'drachtio',
  'emp3000',
  'flexisip',
  'freeswitch',
  'kamailio',
  'mbx3000',
  'mgc3000',
  'minisip',
  'opensips',
  'openser',
  'oversip',
  'repro',
  'sems',
  'sippy',
  'b2bua',
  'sipxproxy',
  'vos3000',
  'yate',
]

/** Programs near a softswitch that speak no SIP themselves. */
const neverSip: readonly string[] = ['rtpengine', 'rtpproxy', 'mediaproxy', 'fs_cli', 'rasterisk', 'heplify']

/** Where programs that are not known to be softswitches are taken at their port's word. */
const customarySipPorts: ReadonlySet<number> = new Set([5060, 5061, 5080, 5160])

/** FreeSWITCH's and others' customary port for SIP over WebSocket, which looks like HTTP from outside. */
const webSocketPort = 5066

function isSipPort({ transport, port, program }: Listener, all: readonly Listener[]): boolean {
  if (startsWithAny(program, neverSip)) return false
  if (isSoftswitch(program)) {
    return isInSipRange(transport, port) || isOpenForBoth(port, program, all)
  }
  if (program === 'docker-proxy') return isInSipRange(transport, port)
  return customarySipPorts.has(port)
}

function isInSipRange(transport: 'udp' | 'tcp', port: number): boolean {
  if (transport === 'tcp' && port === webSocketPort) return false
  return (port >= 5060 && port <= 5099) || (port >= 5160 && port <= 5199)
}

function isOpenForBoth(port: number, program: string | null, all: readonly Listener[]): boolean {
  const has = (transport: string) =>
    all.some((other) => other.transport === transport && other.port === port && other.program === program)
  return has('udp') && has('tcp')
}

function isSoftswitch(program: string | null): boolean {
  return startsWithAny(program, softswitches)
}

function startsWithAny(program: string | null, beginnings: readonly string[]): boolean {
  const name = program?.toLowerCase()
  return name !== undefined && beginnings.some((beginning) => name.startsWith(beginning))
}

/** Where several programs share a port, the softswitch is the one worth naming. */
function nameOf(program: string | null, known: string | undefined): string {
  if (known !== undefined && (program === null || !isSoftswitch(program))) return known
  return program ?? 'unknown program'
}

/**
 * Signalling proxies carry no RTP, so a UDP port of theirs outside the ranges may well be SIP: worth a sentence, too
 * doubtful to guard unasked. Bounded, since a sentence with a hundred ports helps nobody.
 */
function doubtfulPorts(
  all: readonly Listener[],
  found: { readonly udp: ReadonlyMap<number, string> },
): string[] {
  const proxies = ['kamailio', 'opensips', 'drachtio', 'oversip', 'repro']
  const ports = new Map<number, string>()
  for (const { transport, port, program } of all) {
    if (transport === 'udp' && !found.udp.has(port) && startsWithAny(program, proxies)) {
      ports.set(port, program ?? '')
    }
  }
  return [...ports]
    .sort(([a], [b]) => a - b)
    .slice(0, 8)
    .map(
      ([port, program]) =>
        `${program} also listens on UDP ${port}; if that is SIP, add it to protect.ports.udp.`,
    )
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address.startsWith('::ffff:127.')
}

function sorted(ports: ReadonlyMap<number, string>): readonly ChosenPort[] {
  return [...ports].sort(([a], [b]) => a - b).map(([port, program]) => ({ port, program }))
}
