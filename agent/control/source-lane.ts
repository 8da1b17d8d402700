import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { type Address, prefixContains } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import type { DesiredState, Member } from '../../rules/desired-state.ts'
import { OPERATOR } from '../decide/kernel-items.ts'
import type { Decision } from '../journal/entries.ts'
import type { SourceKnowledge } from '../sensor/messages.ts'
import { showTarget } from './views.ts'

/** For so long the answer to a challenge says that somebody is there. */
const ANSWERED_FOR: Milliseconds = 60_000
const MOST_PORTS = 10
/** Ports of a registered address that are punished, told one by one. */
const MOST_PUNISHED = 3

/** What a lane is read off. */
export interface SourceFacts {
  readonly address: Address
  readonly allowed: boolean
  readonly standing: readonly Decision[]
  readonly desired: Pick<DesiredState, 'gateways' | 'members'>
  /** Undefined where the sensor did not answer. */
  readonly knowledge: SourceKnowledge | null | undefined
  readonly now: EpochMilliseconds
}

/** The lane of an address as a whole, the one that decides first; its ports may be in others. */
export function laneOf(facts: SourceFacts): Pick<SourceStory, 'lane' | 'laneReason'> {
  const { address, allowed, standing, desired, knowledge, now } = facts
  if (allowed) return { lane: 'allowed', laneReason: 'It is on the allowlist.' }
  const ofAll = standing.filter(({ target }) => target.kind === 'prefix')
  const punished = ofAll.find(({ kind }) => kind === 'block') ?? ofAll[0]
  if (punished) return laneOfPunished(punished)
  const gateway = desired.gateways.find(({ prefixes }) =>
    prefixes.some((prefix) => prefixContains(prefix, address)),
  )
  if (gateway) {
    const { perSecond, burst } = gateway.cps
    return {
      lane: 'gateway',
      laneReason: `It is of the gateway ${gateway.name}: ${perSecond} calls a second, ${burst} at once.`,
    }
  }
  const members = membersOf(desired, address, now)
  const served = sayingSlowed(laneOfMembers(members, knowledge), { members, now })
  const ofPort = standing[0]
  // One port that is punished among others that are registered: they are what the address is.
  if (ofPort && served?.lane === 'proven') {
    const said = standing.slice(0, MOST_PUNISHED).map(sayPunished).join('; ')
    const more = standing.length > MOST_PUNISHED ? ` (and ${standing.length - MOST_PUNISHED} more)` : ''
    return { lane: 'proven', laneReason: `${served.laneReason} But ${said}${more}` }
  }
  if (ofPort) return laneOfPunished(ofPort)
  return served ?? withoutLane(knowledge, now)
}

/** The lane of one port: what stands against it comes first, then its registration, then what stands against the address. */
export function laneOfPort(port: number, facts: SourceFacts): Pick<SourceStory, 'lane' | 'laneReason'> {
  const { address, standing, desired, now } = facts
  const members = membersOf(desired, address, now).filter(
    (member) => !('port' in member) || (member.port === port && member.address === address),
  )
  const ofPort = standing.filter(({ target }) => target.kind === 'source' && target.port === port)
  const ofAll = standing.filter(({ target }) => target.kind === 'prefix')
  const ordered = ofAll.filter(({ by }) => by === OPERATOR)
  const isProven = members.some(({ lane }) => lane === 'proven')
  const after = ofPort.length > 0 || isProven ? ofPort : ofAll
  const told = laneOf({
    ...facts,
    standing: [...ordered, ...after],
    desired: { ...desired, members: ofPort.length > 0 ? [] : [members] },
  })
  if (told.lane !== 'unknown' || facts.knowledge === undefined) return told
  return {
    lane: 'unknown',
    laneReason:
      'No registration over UDP from that port lasts, and it answered no challenge within the last minute.',
  }
}

function laneOfPunished(decision: Decision): Pick<SourceStory, 'lane' | 'laneReason'> {
  return { lane: decision.kind === 'block' ? 'blocked' : 'suspended', laneReason: sayPunished(decision) }
}

function sayPunished(decision: Decision): string {
  const { kind, scope, reason } = decision
  const reach = kind === 'block' || scope === 'sip' ? ` (${scope})` : ''
  return `${showTarget(decision)} is ${kind === 'block' ? 'blocked' : 'suspended'}${reach}: ${reason}`
}

