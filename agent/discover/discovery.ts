import type { ChosenInterface, InterfaceChoice } from './interfaces.ts'
import type { ChosenPort, SipPortChoice } from './sip-ports.ts'

/** What the installer asks for: where SIP comes in, on which ports, and why. */
export interface Discovery {
  readonly interfaces: readonly ChosenInterface[]
  readonly skipped: readonly ChosenInterface[]
  readonly udpPorts: readonly ChosenPort[]
  readonly tcpPorts: readonly ChosenPort[]
  readonly notes: readonly string[]
}

export function buildDiscovery(interfaces: InterfaceChoice, ports: SipPortChoice): Discovery {
  return {
    interfaces: interfaces.interfaces,
    skipped: interfaces.skipped,
    udpPorts: ports.udpPorts,
    tcpPorts: ports.tcpPorts,
    notes: [...interfaces.notes, ...ports.notes],
  }
}

/** The discovery for people, one finding a line. */
export function describeDiscovery(discovery: Discovery): string {
  const lines = [
    'Interfaces:',
    ...discovery.interfaces.map(({ name, why }) => `  + ${printable(name)}: ${printable(why)}`),
    ...discovery.skipped.map(({ name, why }) => `  - ${printable(name)}: ${printable(why)}`),
    'SIP ports:',
    ...discovery.udpPorts.map(({ port, program }) => `  + udp ${port} (${printable(program)})`),
    ...discovery.tcpPorts.map(({ port, program }) => `  + tcp ${port} (${printable(program)})`),
    ...discovery.notes.map((note) => `Note: ${printable(note)}`),
  ]
  return `${lines.join('\n')}\n`
}

/** A process may name itself with control characters; a terminal must not obey them. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
