import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PhonesTouched } from '../../dashboard/api/what-if.ts'
import { prefixContains, type Source, showSource, splitPrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState, Limit, Member } from '../../rules/desired-state.ts'
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
      { ...was, limit: limitOf(before, was, source) },
      { ...becomes, limit: limitOf(after, becomes, source) },
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

type Treatment = Trace & { readonly limit: Limit | undefined }

function sayWorse(was: Treatment, becomes: Treatment): string | undefined {
  if (becomes.verdict === 'drop') return was.verdict === 'drop' ? undefined : becomes.says
  const ranks = [was, becomes].map(({ lane }) => LANES.indexOf(lane)) as [number, number]
  const isLess =
    was.limit !== undefined &&
    becomes.limit !== undefined &&
    (becomes.limit.perSecond < was.limit.perSecond || becomes.limit.burst < was.limit.burst)
  if (ranks[1] < ranks[0] || (ranks[1] === ranks[0] && !isLess)) return undefined
  return `${sayTreatment(was)} → ${sayTreatment(becomes)}`
}

function sayTreatment({ lane, limit }: Treatment): string {
  return limit === undefined ? lane : `${lane} ${showLimit(limit)}`
}

/** The limit of REGISTERs that a lane has under a desired state. */
function limitOf(
  { limits, gateways, strictUntil }: DesiredState,
  { lane }: Trace,
  source: Source,
): Limit | undefined {
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
    case 'gateway': {
      const lengthOf = (prefixes: readonly { readonly length: number }[]) =>
        Math.max(...prefixes.map(({ length }) => length))
      return gateways
        .map(({ cps, prefixes }) => ({
          cps,
          around: prefixes.filter((prefix) => prefixContains(prefix, source.address)).map(splitPrefix),
        }))
        .filter(({ around }) => around.length > 0)
        .sort((a, b) => lengthOf(b.around) - lengthOf(a.around))[0]?.cps
    }
    default:
      return undefined
  }
}
