import type { DesiredState } from '../../rules/desired-state.ts'
import type { Config } from '../config/config.ts'
import type { Decisions } from './decisions.ts'

/** What the kernel should hold: the configuration and the decisions that stand. */
export function buildDesiredState(options: {
  readonly config: Config
  readonly decisions: Decisions
  readonly sipEnforced: boolean
}): DesiredState {
  const { config, decisions, sipEnforced } = options
  const { perSecond, burst } = config.limits.sip
  return {
    traffic: {
      interfaces: config.protect.interfaces,
      destinations: config.protect.addresses,
      udpPorts: config.protect.ports.udp,
      tcpPorts: config.protect.ports.tcp,
    },
    limits: { register: config.limits.register, sip: { perSecond, burst, enforced: sipEnforced } },
    allow: decisions.allowedPrefixes(),
    blocks: decisions.blocks(),
    suspensions: decisions.suspensions(),
  }
}
