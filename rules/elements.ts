import {
  familyOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixOf,
  showPrefix,
  sourcePrefixOf,
  splitPrefix,
} from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import {
  type Block,
  type DesiredState,
  type Gateway,
  type Member,
  returningTier,
  type Suspension,
} from './desired-state.ts'
import { itemsOf } from './find-difference.ts'
import { purposeOf, type SetPurpose, STANDING_SETS, setName } from './names.ts'

/** A set and an element as `ipset` writes them: `rf-sip4 198.51.100.0/24`. What sets are compared by. */
export type ElementKey = string

/** When an element goes by itself. Infinity: it stands until it is taken back. */
export type Until = EpochMilliseconds

/** The kernel refuses longer timeouts; longer ones are renewed. In milliseconds. */
export const LONGEST_TIMEOUT = 2_147_483_000

/** A /0 is refused by hash:net, so it is allowed as its two halves. */
export function keysOfAllowed(prefix: Prefix): readonly ElementKey[] {
  return halves(prefix).map((half) => `${setName('allow', familyOf(half))} ${showPrefix(half)}`)
}

export function keysOfDestination(prefix: Prefix): readonly ElementKey[] {
  return halves(prefix).map((half) => `${setName('dst', familyOf(half))} ${showPrefix(half)}`)
}

export function keysOfGateway({ prefixes }: Gateway): readonly ElementKey[] {
  return prefixes.flatMap(halves).map((half) => `${setName('gw', familyOf(half))} ${showPrefix(half)}`)
}

export function keyOfBlock({ target, scope, sparesProven }: Block): ElementKey {
  const purpose = scope === 'register' ? 'reg' : sparesProven ? 'sip' : 'deny'
  return `${setName(purpose, familyOf(target))} ${textOf(target)}`
}

/** Whom an allowed prefix, a gateway or an operator's block keeps from the short way of the proven. */
export function namedByAllowed(prefix: Prefix): readonly ElementKey[] {
  return halves(prefix).map((half) => keyOfNamed(half))
}

export function namedByGateway({ prefixes }: Gateway): readonly ElementKey[] {
  return prefixes.flatMap(namedByAllowed)
}

/** Verdicts' blocks spare the proven. */
export function namedByBlock({ target, scope, sparesProven }: Block): readonly ElementKey[] {
  return scope === 'register' || sparesProven ? [] : [keyOfNamed(target)]
}

function keyOfNamed(prefix: Prefix): ElementKey {
  return `${setName('named', familyOf(prefix))} ${textOf(prefix)}`
}

export function keysOfSuspension({
  address,
  port,
  transport = 'udp',
  scope = 'register',
}: Suspension): readonly ElementKey[] {
  const family = familyOf(address)
  if (port === 0) return [`${setName('susa', family)} ${showPrefix(sourcePrefixOf(address))}`]
  const source = `${address},${transport}:${port}`
  const registers = `${setName('susp', family)} ${source}`
  return scope === 'sip' ? [registers, `${setName('psip', family)} ${source}`] : [registers]
}

export function keyOfMember(member: Member): ElementKey {
  switch (member.lane) {
    case 'proven':
    case 'answered': {
      const purpose = member.lane === 'proven' ? 'pvn' : 'ans'
      return `${setName(purpose, familyOf(member.address))} ${member.address},udp:${member.port}`
    }
    case 'returning': {
      const tier = returningTier(member.slowedUntil === undefined ? member.accounts : 1)
      return `${setName(`ret${tier}`, familyOf(member.source))} ${textOf(member.source)}`
    }
    case 'ignoring':
      return `${setName('ign', familyOf(member.source))} ${textOf(member.source)}`
  }
}

/** The switch to the strict limits: every address there is, as two halves of both families. */
export const STRICT_KEYS: readonly ElementKey[] = (['0.0.0.0/0', '::/0'] as Prefix[])
  .flatMap(halves)
  .map((half) => `${setName('strict', familyOf(half))} ${showPrefix(half)}`)

/**
 * The switch to the log while it is read. First everybody is named, so that the proven go the way on which packets are
 * logged, and then it is logged.
 */
export const LOG_KEYS: readonly ElementKey[] = (['named', 'log'] as const).flatMap((purpose) =>
  (['0.0.0.0/0', '::/0'] as Prefix[])
    .flatMap(halves)
    .map((half) => `${setName(purpose, familyOf(half))} ${showPrefix(half)}`),
)

export function untilOf(item: Block | Suspension | Member): Until {
  return item.until ?? Number.POSITIVE_INFINITY
}

/** Every element that a desired state asks for, with its end; of two that mean the same the later end. */
export function listElements(state: DesiredState): Map<ElementKey, Until> {
  const elements = new Map<ElementKey, Until>()
  const want = (key: ElementKey, until: Until) => elements.set(key, Math.max(elements.get(key) ?? 0, until))
  const standing = (keys: readonly ElementKey[]) => {
    for (const key of keys) want(key, Number.POSITIVE_INFINITY)
  }
  const { destinations } = state.traffic
  for (const prefix of state.allow) standing(namedByAllowed(prefix))
  for (const gateway of state.gateways) standing(namedByGateway(gateway))
  const blocks = itemsOf(state.blocks)
  for (const block of blocks) standing(namedByBlock(block))
  for (const prefix of state.allow) standing(keysOfAllowed(prefix))
  for (const prefix of destinations === 'local' ? [] : destinations) standing(keysOfDestination(prefix))
  for (const gateway of state.gateways) standing(keysOfGateway(gateway))
  if (state.isLogRead === true) standing(LOG_KEYS)
  if (state.strictUntil !== null) for (const key of STRICT_KEYS) want(key, state.strictUntil)
  for (const block of blocks) want(keyOfBlock(block), untilOf(block))
  for (const suspension of itemsOf(state.suspensions)) {
    for (const key of keysOfSuspension(suspension)) want(key, untilOf(suspension))
  }
  for (const part of state.members) for (const member of part) want(keyOfMember(member), untilOf(member))
  return elements
}

/** Elements without an end of their own, which the chains need to be right from the start. */
export function isStanding(key: ElementKey): boolean {
  return STANDING.has(purposeOf(key)!)
}

const STANDING: ReadonlySet<SetPurpose> = new Set(STANDING_SETS)

/**
 * The text of an element as this project writes it. The C library writes some IPv6 addresses with an IPv4 tail,
 * which RFC 5952 does not ask for.
 */
export function normalElement(text: string): string {
  const comma = text.indexOf(',')
  const address = comma < 0 ? text : text.slice(0, comma)
  if (!address.includes(':') || !address.includes('.')) return text
  if (comma >= 0) return (parseAddress(address) ?? address) + text.slice(comma)
  const prefix = parsePrefix(text)
  return prefix ? showPrefix(prefix) : text
}

/** As `showPrefix`, without looking closer at what is written a hundred thousand times. */
function textOf(prefix: Prefix): string {
  if (prefix.endsWith('/32') && !prefix.includes(':')) return prefix.slice(0, -3)
  return prefix.endsWith('/128') ? prefix.slice(0, -4) : prefix
}

function halves(prefix: Prefix): readonly Prefix[] {
  const { address, length } = splitPrefix(prefix)
  if (length > 0) return [prefix]
  const upper = parseAddress(familyOf(address) === 4 ? '128.0.0.0' : '8000::')!
  return [prefixOf(address, 1), prefixOf(upper, 1)]
}