/** The kernel serves its ports that are not registered from the smallest bucket, whatever else it is. */
function sayingSlowed(
  served: Pick<SourceStory, 'lane' | 'laneReason'> | undefined,
  { members, now }: { readonly members: readonly Member[]; readonly now: EpochMilliseconds },
): Pick<SourceStory, 'lane' | 'laneReason'> | undefined {
  const slowed = members.find((member) => member.lane === 'returning' && member.slowedUntil !== undefined)
  if (!served || slowed?.lane !== 'returning') return served
  const left = showDuration(Math.max(1, Math.round(((slowed.slowedUntil ?? now) - now) / 1_000)))
  const said = `Its ports fail as no phones do: those that are not registered share the smallest bucket for ${left} more.`
  return { ...served, laneReason: `${served.laneReason} ${said}` }
}

function laneOfMembers(
  members: readonly Member[],
  knowledge: SourceKnowledge | null | undefined,
): Pick<SourceStory, 'lane' | 'laneReason'> | undefined {
  const proven = members.filter((member) => member.lane === 'proven')
  if (proven.length > 0) {
    return {
      lane: 'proven',
      laneReason: `It is registered from ${sayPorts(proven)}, which the kernel serves apart.`,
    }
  }
  const answered = members.filter((member) => member.lane === 'answered')
  if (answered.length > 0) {
    return {
      lane: 'answered',
      laneReason: `It answered a challenge of its own from ${sayPorts(answered)} within the last minute.`,
    }
  }
  const returning = members.find((member) => member.lane === 'returning')
  if (returning) {
    // An aggregator is in the largest class, whatever their number.
    const count = knowledge?.aggregator ? knowledge.accountsBehind : returning.accounts
    const accounts = count === 1 ? 'one account' : `${count} accounts`
    const connection = knowledge?.bound?.find(({ transport }) => transport === 'tcp')
    const registered = connection
      ? `It is registered over TCP from port ${connection.port}; connections that stand are left alone, and for new ones it counts that it`
      : 'It'
    return { lane: 'returning', laneReason: `${registered} registered ${accounts} within the last days.` }
  }
  if (members.some(({ lane }) => lane === 'ignoring')) {
    return { lane: 'ignoring', laneReason: 'It got several challenges and never answered one.' }
  }
  return undefined
}

/**
 * What the kernel has in no lane is unknown to it, whatever the sensor saw: its ports were let go, or it speaks TCP,
 * which has no lanes.
 */
function withoutLane(
  knowledge: SourceKnowledge | null | undefined,
  now: EpochMilliseconds,
): Pick<SourceStory, 'lane' | 'laneReason'> {
  return { lane: 'unknown', laneReason: whyUnknown(knowledge, now) }
}

function whyUnknown(knowledge: SourceKnowledge | null | undefined, now: EpochMilliseconds): string {
  if (knowledge === undefined)
    return 'The kernel serves none of its ports apart; the sensor did not answer, so nobody knows what was seen of it.'
  if (!knowledge) return 'Nothing was seen of it lately.'
  const none = 'but the kernel holds none of its ports apart: it was let go for lack of room, or speaks TCP.'
  if (knowledge.provenUntil > now) return `It registered, and the registration still lasts, ${none}`
  if (knowledge.lastOwnNonce > now - ANSWERED_FOR) {
    return `It answered a challenge of its own within the last minute, ${none}`
  }
  return 'It has no registration that lasts.'
}

/** A walk over all members: for the one who asks about one source, some milliseconds. */
function membersOf(
  { members }: Pick<DesiredState, 'members'>,
  address: Address,
  now: EpochMilliseconds,
): readonly Member[] {
  const found: Member[] = []
  for (const part of members) {
    for (const member of part) {
      if (member.until <= now) continue
      const isMeant = 'source' in member ? prefixContains(member.source, address) : member.address === address
      if (isMeant) found.push(member)
    }
  }
  return found
}

function sayPorts(members: readonly Member[]): string {
  const ports = members.flatMap((member) => ('port' in member ? member.port : [])).sort((a, b) => a - b)
  const shown = ports.slice(0, MOST_PORTS).join(', ')
  const more = ports.length > MOST_PORTS ? ` and ${ports.length - MOST_PORTS} more` : ''
  return `${ports.length === 1 ? 'port' : 'ports'} ${shown}${more}`
}
