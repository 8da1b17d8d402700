import type { Family } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { DesiredState } from './desired-state.ts'
import { type ElementKey, isListing, isStanding, listElements, type Until } from './elements.ts'
import type { ObservedSet, ObservedState } from './kernel.ts'
import { SETS } from './names.ts'
import { NO_CHAINS, planChains } from './plan-chains.ts'
import { planElement, readHeld } from './plan-elements.ts'
import { renderChains } from './render-chains.ts'

/** What has to be done, in this order. Every part is idempotent. */
export interface Plan {
  /**
   * Families whose chains and sets have to go first, since a set of theirs is of another form and chains hold it.
   * They are built anew by the rest of the plan.
   */
  readonly rebuild: readonly Family[]
  /** `create …` */
  readonly createSets: readonly string[]
  /** Allowed sources and protected destinations to add: the chains need them to be right from the start. */
  readonly standing: readonly string[]
  /** One payload of `iptables-restore --noflush` a family. */
  readonly chains: { readonly 4: string | undefined; readonly 6: string | undefined }
  /** All other elements, `add …` and `del …`. */
  readonly elements: readonly string[]
}

/** Plans the way from what the kernel holds to what is desired. Observed elements must be there. */
export function planChanges(desired: DesiredState, observed: ObservedState, now: EpochMilliseconds): Plan {
  const rebuild = planRebuild(observed.sets)
  const kept = (family: Family) => !rebuild.includes(family)
  const held = new Map<ElementKey, Until>()
  for (const { name, family } of SETS) {
    if (!isListing(name) && kept(family)) readHeld(held, name, observed.sets.get(name), now)
  }
  const wanted = listElements(desired)
  const standing: string[] = []
  const elements: string[] = []
  for (const key of new Set([...wanted.keys(), ...held.keys()])) {
    const line = planElement(key, wanted.get(key), held.get(key), now)
    if (line === undefined) continue
    if (isStanding(key) && line.startsWith('add')) standing.push(line)
    else elements.push(line)
  }
  const chains = (family: Family) =>
    planChains(renderChains(desired, family), kept(family) ? observed.chains[family] : NO_CHAINS)
  return {
    rebuild,
    createSets: planSets(observed.sets, rebuild),
    standing,
    chains: { 4: chains(4), 6: chains(6) },
    elements,
  }
}

export function isEmptyPlan(plan: Plan): boolean {
  const { rebuild, createSets, standing, chains, elements } = plan
  return (
    rebuild.length + createSets.length + standing.length + elements.length === 0 &&
    chains[4] === undefined &&
    chains[6] === undefined
  )
}

/** Families of which a set exists in another form, as another version of Ringfence may have left it. */
export function planRebuild(sets: ReadonlyMap<string, ObservedSet>): readonly Family[] {
  const families = SETS.filter(({ name, form }) => sets.has(name) && sets.get(name)!.form !== form).map(
    (set) => set.family,
  )
  return [...new Set(families)]
}

export function planSets(
  sets: ReadonlyMap<string, ObservedSet>,
  rebuild: readonly Family[],
): readonly string[] {
  return SETS.filter(({ name, family }) => !sets.has(name) || rebuild.includes(family)).map(
    ({ name, form, extra }) => `create ${name} ${form}${extra} -exist`,
  )
}
