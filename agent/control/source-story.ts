import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { type Address, showPrefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { KernelCounters } from '../../rules/status.ts'
import type { DaemonParts } from './parts.ts'
import { portStory } from './port-story.ts'
import { registeredPorts } from './registered-ports.ts'
import { endpointView, evidenceOf, exchangeView } from './source-evidence.ts'
import { laneOf } from './source-lane.ts'
import { type DropIndex, decisionView, verdictView } from './views.ts'
import { whatWouldChange } from './would-change.ts'

const STORY_ENTRIES = 20
/** Among which those of one port are looked for. */
const MOST_LOOKED_AT = 400
const UNANSWERED =
  'The sensor did not answer: what was seen of it is not known now. `ringfence status` and the log say why.'

/** What is known of one source: from the sensor, from the decisions that stand, and from the journal. */
export async function tellStory(
  address: Address,
  parts: Pick<DaemonParts, 'clock' | 'config' | 'decisions' | 'desired' | 'explainSource' | 'journal'> & {
    readonly drops: DropIndex | undefined
    readonly overSipLimit: KernelCounters['wouldLimit']
    readonly sipEnforced: () => boolean
    readonly notice: string | null
    /** The port of the address that is asked about; null where the whole address is. */
    readonly port: number | null
  },
): Promise<SourceStory> {
  const { clock, decisions, desired, explainSource, journal, drops, notice, port } = parts
  const answer = await explainSource(address)
  const knowledge = answer ?? null
  const now = clock()
  const source = sourcePrefixOf(address)
  const over = parts.overSipLimit.find((entry) => entry.source === source)
  const standing = decisions.about(address)
  const standingIds = new Set(standing.map(({ id }) => id))
  const limit = port === null ? STORY_ENTRIES : MOST_LOOKED_AT
  const pastDecisions = journal
    .decisionsOf(address, { limit })
    .filter(({ id }) => !standingIds.has(id))
    .map((decision) => decisionView(decision, now))
  const held = desired()
  const facts = {
    address,
    allowed: decisions.isAllowed(address),
    standing,
    desired: held,
    knowledge: answer,
    now,
  }
  const lane = laneOf(facts)
  const registered = registeredPorts(address, {
    desired: held,
    journal,
    now,
    port,
    bound: knowledge?.bound ?? [],
  })
  const standingViews = standing.map((decision) => decisionView(decision, now, drops))
  const verdicts = journal.verdictsOf(source, { limit }).map(verdictView)
  const exchanges = (knowledge?.exchanges ?? []).map(exchangeView)
  const lists = { decisions: standingViews, verdicts, pastDecisions, exchanges, registeredPorts: registered }
  return {
    address,
    source: showPrefix(source),
    ...lane,
    notice,
    ...(answer === undefined ? { unanswered: UNANSWERED } : {}),
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
    exchanges,
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
    ...(port === null ? {} : { port: portStory({ address, port }, { facts, ...lists }) }),
    decisions: standingViews,
    verdicts: verdicts.slice(0, STORY_ENTRIES),
    pastDecisions: pastDecisions.slice(0, STORY_ENTRIES),
  }
}
