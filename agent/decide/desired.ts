import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Limits, Member } from '../../rules/desired-state.ts'
import type { Config, RateLimit } from '../config/config.ts'
import { type HostFacts, mostConnections, tableSizes } from '../config/kernel-sizes.ts'
import type { Decisions } from './decisions.ts'

/** What the kernel should hold: the configuration, the decisions that stand, the lanes, and whether there is an attack. */
export function buildDesiredState(options: {
  readonly config: Config
  readonly host: HostFacts
  readonly decisions: Pick<Decisions, 'allowedPrefixes' | 'blocks' | 'suspensions'>
  readonly sipEnforced: boolean
  readonly strictUntil: EpochMilliseconds | null
  readonly members: readonly (readonly Member[])[]
}): DesiredState {
  const { config, host, decisions, sipEnforced, strictUntil, members } = options
  const { interfaces, addresses, ports, responses } = config.protect
  return {
    traffic: { interfaces, destinations: addresses, udpPorts: ports.udp, tcpPorts: ports.tcp, responses },
    limits: limitsOf(config, { host, sipEnforced }),
    sizes: tableSizes(config.kernel, host.memoryBytes),
    strictUntil,
    allow: decisions.allowedPrefixes(config.allow),
    gateways: config.gateways,
    blocks: decisions.blocks(),
    suspensions: decisions.suspensions(),
    members,
  }
}

function limitsOf(
  { limits }: Config,
  { host, sipEnforced }: { readonly host: HostFacts; readonly sipEnforced: boolean },
): Limits {
  const { register, prefix, total, strict, connections } = limits
  return {
    unknown: { source: register, prefix, total },
    strict: { port: strict.port, source: strict.source, prefix: strict.prefix, total: strict.total },
    proven: limits.proven,
    answered: limits.answered,
    returning: limits.returning,
    ignoring: limits.ignoring,
    sip: { ...bucket(limits.sip), enforced: sipEnforced },
    ceiling: limits.ceiling,
    rest: limits.rest,
    connections: {
      source: bucket(connections),
      prefix: connections.prefix,
      most: mostConnections(connections, host),
    },
  }
}

function bucket({ perSecond, burst }: RateLimit): RateLimit {
  return { perSecond, burst }
}
