import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Limits, Member } from '../../rules/desired-state.ts'
import type { Config, RateLimit } from '../config/config.ts'
import { type HostFacts, mostConnections, tableSizes } from '../config/kernel-sizes.ts'
import { logGroupOf } from '../config/log-group.ts'
import type { Decisions } from './decisions.ts'

/** What of the desired state changes with the configuration alone. */
export type ConfiguredState = Pick<DesiredState, 'traffic' | 'limits' | 'sizes' | 'gateways'>

export interface ConfiguredBy {
  readonly config: Config
  readonly host: HostFacts
  readonly sipEnforced: boolean
  /** REGISTERs a second that the known phones leave of the softswitch's capacity, for limits that follow it. */
  readonly leftForUnknown?: number
}

export function buildConfiguredState({
  config,
  host,
  sipEnforced,
  leftForUnknown,
}: ConfiguredBy): ConfiguredState {
  const { interfaces, addresses, ports, responses } = config.protect
  const { group } = logGroupOf(config, host)
  return {
    traffic: {
      interfaces,
      destinations: addresses,
      udpPorts: ports.udp,
      tcpPorts: ports.tcp,
      responses,
      ...(group === null ? {} : { logGroup: group }),
    },
    limits: limitsOf(config, { host, sipEnforced, totals: unknownTotals(config, leftForUnknown) }),
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

/** Under attack strangers have a little less, as the defaults do: what is forged comes in bursts. */
const STRICT_PART = 0.75

/** What all unknown sources may send together, in peace and under attack. */
export function unknownTotals(
  { limits: { total, strict, follow } }: Pick<Config, 'limits'>,
  leftForUnknown: number | undefined,
): { readonly total: RateLimit; readonly strict: RateLimit } {
  if (leftForUnknown === undefined) return { total, strict: strict.total }
  const following = (limit: RateLimit, rate: number): RateLimit => {
    const perSecond = Math.max(1, Math.round(rate))
    return { perSecond, burst: Math.max(1, Math.round((perSecond * limit.burst) / limit.perSecond)) }
  }
  return {
    total: follow.total ? following(total, leftForUnknown) : total,
    strict: follow.strict ? following(strict.total, leftForUnknown * STRICT_PART) : strict.total,
  }
}

function limitsOf(
  { limits }: Config,
  {
    host,
    sipEnforced,
    totals,
  }: {
    readonly host: HostFacts
    readonly sipEnforced: boolean
    readonly totals: { readonly total: RateLimit; readonly strict: RateLimit }
  },
): Limits {
  const { register, prefix, strict, connections } = limits
  return {
    unknown: { source: register, prefix, total: totals.total },
    strict: { port: strict.port, source: strict.source, prefix: strict.prefix, total: totals.strict },
    proven: limits.proven,
    answered: limits.answered,
    returning: limits.returning,
    ignoring: limits.ignoring,
    sip: {
      ...bucket(limits.sip),
      prefix: limits.sip.prefix,
      total: limits.sip.total,
      enforced: sipEnforced,
    },
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
