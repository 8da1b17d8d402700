import type { Family } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { type ElementKey, isStanding, LOG_KEYS, listElements, type Until } from '../../rules/elements.ts'
import type { ObservedChains, ObservedState } from '../../rules/kernel.ts'
import { defineSets, type SetDefinition, setName, WRITTEN_SETS } from '../../rules/names.ts'
import { planRebuild, planReplacements, renderCreate } from '../../rules/plan.ts'
import { describeChains, NO_CHAINS, renderRestore } from '../../rules/plan-chains.ts'
import { planElement, readHeld } from '../../rules/plan-elements.ts'
import { type RenderedChains, renderChains } from '../../rules/render-chains.ts'

/*
 * The whole way from one state to another at once, put together from the pieces that the reconciliation goes in steps:
 * a second opinion on what it comes to.
 */

/** What has to be done, in this order. Every part is idempotent. */
export interface Plan {
  /** Sets that a change that was cut short, or another version, left behind: `destroy …`. */
  readonly destroySets: readonly string[]
  /**
   * Families whose chains and sets have to go first, since a set of theirs is of another type and chains hold it.
   * They are built anew by the rest of the plan.
   */
  readonly rebuild: readonly Family[]
  /** `create …` */
  readonly createSets: readonly string[]
  /** Sets of another size: each is built aside, filled and swapped in. */
  readonly replaceSets: readonly SetDefinition[]
  /** Allowed sources, gateways and protected destinations to add: the chains need them to be right from the start. */
  readonly standing: readonly string[]
  /** One payload of `iptables-restore --noflush` a family. */
  readonly chains: { readonly 4: string | undefined; readonly 6: string | undefined }
  /** All other elements, `add …` and `del …`. */
  readonly elements: readonly string[]
}

/**
 * Plans the way from what the kernel holds to what is desired. The elements of `WRITTEN_SETS` must have been observed.
 * Chains of a family that could not be read are not planned.
 */
export function planChanges(desired: DesiredState, observed: ObservedState, now: EpochMilliseconds): Plan {
  const definitions = defineSets(desired.sizes)
  const rebuild = planRebuild(observed.sets, definitions)
  const kept = (family: Family) => !rebuild.includes(family)
  const held = new Map<ElementKey, Until>()
  for (const family of ([4, 6] as const).filter(kept)) {
    for (const purpose of WRITTEN_SETS) {
      const name = setName(purpose, family)
      for (const [key, until] of readHeld(name, observed.sets.get(name), now)) held.set(key, until)
    }
  }
  const wanted = listElements(desired)
  const standing: string[] = []
  const elements: string[] = []
  for (const key of new Set([...wanted.keys(), ...held.keys()])) {
    const line = planElement(key, wanted.get(key), held.get(key), now)
    if (line === undefined) continue
    // That is no part of a configuration: it follows whoever reads the log.
    if (LOG_KEYS.includes(key) && !wanted.has(key)) continue
    if (isStanding(key) && line.startsWith('add')) standing.push(line)
    else elements.push(line)
  }
  const chains = (family: Family) =>
    observed.unreadable?.has(family)
      ? undefined
      : planChains(renderChains(desired, family), kept(family) ? observed.chains[family] : NO_CHAINS)
  return {
    destroySets: observed.straySets.map((name) => `destroy ${name}`),
    rebuild,
    createSets: definitions
      .filter(({ name, family }) => !observed.sets.has(name) || !kept(family))
      .map((definition) => renderCreate(definition)),
    replaceSets: planReplacements(observed.sets, definitions).filter(({ family }) => kept(family)),
    standing,
    chains: { 4: chains(4), 6: chains(6) },
    elements,
  }
}

export function isEmptyPlan(plan: Plan): boolean {
  const { destroySets, rebuild, createSets, replaceSets, standing, chains, elements } = plan
  const lists = [destroySets, rebuild, createSets, replaceSets, standing, elements]
  return lists.every((list) => list.length === 0) && chains[4] === undefined && chains[6] === undefined
}

/** The payload that brings the chains of one family into the desired form; undefined where they are in it. */
function planChains(rendered: RenderedChains, observed: ObservedChains): string | undefined {
  return describeChains(rendered, observed) === undefined ? undefined : renderRestore(rendered, observed)
}
