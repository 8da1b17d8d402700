import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PhonesTouched } from '../../dashboard/api/what-if.ts'
import {
  type Address,
  prefixContains,
  type Source,
  showSource,
  splitPrefix,
} from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Gateway, Limit, Member } from '../../rules/desired-state.ts'
import { imaginePacket } from '../../rules/trace/imagine-packet.ts'
import type { Trace, TraceLane } from '../../rules/trace/packet.ts'
import { Tracer } from '../../rules/trace/trace.ts'
import { showLimit } from './compare-states.ts'

const FIRST_PHONES = 20
/** Each is traced twice, at some ten microseconds: half a second of work in all. */
const MOST_TRACED = 20_000
/** After so many the daemon does something else. */
const A_TURN = 200

/**
 * Traces a REGISTER of every proven address and port under two desired states, and lists those whose verdict, lane or
 * limit gets worse.
 */
export async function listPhonesTouched(
  before: DesiredState,
  after: DesiredState,
  now: EpochMilliseconds,
): Promise<PhonesTouched> {
  const proven = before.members.flat().filter((member) => member.lane === 'proven' && member.until > now)
  const tracers = [new Tracer(before, now), new Tracer(after, now)] as const
  const sharers = [await countSharers(before, proven), await countSharers(after, proven)] as const
  const first: { source: string; says: string }[] = []
  let traced = 0
  let worse = 0
  for (const [index, phone] of proven.slice(0, MOST_TRACED).entries()) {
    if (index % A_TURN === A_TURN - 1) await nextTurn()
    const source = sourceOf(phone)
    const packet = source && imagine(before, source)
    if (!source || !packet) continue
    traced++
    const [was, becomes] = [tracers[0].trace(packet), tracers[1].trace(packet)]
    const says = sayWorse(
      { ...was, ...limitOf(before, was, source, sharers[0]) },
      { ...becomes, ...limitOf(after, becomes, source, sharers[1]) },
    )
    if (says === undefined) continue
    worse++
    if (first.length < FIRST_PHONES) first.push({ source: showSource(source), says })
  }
  return { proven: proven.length, traced, worse, first }
}

function sourceOf(member: Member): Source | undefined {
  return 'port' in member ? { address: member.address, port: member.port } : undefined
}

/** Undefined where nothing is protected that it could have registered with over UDP. */
function imagine({ traffic }: DesiredState, source: Source) {
  try {
    return imaginePacket(traffic, source)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** From the one that serves best. A lane that is not here serves no REGISTER of a proven phone. */
const LANES: readonly TraceLane[] = [
  'none',
  'allowed',
  'gateway',
  'proven',
  'answered',
  'returning',
  'unknown',
  'ignoring',
  'suspended',
  'blocked',
]

/** What serves a phone: its limit, and among how many registered phones, itself included, that is shared. */
interface Share {
  readonly limit: Limit | undefined
  readonly among: number
}

type Treatment = Trace & Share

function sayWorse(was: Treatment, becomes: Treatment): string | undefined {
  if (becomes.verdict === 'drop') return was.verdict === 'drop' ? undefined : becomes.says
  return isWorse(was, becomes) ? `${sayTreatment(was)} → ${sayTreatment(becomes)}` : undefined
}

function isWorse(was: Treatment, becomes: Treatment): boolean {
  const [rankBefore, rankAfter] = [was, becomes].map(({ lane }) => LANES.indexOf(lane)) as [number, number]
  if (rankBefore === rankAfter) {
    return ownRate(becomes) < ownRate(was) || ownBurst(becomes) < ownBurst(was)
  }
  // A gateway's bucket is one for all behind it, and a proven phone has one of its own: no order of lanes says which
  // of the two is more.
  const lanes = new Set([was.lane, becomes.lane])
  if (lanes.has('gateway') && lanes.has('proven')) return ownRate(becomes) < ownRate(was)
  return rankAfter > rankBefore
}

function ownRate({ limit, among }: Share): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : limit.perSecond / among
}

function ownBurst({ limit, among }: Share): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : limit.burst / among
}

function sayTreatment({ lane, limit, among }: Treatment): string {
  if (limit === undefined) return lane
  const others = among === 2 ? '1 other' : `${among - 1} others`
  const shares = among > 1 ? `, shares ${limit.perSecond} a second with ${others}, calls too` : ''
  return `${lane} ${showLimit(limit)}${shares}`
}

/** The limit of REGISTERs that a lane has under a desired state. */
function limitOf(state: DesiredState, { lane }: Trace, { address }: Source, sharers: Sharers): Share {
  if (lane !== 'gateway') return { limit: ownLimitOf(state, lane), among: 1 }
  const gateway = gatewayOf(state, address)
  const among = gateway && sharers.get(bucketOf(gateway, address))
  return { limit: gateway?.cps, among: Math.max(1, among ?? 1) }
}

function ownLimitOf({ limits, strictUntil }: DesiredState, lane: TraceLane): Limit | undefined {
  switch (lane) {
    case 'allowed':
      return limits.ceiling
    case 'proven':
      return limits.proven
    case 'answered':
      return limits.answered
    case 'returning':
      return limits.returning
    case 'ignoring':
      return limits.ignoring
    case 'unknown':
      return strictUntil === null ? limits.unknown.source : limits.strict.port
    default:
      return undefined
  }
}

/** How many registered phones each bucket of a gateway serves. */
type Sharers = ReadonlyMap<string, number>

async function countSharers(state: DesiredState, phones: readonly Member[]): Promise<Sharers> {
  const counts = new Map<string, number>()
  if (state.gateways.length === 0) return counts
  for (const [index, phone] of phones.entries()) {
    if (index % A_TURN === A_TURN - 1) await nextTurn()
    const source = sourceOf(phone)
    const gateway = source && gatewayOf(state, source.address)
    if (!source || !gateway) continue
    const bucket = bucketOf(gateway, source.address)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  return counts
}

/** The kernel counts IPv4 and IPv6 apart. */
function bucketOf({ name }: Gateway, address: Address): string {
  return `${name} ${address.includes(':') ? 6 : 4}`
}

/** The gateway that an address is of: the one with the longest prefix around it. */
function gatewayOf({ gateways }: DesiredState, address: Address): Gateway | undefined {
  let longest = -1
  let found: Gateway | undefined
  for (const gateway of gateways) {
    for (const prefix of gateway.prefixes) {
      if (!prefixContains(prefix, address)) continue
      const { length } = splitPrefix(prefix)
      if (length > longest) [longest, found] = [length, gateway]
    }
  }
  return found
}
