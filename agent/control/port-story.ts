import type { PortStory, SourceStory } from '../../dashboard/api/source-story.ts'
import type { Address } from '../../registrar/net/address.ts'
import { showSource } from '../../registrar/net/address.ts'
import { laneOfPort, type SourceFacts } from './source-lane.ts'

/** What of a source's story is about one of its ports. */
export function portStory(
  { address, port }: { readonly address: Address; readonly port: number },
  of: { readonly facts: SourceFacts } & Pick<
    SourceStory,
    'decisions' | 'verdicts' | 'pastDecisions' | 'exchanges' | 'registeredPorts'
  >,
): PortStory {
  const source = showSource({ address, port })
  const isMeant = ({ target }: { readonly target: string }) => target === source
  return {
    source,
    ...laneOfPort(port, of.facts),
    registered: of.registeredPorts?.first.find((each) => each.source === source) ?? null,
    decisions: of.decisions.filter(isMeant),
    verdicts: of.verdicts.filter((verdict) => verdict.port === port),
    pastDecisions: of.pastDecisions.filter(isMeant),
    exchanges: (of.exchanges ?? []).filter((exchange) => exchange.source === source),
  }
}
