import { familyOf, type Prefix } from '../registrar/net/address.ts'
import type { DesiredState, Gateway, InParts, Limit, Limits, Member, TableSizes } from './desired-state.ts'
import { findDifferenceInParts } from './find-difference.ts'
import { MOST_BUCKETS } from './limit-tables.ts'

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
 * The lists of a state that was found right before are not looked at again.
 */
export function checkDesiredState(state: DesiredState, checked?: DesiredState): readonly string[] {
  const refusals: string[] = []
  const isOld = (key: 'traffic' | 'limits' | 'sizes' | 'gateways') => state[key] === checked?.[key]
  if (!isOld('traffic')) checkTraffic(state.traffic, refusals)
  if (!isOld('limits')) checkLimits(state.limits, refusals)
  if (!isOld('sizes')) checkSizes(state.sizes, refusals)
  if (!isOld('gateways')) checkGateways(state.gateways, refusals)
  if (state.strictUntil !== null && !Number.isFinite(state.strictUntil)) {
    refusals.push(`strictUntil is ${state.strictUntil}: use a time, or null for peace.`)
  }
  for (const { target } of added(checked?.blocks, state.blocks)) {
    const refusal = refusalOfBlock(target)
    if (refusal !== undefined) refusals.push(refusal)
  }
  for (const { address, port } of added(checked?.suspensions, state.suspensions)) {
    if (!isPort(port) && port !== 0)
      refusals.push(`${address} cannot be suspended at port ${port}: use 0 to 65535.`)
  }
  state.members.forEach((part, i) => {
    for (const member of added(checked?.members[i], part)) checkMember(member, refusals)
  })
  return refusals
}

/** Why a prefix cannot be blocked, as a sentence; undefined where it can. */
export function refusalOfBlock(target: Prefix): string | undefined {
  if (!isEverybody(target)) return undefined
  const example = familyOf(target) === 4 ? '198.51.100.0/24' : '2001:db8:1::/48'
  return `${target} cannot be blocked: it is ${everybodyOf(target)}. Block a longer prefix, for example ${example}.`
}

function added<T extends object>(checked: InParts<T> | undefined, list: InParts<T>): readonly T[] {
  return findDifferenceInParts(checked ?? [], list, (a, b) => a === b).added
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

/** Under the names that they have in the configuration. */
function checkLimits(limits: Limits, refusals: string[]): void {
  const { unknown, strict, connections } = limits
  const { most } = connections
  checkLimit('limits.register', unknown.source, refusals)
  checkLimit('limits.prefix', unknown.prefix, refusals)
  checkLimit('limits.total', unknown.total, refusals)
  for (const key of ['port', 'source', 'prefix', 'total'] as const) {
    checkLimit(`limits.strict.${key}`, strict[key], refusals)
  }
  for (const key of ['proven', 'answered', 'returning', 'ignoring', 'sip', 'ceiling', 'rest'] as const) {
    checkLimit(`limits.${key}`, limits[key], refusals)
  }
  checkLimit('limits.sip.prefix', limits.sip.prefix, refusals)
  checkLimit('limits.sip.total', limits.sip.total, refusals)
  checkLimit('limits.connections', connections.source, refusals)
  checkLimit('limits.connections.prefix', connections.prefix, refusals)
  if (most !== null) checkWhole('limits.connections.most', most, [1, 1_000_000], refusals)
}

function checkSizes({ elements, buckets, seen }: TableSizes, refusals: string[]): void {
  checkWhole('kernel.elements', elements, [1, MOST_ELEMENTS], refusals)
  checkWhole('kernel.buckets', buckets, [FEWEST_BUCKETS, MOST_BUCKETS], refusals)
  checkWhole('kernel.seen', seen, [1, MOST_ELEMENTS], refusals)
}

/** More than a host has memory for would be taken by the kernel, and be missed when it fills. */
const MOST_ELEMENTS = 16_777_216
const FEWEST_BUCKETS = 16

function checkGateways(gateways: readonly Gateway[], refusals: string[]): void {
  const names = new Set<string>()
  for (const { name, prefixes, cps } of gateways) {
    const shown = JSON.stringify(name.slice(0, 40))
    // The name is part of the name of its table, and of a rule.
    if (!/^[a-z0-9-]{1,20}$/.test(name)) {
      refusals.push(
        `${shown} is no name for a gateway: use lower case letters, digits and dashes, at most 20.`,
      )
      continue
    }
    if (names.has(name)) refusals.push(`Two gateways are named ${shown}: they would share one limit.`)
    names.add(name)
    checkLimit(`The CPS limit of the gateway ${shown}`, cps, refusals)
    for (const prefix of prefixes.filter(isEverybody)) {
      refusals.push(`${prefix} cannot be the gateway ${shown}: it is ${everybodyOf(prefix)}.`)
    }
  }
}

function checkMember(member: Member, refusals: string[]): void {
  switch (member.lane) {
    case 'proven':
    case 'answered':
      if (!isPort(member.port)) refusals.push(`${member.address} has no port ${member.port}: use 1 to 65535.`)
      return
    case 'returning':
    case 'ignoring':
      if (isEverybody(member.source))
        refusals.push(`${member.source} cannot be a source: it is ${everybodyOf(member.source)}.`)
  }
}

/** The kernel's hashlimit counts up to a million a second and as many in a burst. */
function checkLimit(key: string, limit: Limit, refusals: string[]): void {
  if (!(limit.perSecond >= 1 / 60 && limit.perSecond <= 1_000_000)) {
    refusals.push(`${key}.perSecond is ${limit.perSecond}: use 1/60 to 1000000.`)
  }
  checkWhole(`${key}.burst`, limit.burst, [1, 1_000_000], refusals)
  if (limit.perSecond > 0 && limit.burst / limit.perSecond > LONGEST_FILLING) {
    refusals.push(
      `${key}.burst is ${limit.burst} at ${limit.perSecond} a second: use one that is there again within a day.`,
    )
  }
}

/** In seconds. The kernel keeps a bucket until it is full again, and counts that in milliseconds of 32 bits. */
const LONGEST_FILLING = 86_400

function checkWhole(
  key: string,
  value: number,
  [least, most]: readonly [number, number],
  refusals: string[],
): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    refusals.push(`${key} is ${value}: use ${least} to ${most}.`)
  }
}

function isEverybody(prefix: Prefix): boolean {
  return prefix.endsWith('/0')
}

function everybodyOf(prefix: Prefix): string {
  return `every ${familyOf(prefix) === 4 ? 'IPv4' : 'IPv6'} address there is`
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}
