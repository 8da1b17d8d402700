import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { type Address, showPrefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { KernelCounters } from '../../rules/status.ts'
import type { DaemonParts } from './parts.ts'
import { registeredPorts } from './registered-ports.ts'
import { endpointView, evidenceOf, exchangeView } from './source-evidence.ts'
import { laneOf } from './source-lane.ts'
import { type DropIndex, decisionView, verdictView } from './views.ts'
import { whatWouldChange } from './would-change.ts'

const STORY_ENTRIES = 20

/** What is known of one source: from the sensor, from the decisions that stand, and from the journal. */
export async function tellStory(
  address: Address,
  parts: Pick<DaemonParts, 'clock' | 'config' | 'decisions' | 'desired' | 'explainSource' | 'journal'> & {
    readonly drops: DropIndex | undefined
    readonly overSipLimit: KernelCounters['wouldLimit']
    readonly sipEnforced: () => boolean
    readonly notice: string | null
  },
): Promise<SourceStory> {
  const { clock, decisions, desired, explainSource, journal, drops, notice } = parts
  const knowledge = await explainSource(address)
  const now = clock()
  const source = sourcePrefixOf(address)
  const over = parts.overSipLimit.find((entry) => entry.source === source)
  const standing = decisions.about(address)
  const standingIds = new Set(standing.map(({ id }) => id))
  const past = journal.decisionsOf(address, { limit: STORY_ENTRIES }).filter(({ id }) => !standingIds.has(id))
  const held = desired()
  const lane = laneOf({
    address,
    allowed: decisions.isAllowed(address),
    standing,
    desired: held,
    knowledge,
    now,
  })
  const registered = registeredPorts(address, { desired: held, journal, now })
  return {
    address,
    source: showPrefix(source),
    ...lane,
    notice,
    // What the notice says counts here too: where nothing is dropped, nobody is limited.
    overSipLimit: over ? { packets: over.packets, limited: notice === null && parts.sipEnforced() } : null,
    firstSeen: knowledge?.firstSeen ?? null,
    lastSeen: knowledge?.lastSeen ?? null,
    registers: knowledge?.registers ?? 0,
    challenges: knowledge?.challenges ?? 0,
    successes: knowledge?.successes ?? 0,
    failures: knowledge?.failures ?? 0,
    registersInWindow: knowledge?.registersInWindow ?? 0,
    accounts: knowledge?.accounts ?? [],
    userAgents: knowledge?.userAgents ?? [],
    aggregator: knowledge?.aggregator ?? false,
    accountsBehind: knowledge?.accountsBehind ?? 0,
    evidence: evidenceOf(knowledge, now),
    exchanges: (knowledge?.exchanges ?? []).map(exchangeView),
    exchangesLetGo: knowledge?.exchangesLetGo ?? 0,
    registeredPorts: registered,
    endpoints: (knowledge?.endpoints ?? []).map(endpointView),
    wouldChange: whatWouldChange({
      address,
      lane: lane.lane,
      standing,
      configuredAllow: decisions.configuredAllow ?? [],
      knowledge,
      policy: parts.config().policy,
      registered,
      now,
    }),
    decisions: standing.map((decision) => decisionView(decision, now, drops)),
    verdicts: journal.verdictsOf(source, { limit: STORY_ENTRIES }).map(verdictView),
    pastDecisions: past.map((decision) => decisionView(decision, now)),
  }
}
