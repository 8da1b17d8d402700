import type { ChainName } from '../names.ts'
import { purposeOf, type SetPurpose } from '../names.ts'
import type { Trace, TraceLane } from './packet.ts'
import type { Rule } from './parse-rule.ts'
import {
  methodOf,
  namesOf,
  sayElement,
  sayRule,
  showLimit,
  showRate,
  type Telling,
  tableOf,
} from './say-rule.ts'
import type { Walk, WalkedStep } from './walk.ts'

/** Puts what a packet walked through into words. */
export function explain(walk: Walk, telling: Telling): Trace {
  const chains = chainsOf(walk)
  const lane = laneOf(walk, chains)
  const steps = walk.steps.map((step) => ({ rule: step.rule.text, says: sayRule(step, telling) }))
  if (lane === 'none') {
    const rule = walk.decidedBy?.text ?? null
    return { verdict: 'not-ours', says: sayNotOurs(walk, telling), rule, lane, steps }
  }
  const what = `${nameOf(chains, telling)} from ${namesOf(telling.view).source}`
  const says =
    walk.verdict === 'pass'
      ? `${what} passes: ${sayPassing(walk, lane, chains, telling)}.${sayForOthers(walk, telling)}`
      : `${what} is dropped: ${sayDropped(walk, telling)}.`
  return { verdict: walk.verdict, says, rule: walk.decidedBy?.text ?? null, lane, steps }
}

/** The chains that it came into, in order. */
function chainsOf({ steps }: Walk): readonly ChainName[] {
  return steps.flatMap(({ rule: { target } }) =>
    target.kind === 'jump' || target.kind === 'goto' ? [target.chain as ChainName] : [],
  )
}

function laneOf(walk: Walk, chains: readonly ChainName[]): TraceLane {
  if (isShortWay(walk)) return 'proven'
  if (!chains.includes('RINGFENCE-UDP') && !chains.includes('RINGFENCE-TCP')) return 'none'
  const last = walk.steps.at(-1)!
  if (walk.verdict === 'drop') {
    const listed = last.found.map(({ set }) => LANES_OF_LISTS[purposeOf(set)!]).find(Boolean)
    if (listed !== undefined) return listed
  }
  const chain = walk.decidedBy?.chain ?? chains.at(-1)!
  const isIn = (...purposes: readonly SetPurpose[]) =>
    walk.steps.some(({ found }) => found.some(({ set }) => purposes.includes(purposeOf(set)!)))
  const lane = LANES[chain as ChainName]
  if (lane === 'allowed' && isIn('gw')) return 'gateway'
  if (chain === 'RINGFENCE-CONNECT' && isIn('ret1', 'ret2', 'ret3')) return 'returning'
  return lane
}

/** Whether a proven packet was judged right at the entrance. */
function isShortWay({ decidedBy, passed }: Walk): boolean {
  return decidedBy?.chain === 'RINGFENCE' && passed.some(({ rule }) => rule === decidedBy)
}

/** Where the destination is this host, the short way does not ask for it. */
function sayForOthers(walk: Walk, { view, state, destinationType }: Telling): string {
  const isForUs = destinationType !== undefined || state.traffic.destinations !== 'local'
  if (isForUs || !isShortWay(walk)) return ''
  return ` It is not for this host (${view.packet.destination} is none of its addresses): REGISTERs of proven ports are taken before that is asked, and what is over their limit passes unjudged.`
}

/** Whom a set punishes, where it drops. */
const LANES_OF_LISTS: { readonly [P in SetPurpose]?: TraceLane } = {
  deny: 'blocked',
  sip: 'blocked',
  reg: 'blocked',
  susp: 'suspended',
  psip: 'suspended',
  susa: 'suspended',
}

/** Whom a chain serves. */
const LANES: Readonly<Record<ChainName, TraceLane>> = {
  RINGFENCE: 'none',
  'RINGFENCE-OUT': 'none',
  'RINGFENCE-ASKED': 'none',
  'RINGFENCE-JUDGE': 'none',
  'RINGFENCE-UDP': 'unknown',
  'RINGFENCE-TCP': 'connected',
  'RINGFENCE-ALLOWED': 'allowed',
  'RINGFENCE-TRUSTED': 'allowed',
  'RINGFENCE-GATEWAY': 'gateway',
  'RINGFENCE-CPS': 'gateway',
  'RINGFENCE-TRUNK': 'gateway',
  'RINGFENCE-RESPONSE': 'rest',
  'RINGFENCE-SIP': 'sip',
  'RINGFENCE-KNOWN': 'proven',
  'RINGFENCE-PEER': 'peer',
  'RINGFENCE-OPENING': 'sip',
  'RINGFENCE-CALLS': 'sip',
  'RINGFENCE-RETURNSIP': 'returning',
  'RINGFENCE-OVER': 'sip',
  'RINGFENCE-KEEPALIVE': 'rest',
  'RINGFENCE-REST': 'rest',
  'RINGFENCE-REGISTER': 'unknown',
  'RINGFENCE-PROVEN': 'proven',
  'RINGFENCE-AGGREGATOR': 'proven',
  'RINGFENCE-ANSWERED': 'answered',
  'RINGFENCE-UNPROVEN': 'unknown',
  'RINGFENCE-RETURN1': 'returning',
  'RINGFENCE-RETURN2': 'returning',
  'RINGFENCE-RETURN3': 'returning',
  'RINGFENCE-IGNORING': 'ignoring',
  'RINGFENCE-UNKNOWN': 'unknown',
  'RINGFENCE-STRICT': 'unknown',
  'RINGFENCE-FIRST': 'unknown',
  'RINGFENCE-UNNOTED': 'unknown',
  'RINGFENCE-CONNECT': 'unknown',
}

