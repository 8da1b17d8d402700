import { familyOf, showSource } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, showDuration } from '../../registrar/net/time.ts'
import type { DesiredState, Limit } from '../desired-state.ts'
import type { LimitTable } from '../limit-tables.ts'
import { purposeOf, SEEN_FOR, type SetPurpose } from '../names.ts'
import type { FoundElement } from './held-elements.ts'
import type { PacketView } from './packet-view.ts'
import type { DestinationType, Match, Rule } from './parse-rule.ts'
import type { TableNames } from './table-names.ts'
import type { WalkedStep } from './walk.ts'

/** What sentences are made from. */
export interface Telling {
  readonly view: PacketView
  readonly state: DesiredState
  readonly tables: TableNames
  readonly now: EpochMilliseconds
  /** How the host takes what is sent to the packet's destination; undefined where it is for another host. */
  readonly destinationType: DestinationType | undefined
}

/** Why a rule matched, in words for an admin. */
export function sayRule({ rule, found }: WalkedStep, telling: Telling): string {
  const isShortWay = rule.matches.some((match) => match.kind === 'limit')
  if (rule.chain === 'RINGFENCE' && !isShortWay) return sayPlain(rule, telling)
  const reasons = rule.matches.flatMap((match) => {
    if (match.kind === 'set') return [saySet(match, found, telling)]
    if (match.kind === 'limit') return [sayLimit(rule, telling)]
    if (match.kind === 'connections') return [`the source has more than ${match.above} connections`]
    return []
  })
  if (reasons.length === 0) reasons.push(sayPlain(rule, telling))
  if (rule.target.kind === 'log') return LOGGED[rule.chain] ?? 'this rule only logs'
  if (rule.target.kind === 'none') reasons.push('this rule only counts')
  if (rule.target.kind === 'add') reasons.push(sayAdded(rule.target.set, telling))
  return reasons.join('; ')
}

/** Whom the log tells of it. */
const LOGGED: Readonly<Record<string, string>> = {
  'RINGFENCE-JUDGE': 'this rule only logs, for the sensor, a sample of what arrives and all that passes',
}

/** What an element that the packet is in says about it. */
export function sayElement(element: FoundElement, telling: Telling): string {
  const { view, state, now } = telling
  const { address, source } = namesOf(view)
  const through = element.text === address || element.text.includes(',') ? '' : ` (as ${element.text})`
  const ends = Number.isFinite(element.until)
    ? `, for another ${showDuration(Math.ceil((element.until - now) / 1_000))}`
    : ', with no end'
  const says: Readonly<Record<SetPurpose, () => string>> = {
    allow: () => `${address} is on the allowlist${through}`,
    dst: () => `${address} is protected${through}`,
    deny: () => `${address} is blocked by the operator${through}${ends}`,
    gw: () => `${address} is ${gatewayOf(view, state)}${through}`,
    named: () => `a rule that goes before the proven names ${address}${through}`,
    pvn: () => `${source} is proven`,
    sip: () => `${address} is blocked with scope sip${through}${ends}, and this port is not proven`,
    reg: () => `${address} is blocked with scope register${through}${ends}`,
    susp: () => `${source} is suspended${ends}`,
    psip: () => `${source} is suspended with scope sip${ends}`,
    susa: () => `${address} is suspended with all ports that are not proven${through}${ends}`,
    ans: () => `${source} answered a challenge lately`,
    ret1: () => `${address} has registered few accounts lately${through}`,
    ret2: () => `${address} has registered several accounts lately${through}`,
    ret3: () => `${address} has registered many accounts lately${through}`,
    ign: () => `${address} was challenged and never answered${through}`,
    strict: () => 'the strict limits are in force',
    log: () => 'the log of the kernel is being read',
    wsip: () => `${address} is listed for being over limits.sip`,
    seen: () => `${source} was seen within ${SEEN_FOR} s`,
    asked: () => `the softswitch sent ${address} a request lately`,
  }
  return says[purposeOf(element.set)!]()
}

/** `5 a second after a burst of 10`. */
export function showLimit({ perSecond, burst }: Limit): string {
  return `${showRate(perSecond)} after a burst of ${burst}`
}

export function showRate(perSecond: number): string {
  return Number.isInteger(perSecond) ? `${perSecond} a second` : `${Math.round(perSecond * 60)} a minute`
}

/** The table that a rule of a limit asks. */
export function tableOf(rule: Rule, tables: TableNames): LimitTable | undefined {
  const limit = rule.matches.find((match) => match.kind === 'limit')
  return limit && tables.find(limit.table, rule.chain)
}

function saySet(
  match: Extract<Match, { kind: 'set' }>,
  found: readonly FoundElement[],
  telling: Telling,
): string {
  const element = found.find(({ set }) => set === match.set)
  if (element !== undefined) return sayElement(element, telling)
  const { address, source } = namesOf(telling.view)
  if (purposeOf(match.set) === 'named') return `no rule that goes before the proven names ${address}`
  if (purposeOf(match.set) === 'susp') return `${source} is not suspended`
  // The only other set that is asked for who is not in it.
  return `${source} was not seen within ${SEEN_FOR} s`
}

