import { execa } from 'execa'
import type { ForwardedPort, Listener } from './sip-ports.ts'

/** All listening UDP and TCP sockets of this network namespace. Programs are named only to root. */
export async function readListeners(): Promise<readonly Listener[]> {
  const { stdout } = await execa('ss', ['-H', '-l', '-n', '-t', '-u', '-p'], {
    timeout: 10_000,
    env: { LC_ALL: 'C' },
  })
  return parseListeners(stdout)
}

/** Ports that the firewall forwards (DNAT). Empty where iptables is missing or may not be asked. */
export async function readForwardedPorts(): Promise<readonly ForwardedPort[]> {
  const texts = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map(async (program) => {
      const options = { timeout: 10_000, env: { LC_ALL: 'C' }, reject: false }
      const { stdout } = await execa(program, ['-t', 'nat'], options)
      return stdout ?? ''
    }),
  )
  return texts.flatMap(parseForwardedPorts)
}

/**
 * Reads `ss -H -lntup`: protocol, state, queues, local, peer, `users:(("name",pid=1,fd=2),…)`. One entry for each
 * process that has the socket; workers of one name count once.
 */
export function parseListeners(text: string): readonly Listener[] {
  const found = new Map<string, Listener>()
  for (const line of text.split('\n')) {
    const fields = line.trim().split(/\s+/)
    const transport = fields[0]
    const local = fields[4]
    if ((transport !== 'udp' && transport !== 'tcp') || local === undefined) continue
    const colon = local.lastIndexOf(':')
    const port = Number(local.slice(colon + 1))
    if (!Number.isInteger(port) || port < 1 || port > 65_535) continue
    const address = readLocalAddress(local.slice(0, colon))
    for (const program of programsOf(fields.slice(6).join(' '))) {
      found.set(`${transport} ${address} ${port} ${program}`, { transport, address, port, program })
    }
  }
  return [...found.values()]
}

/** Reads the DNAT rules with a single port of `iptables-save -t nat`; ranges are RTP and of no interest. */
export function parseForwardedPorts(text: string): readonly ForwardedPort[] {
  const found: ForwardedPort[] = []
  for (const line of text.split('\n')) {
    const words = line.split(' ')
    if (words[0] !== '-A' || !words.includes('DNAT')) continue
    const transport = words[words.indexOf('-p') + 1]
    const port = Number(words[words.indexOf('--dport') + 1])
    if ((transport === 'udp' || transport === 'tcp') && Number.isInteger(port)) {
      found.push({ transport, port })
    }
  }
  return found
}

/** Brackets and the interface of `[fe80::1]%eth0` or `10.0.0.1%eth0` taken away. */
function readLocalAddress(text: string): string {
  const address = text.replace('[', '').replace(']', '')
  const percent = address.indexOf('%')
  return percent < 0 ? address : address.slice(0, percent)
}

function programsOf(users: string): readonly (string | null)[] {
  const names = [...users.matchAll(/\("([^"]*)",pid=/g)].map((match) => match[1] ?? '')
  return names.length > 0 ? names : [null]
}