/** `A REGISTER`, `A packet that is taken for a REGISTER`, `A new connection`, … */
function nameOf(chains: readonly ChainName[], { view }: Telling): string {
  if (view.packet.protocol === 'tcp')
    return view.packet.syn ? 'A new TCP connection' : 'A piece of a TCP connection'
  const method = methodOf(view)
  const named = method === undefined ? 'A packet' : /^[AEIO]/.test(method) ? `An ${method}` : `A ${method}`
  if (chains.includes('RINGFENCE-KEEPALIVE')) return 'A keepalive'
  const isTaken = chains.includes('RINGFENCE-REGISTER')
  return isTaken && method !== 'REGISTER' ? 'A packet that is taken for a REGISTER' : named
}

function sayPassing(walk: Walk, lane: TraceLane, chains: readonly ChainName[], telling: Telling): string {
  const reason = sayWhyServed(walk, lane, chains, telling)
  const tables = walk.passed.flatMap(({ rule }) => tableOf(rule, telling.tables) ?? [])
  const [first, ...others] = tables.filter((table, i) => tables.indexOf(table) === i)
  if (first === undefined) return reason
  const more = others.map(({ says, limit }) => `${says}: ${showRate(limit.perSecond)}`)
  const within = more.length === 0 ? '' : ` (${more.join(', ')})`
  return `${reason}, and up to ${showLimit(first.limit)} pass${within}`
}

function sayWhyServed(walk: Walk, lane: TraceLane, chains: readonly ChainName[], telling: Telling): string {
  const { address, source } = namesOf(telling.view)
  const element = walk.steps
    .flatMap(({ found }) => found)
    .findLast(({ set }) => SETS_OF_LANES[lane]?.includes(purposeOf(set)!))
  if (element !== undefined) return sayElement(element, telling)
  switch (lane) {
    case 'peer':
      return 'responses of everybody pass here'
    case 'rest':
      return chains.includes('RINGFENCE-KEEPALIVE')
        ? 'keepalives of everybody pass'
        : `nobody asked ${address} for it`
    case 'connected':
      return `what is connected is left alone, and ${address} is not blocked`
    case 'sip':
      return chains.includes('RINGFENCE-OVER')
        ? `${address} is over limits.sip, which only lists sources until it is enforced`
        : `${source} is not proven`
    default:
      return chains.includes('RINGFENCE-STRICT')
        ? `nothing is known of ${source}, and the strict limits are in force`
        : `nothing is known of ${source}`
  }
}

/** The sets that make a source one of a lane. */
const SETS_OF_LANES: { readonly [L in TraceLane]?: readonly SetPurpose[] } = {
  allowed: ['allow'],
  gateway: ['gw'],
  proven: ['pvn'],
  answered: ['ans'],
  returning: ['ret1', 'ret2', 'ret3'],
  ignoring: ['ign'],
  peer: ['asked'],
}

function sayDropped({ fullTable, decidedBy, steps }: Walk, telling: Telling): string {
  const last = steps.at(-1)!
  if (fullTable !== null) {
    const table = tableOf(last.rule, telling.tables)
    return `the table of ${table?.says ?? fullTable} is full and takes nobody new`
  }
  const { source } = namesOf(telling.view)
  if (last.rule.chain === 'RINGFENCE-FIRST' || last.rule.chain === 'RINGFENCE-UNNOTED') {
    return sayFirst(steps, source)
  }
  const chain = decidedBy?.chain
  if (chain === 'RINGFENCE-OVER') return `${source} is over limits.sip: ${sayOver(steps, telling)}`
  return sayRule(last, telling)
}

function sayFirst(steps: readonly WalkedStep[], source: string): string {
  const isNoted = steps.some(({ rule }: { rule: Rule }) => rule.target.kind === 'add')
  return isNoted
    ? `under attack the first packet of an address and port that is not proven is only noted, and ${source} passes here from its second within 5 s on`
    : `under attack the first packet of an address and port that is not proven is only noted, and so many come that ${source} could not be`
}

/** The limit that sent it to the list of those that are over. */
function sayOver(steps: readonly WalkedStep[], { tables }: Telling): string {
  const over = steps.findLast(
    ({ rule }) => rule.target.kind === 'goto' && rule.target.chain === 'RINGFENCE-OVER',
  )
  const table = over && tableOf(over.rule, tables)
  return table === undefined ? 'what is over is dropped' : `${showLimit(table.limit)} for ${table.says}`
}

function sayNotOurs({ steps }: Walk, { view, state }: Telling): string {
  const { interface: name, protocol, destination, destinationPort: port } = view.packet
  const { interfaces, udpPorts, tcpPorts } = state.traffic
  const isProtected = interfaces.some((one) =>
    one.endsWith('+') ? name.startsWith(one.slice(0, -1)) : name === one,
  )
  const why = () => {
    if (steps[0]?.rule.target.kind === 'return') return 'it comes from this host itself'
    if (!isProtected) return `${name} is not a protected interface`
    if (view.packet.fragment === 'later') return 'a later piece of a packet carries no port'
    if (!(protocol === 'udp' ? udpPorts : tcpPorts).includes(port)) {
      return `${port} is not a protected ${protocol.toUpperCase()} port`
    }
    return `${destination} is not a protected destination`
  }
  return `No rule of Ringfence looks at this packet: ${why()}.`
}
