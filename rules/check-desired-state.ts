import { familyOf } from '../registrar/net/address.ts'
import type { DesiredState, Limit } from './desired-state.ts'
import { findDifference } from './find-difference.ts'

/** A desired state that must not reach the kernel. `refusals` are sentences for a person. */
export class DesiredStateError extends Error {
  readonly refusals: readonly string[]

  constructor(refusals: readonly string[]) {
    super(refusals.join(' '))
    this.name = 'DesiredStateError'
    this.refusals = refusals
  }
}

/**
 * What is wrong with a desired state, as sentences; none where it can be applied. Everything here is either
 * refused by the kernel with a riddle for a message, or would be taken by it and cut off the world.
 * The blocks of a state that was found right before are not looked at again.
 */
export function checkDesiredState(state: DesiredState, checked?: DesiredState): readonly string[] {
  const refusals: string[] = []
  checkTraffic(state.traffic, refusals)
  checkLimit('limits.register', state.limits.register, refusals)
  checkLimit('limits.sip', state.limits.sip, refusals)
  const { start, afterEnd } = findDifference(checked?.blocks ?? [], state.blocks, (a, b) => a === b)
  for (const { target } of state.blocks.slice(start, afterEnd)) {
    const refusal = refusalOfBlock(target)
    if (refusal !== undefined) refusals.push(refusal)
  }
  for (const { address, port } of state.suspensions) {
    if (!isPort(port) && port !== 0)
      refusals.push(`${address} cannot be suspended at port ${port}: use 0 to 65535.`)
  }
  return refusals
}

/** Why a prefix cannot be blocked, as a sentence; undefined where it can. */
export function refusalOfBlock(target: DesiredState['blocks'][number]['target']): string | undefined {
  if (!target.endsWith('/0')) return undefined
  const all = familyOf(target) === 4 ? 'IPv4' : 'IPv6'
  return `${target} cannot be blocked: it is every ${all} address there is. Block a longer prefix, for example ${familyOf(target) === 4 ? '198.51.100.0/24' : '2001:db8:1::/48'}.`
}

function checkTraffic(traffic: DesiredState['traffic'], refusals: string[]): void {
  for (const name of traffic.interfaces) {
    // A name with a space or a dash in front would become another option of the rule.
    if (!/^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,14}\+?$/.test(name) || name.length > 15) {
      refusals.push(`${JSON.stringify(name.slice(0, 40))} is no interface name.`)
    }
    if (name === 'lo')
      refusals.push('The interface lo cannot be protected: only packets from outside are judged.')
  }
  for (const port of [...traffic.udpPorts, ...traffic.tcpPorts]) {
    if (!isPort(port)) refusals.push(`${port} is no port: use 1 to 65535.`)
  }
}

/** The kernel's hashlimit counts up to a million a second and as many in a burst. */
function checkLimit(key: string, limit: Limit, refusals: string[]): void {
  if (!(limit.perSecond >= 1 / 60 && limit.perSecond <= 1_000_000)) {
    refusals.push(`${key}.perSecond is ${limit.perSecond}: use 1/60 to 1000000.`)
  }
  if (!Number.isInteger(limit.burst) || limit.burst < 1 || limit.burst > 1_000_000) {
    refusals.push(`${key}.burst is ${limit.burst}: use 1 to 1000000.`)
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}
