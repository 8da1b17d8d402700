import type { SourceStory } from '../../dashboard/api/control-plane.ts'
import { type Address, showPrefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Decision } from '../journal/entries.ts'
import type { SourceKnowledge } from '../sensor/messages.ts'
import type { DaemonParts } from './parts.ts'
import { type DropIndex, decisionView, showTarget, verdictView } from './views.ts'

const STORY_ENTRIES = 20
/** For so long the answer to a challenge says that somebody is there. */
const ANSWERED_FOR: Milliseconds = 60_000

/** What is known of one source: from the sensor, from the decisions that stand, and from the journal. */
export async function tellStory(
  address: Address,
  parts: Pick<DaemonParts, 'clock' | 'decisions' | 'explainSource' | 'journal'> & {
    readonly drops: DropIndex | undefined
  },
): Promise<SourceStory> {
  const { clock, decisions, explainSource, journal, drops } = parts
  const knowledge = await explainSource(address)
  const now = clock()
  const source = sourcePrefixOf(address)
  const standing = decisions.about(address)
  const standingIds = new Set(standing.map(({ id }) => id))
  const past = journal.decisionsOf(address, { limit: STORY_ENTRIES }).filter(({ id }) => !standingIds.has(id))
  return {
    address,
    source: showPrefix(source),
    ...laneOf({ allowed: decisions.isAllowed(address), standing, knowledge, now }),
    firstSeen: knowledge?.firstSeen ?? null,
    lastSeen: knowledge?.lastSeen ?? null,
    registers: knowledge?.registers ?? 0,
    challenges: knowledge?.challenges ?? 0,
    successes: knowledge?.successes ?? 0,
    failures: knowledge?.failures ?? 0,
    registersInWindow: knowledge?.registersInWindow ?? 0,
    accounts: knowledge?.accounts ?? [],
    userAgents: knowledge?.userAgents ?? [],
    decisions: standing.map((decision) => decisionView(decision, now, drops)),
    verdicts: journal.verdictsOf(source, { limit: STORY_ENTRIES }).map(verdictView),
    pastDecisions: past.map((decision) => decisionView(decision, now)),
  }
}

function laneOf(facts: {
  allowed: boolean
  standing: readonly Decision[]
  knowledge: SourceKnowledge | null
  now: EpochMilliseconds
}): Pick<SourceStory, 'lane' | 'laneReason'> {
  const { allowed, standing, knowledge, now } = facts
  if (allowed) return { lane: 'allowed', laneReason: 'It is on the allowlist.' }
  const block = standing.find(({ kind }) => kind === 'block')
  if (block)
    return {
      lane: 'blocked',
      laneReason: `${showTarget(block)} is blocked (${block.scope}): ${block.reason}`,
    }
  const suspension = standing[0]
  if (suspension)
    return { lane: 'suspended', laneReason: `${showTarget(suspension)} is suspended: ${suspension.reason}` }
  if (!knowledge) return { lane: 'unknown', laneReason: 'Nothing was seen of it lately.' }
  if (knowledge.provenUntil > now)
    return { lane: 'proven', laneReason: 'It registered, and the registration still lasts.' }
  if (knowledge.lastOwnNonce > now - ANSWERED_FOR) {
    return { lane: 'answered', laneReason: 'It answered a challenge of its own within the last minute.' }
  }
  return { lane: 'unknown', laneReason: 'It has no registration that lasts.' }
}
