import { familyOf, type Prefix, prefixContains, splitPrefix } from '../../registrar/net/address.ts'
import type { Config, Endpoint } from './config.ts'

/** A complaint about values that are each fine but do not go together. */
interface Finding {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** What can be seen only when the whole configuration is read. */
export function checkTogether(config: Config): {
  readonly problems: Finding[]
  readonly warnings: Finding[]
} {
  const problems: Finding[] = []
  const warnings: Finding[] = []
  const { protect, registrar, dashboard, policy, allow } = config

  if (protect.ports.udp.length + protect.ports.tcp.length === 0) {
    const message = 'no port is protected; expected at least one, for example udp: [5060]'
    problems.push({ path: ['protect', 'ports'], message })
  }
  for (const name of repeated(protect.interfaces)) {
    problems.push({
      path: ['protect', 'interfaces', name.index],
      message: 'this interface is already on the list',
    })
  }
  for (const transport of ['udp', 'tcp'] as const) {
    const ports = protect.ports[transport]
    // The multiport match of iptables takes fifteen ports in one rule; more than that is a mistake anyway.
    if (ports.length > 64) {
      problems.push({
        path: ['protect', 'ports', transport],
        message: 'more than 64 ports; expected the SIP ports only',
      })
    }
    for (const again of repeated(ports)) {
      problems.push({
        path: ['protect', 'ports', transport, again.index],
        message: 'this port is already on the list',
      })
    }
  }

  if (registrar.minExpires > registrar.maxExpires) {
    const message = `is longer than registrar.maxExpires (${registrar.maxExpires}s); expected it to be shorter or equal`
    problems.push({ path: ['registrar', 'minExpires'], message })
  }
  for (const again of repeated(registrar.accounts.map(({ user }) => user))) {
    const path = ['registrar', 'accounts', again.index, 'user']
    problems.push({ path, message: `the account ${JSON.stringify(again.value)} is already on the list` })
  }
  for (const again of repeated(registrar.listen.map(showEndpoint))) {
    problems.push({
      path: ['registrar', 'listen', again.index],
      message: 'this address and port is already on the list',
    })
  }
  if (registrar.enabled && dashboard.enabled) {
    const clash = registrar.listen.findIndex((endpoint) => overlap(endpoint, dashboard.listen))
    if (clash >= 0) {
      const message = `the dashboard listens on ${showEndpoint(dashboard.listen)} too; expected another port`
      problems.push({ path: ['registrar', 'listen', clash], message })
    }
  }
  if (registrar.enabled && registrar.accounts.length === 0) {
    const message =
      'the registrar has no account in this file; unless some were added with `ringfence account add`, it refuses everybody'
    warnings.push({ path: ['registrar', 'enabled'], message })
  }
  if (protect.addresses !== 'local' && protect.interfaces.length > 1) {
    const message =
      'a gateway sees a packet on the way in and on the way out; name only interfaces that face the phones, or those that a packet passes twice count it twice'
    warnings.push({ path: ['protect', 'interfaces'], message })
  }
  if (registrar.enabled) {
    registrar.listen.forEach(({ port }, index) => {
      if (protect.ports.udp.includes(port) && protect.ports.tcp.includes(port)) return
      const message = `port ${port} is not in both lists of protect.ports: nothing guards the registrar there`
      warnings.push({ path: ['registrar', 'listen', index], message })
    })
  }

  checkGateways(config, { problems, warnings })
  checkLimits(config, warnings)
  allow.forEach((prefix, index) => {
    const { length } = splitPrefix(prefix)
    if (length >= (familyOf(prefix) === 4 ? 8 : 19)) return
    const message = `${prefix} lets a large part of the internet past every limit`
    warnings.push({ path: ['allow', index], message })
  })
  if (dashboard.enabled && !isLoopback(dashboard.listen)) {
    const message =
      'the dashboard can be reached from other hosts, in clear: use an SSH tunnel or a reverse proxy with TLS instead'
    warnings.push({ path: ['dashboard', 'listen'], message })
  }
  if (policy.flood.registers / policy.flood.within < 1) {
    const message =
      'blocks sources that send less than one REGISTER a second: offices behind one address do that in peace'
    warnings.push({ path: ['policy', 'flood', 'registers'], message })
  }
  if (config.limits.sip.enforce) {
    const message = 'the SIP limit is enforced from the start: trunks that never register can be cut'
    warnings.push({ path: ['limits', 'sip', 'enforce'], message })
  }
  return { problems, warnings }
}

function checkGateways(
  { gateways, allow }: Config,
  { problems, warnings }: { problems: Finding[]; warnings: Finding[] },
): void {
  for (const again of repeated(gateways.map(({ name }) => name))) {
    const path = ['gateways', again.index, 'name']
    problems.push({ path, message: `the gateway ${again.value} is already on the list` })
  }
  const owners = new Map<Prefix, string>()
  gateways.forEach(({ name, prefixes }, index) => {
    prefixes.forEach((prefix, at) => {
      const path = ['gateways', index, 'prefixes', at]
      const owner = owners.get(prefix)
      if (owner !== undefined) {
        const where = owner === name ? 'already on the list' : `also a prefix of the gateway ${owner}`
        problems.push({ path, message: `${prefix} is ${where}; whose calls would it count?` })
      }
      owners.set(prefix, name)
      const allowed = allow.find((wide) => holds(wide, prefix) || holds(prefix, wide))
      if (allowed === undefined) return
      const message = `${allowed} is on the allowlist, which comes first: its calls are not counted for the gateway ${name}`
      warnings.push({ path, message })
    })
  })
}

/** A wider limit that is lower than a narrower one makes the narrower one useless. */
function checkLimits({ limits }: Config, warnings: Finding[]): void {
  const ladders = [
    { at: ['limits'], rungs: ['register', 'prefix', 'total'], of: limits },
    { at: ['limits', 'strict'], rungs: ['source', 'prefix', 'total'], of: limits.strict },
    { at: ['limits', 'sip'], rungs: ['prefix', 'total'], of: limits.sip },
  ]
  for (const { at, rungs, of } of ladders) {
    const rates = of as unknown as Readonly<Record<string, { readonly perSecond: number }>>
    rungs.slice(1).forEach((wide, index) => {
      const narrow = rungs[index]!
      if (rates[wide]!.perSecond >= rates[narrow]!.perSecond) return
      const message = `is lower than ${[...at, narrow].join('.')}: one flooding source takes what many others were to share`
      warnings.push({ path: [...at, wide, 'perSecond'], message })
    })
  }
}

function holds(wide: Prefix, narrow: Prefix): boolean {
  const { address, length } = splitPrefix(narrow)
  return splitPrefix(wide).length <= length && prefixContains(wide, address)
}

function repeated<T>(values: readonly T[]): { readonly value: T; readonly index: number }[] {
  const seen = new Set<T>()
  const again: { value: T; index: number }[] = []
  values.forEach((value, index) => {
    if (seen.has(value)) again.push({ value, index })
    seen.add(value)
  })
  return again
}

function showEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function overlap(a: Endpoint, b: Endpoint): boolean {
  const wild = (host: string) => host === '0.0.0.0' || host === '::'
  return a.port === b.port && (a.host === b.host || wild(a.host) || wild(b.host))
}

function isLoopback({ host }: Endpoint): boolean {
  return host.startsWith('127.') || host === '::1'
}