function sayLimit(rule: Rule, { tables }: Telling): string {
  const table = tableOf(rule, tables)
  // A table that no limit of this state has is that of limits that will follow.
  if (table === undefined) return 'it is over a limit that will decide in a moment'
  const isUnder = rule.matches.some((match) => match.kind === 'limit' && match.side === 'upto')
  return `it is ${isUnder ? 'under' : 'over'} the limit of ${table.says}: ${showLimit(table.limit)}`
}

function sayAdded(set: string, { view }: Telling): string {
  const { address, source } = namesOf(view)
  switch (purposeOf(set)) {
    case 'seen':
      return `${source} is noted as seen`
    case 'wsip':
      return `${address} is listed for being over limits.sip`
    default:
      return `${view.address('dst')} may respond from now on`
  }
}

/** Rules that look at the packet alone, or at nothing. */
function sayPlain(rule: Rule, { view }: Telling): string {
  const { interface: name, destinationPort, protocol } = view.packet
  const { target } = rule
  if (target.kind === 'none') return 'the packet comes by'
  if (target.kind === 'add' && rule.chain === 'RINGFENCE-FIRST') return 'it can be noted'
  if (target.kind === 'add') return 'it is a request'
  if (rule.chain === 'RINGFENCE') {
    if (target.kind === 'return') return 'it comes from this host itself'
    if (target.kind === 'jump' && target.chain === 'RINGFENCE-ASKED') {
      return 'it comes from a SIP port of what is protected'
    }
    return `it arrives on ${name} for the protected ${protocol.toUpperCase()} port ${destinationPort}`
  }
  if (rule.chain === 'RINGFENCE-JUDGE') return 'now it is judged'
  if (rule.chain === 'RINGFENCE-OUT') return 'the softswitch sends it from its SIP port'
  const matched = rule.matches.map((match) => match.kind)
  if (matched.includes('syn')) return 'it opens a new connection'
  if (matched.includes('source')) return `it is from ${rule.matches.flatMap(prefixOfMatch).join()}`
  if (matched.includes('length')) return 'it is a keepalive: too short to be a request'
  if (matched.includes('u32')) return sayBeginning(view)
  return (
    (target.kind === 'goto' ? SAY_CATCH_ALL[target.chain] : SAY_LAST[rule.chain]) ?? 'it comes to this rule'
  )
}

/** What ends a chain. */
const SAY_LAST: Readonly<Record<string, string>> = {
  'RINGFENCE-FIRST': 'the first packet of an unproven address and port is not served under attack',
  'RINGFENCE-UNNOTED': 'the first packet of an unproven address and port is not served under attack',
  'RINGFENCE-OVER': 'limits.sip is enforced',
  'RINGFENCE-AGGREGATOR': 'it is over the limit of a proven address and port, and no aggregator',
}

/** Where everything else goes. */
const SAY_CATCH_ALL: Readonly<Record<string, string>> = {
  'RINGFENCE-REGISTER': 'it is recognised as nothing else, so it is taken for a REGISTER',
  'RINGFENCE-CPS': 'it is recognised as nothing else, so it counts like an INVITE',
  'RINGFENCE-UNPROVEN': 'its port is not proven',
  'RINGFENCE-UNKNOWN': 'nothing is known of the source',
  'RINGFENCE-REST': 'nobody asked for it',
  'RINGFENCE-PEER': 'responses of everybody pass',
}

function prefixOfMatch(match: Match): readonly string[] {
  return match.kind === 'source' ? [match.prefix] : []
}

function sayBeginning(view: PacketView): string {
  const name = methodOf(view)
  if (name === 'response') return 'it begins like a response'
  return name === undefined ? 'it is a STUN binding request' : `it begins with ${name}`
}

/** By the four bytes that the rules look at. Never a text that came with the packet. */
export function methodOf({ packet }: PacketView): string | undefined {
  return METHODS.get(packet.payload.toString('latin1', 0, 4))
}

const METHODS: ReadonlyMap<string, string> = new Map([
  ['REGI', 'REGISTER'],
  ['SIP/', 'response'],
  ['INVI', 'INVITE'],
  ['OPTI', 'OPTIONS'],
  ['SUBS', 'SUBSCRIBE'],
  ['NOTI', 'NOTIFY'],
  ['INFO', 'INFO'],
  ['MESS', 'MESSAGE'],
  ['REFE', 'REFER'],
  ['PUBL', 'PUBLISH'],
  ['ACK ', 'ACK'],
  ['BYE ', 'BYE'],
  ['CANC', 'CANCEL'],
  ['PRAC', 'PRACK'],
  ['UPDA', 'UPDATE'],
])

export function namesOf(view: PacketView): { readonly address: string; readonly source: string } {
  const { source: address, sourcePort: port } = view.packet
  return { address, source: showSource({ address, port }) }
}

/** `the gateway acme`, by its longest prefix; `a gateway` where the state has none of that address. */
function gatewayOf(view: PacketView, { gateways }: DesiredState): string {
  let longest = -1
  let found: string | undefined
  for (const { name, prefixes } of gateways) {
    for (const prefix of prefixes) {
      const length = Number(prefix.slice(prefix.indexOf('/') + 1))
      if (familyOf(prefix) !== view.family || length <= longest || view.prefix('src', length) !== prefix)
        continue
      longest = length
      found = name
    }
  }
  return found === undefined ? 'a gateway' : `the gateway ${found}`
}
