import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Limits, Member } from '../../rules/desired-state.ts'
import type { Config, RateLimit } from '../config/config.ts'
import { type HostFacts, mostConnections, tableSizes } from '../config/kernel-sizes.ts'
import type { Decisions } from './decisions.ts'

/** What of the desired state changes with the configuration alone. */
export type ConfiguredState = Pick<DesiredState, 'traffic' | 'limits' | 'sizes' | 'gateways'>

export interface ConfiguredBy {
  readonly config: Config
  readonly host: HostFacts
  readonly sipEnforced: boolean
}

export function buildConfiguredState({ config, host, sipEnforced }: ConfiguredBy): ConfiguredState {
  const { interfaces, addresses, ports, responses } = config.protect
  return {
    traffic: { interfaces, destinations: addresses, udpPorts: ports.udp, tcpPorts: ports.tcp, responses },
    limits: limitsOf(config, { host, sipEnforced }),
    sizes: tableSizes(config.kernel, host.memoryBytes),
    gateways: config.gateways,
  }
}

/**
 * What the kernel should hold: the configuration, the decisions that stand, the lanes, and whether there is an attack.
 * `configured`: what was built of this configuration before; the engine finds what changed by which objects are others.
 */
export function buildDesiredState(
  options: ConfiguredBy & {
    readonly decisions: Pick<Decisions, 'allowedPrefixes' | 'blocks' | 'suspensions'>
    readonly strictUntil: EpochMilliseconds | null
    readonly members: readonly (readonly Member[])[]
    readonly configured?: ConfiguredState
  },
): DesiredState {
  const { config, decisions, strictUntil, members, configured = buildConfiguredState(options) } = options
  return {
    ...configured,
    strictUntil,
    allow: decisions.allowedPrefixes(config.allow),
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
