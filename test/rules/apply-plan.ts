import type { Kernel } from '../../rules/kernel.ts'
import type { Plan } from './whole-plan.ts'

/** Applies a plan without any of the engine's care, and insists that every line is taken. */
export async function applyPlan(kernel: Kernel, plan: Plan): Promise<void> {
  if (plan.rebuild.length + plan.replaceSets.length > 0) throw new Error('that is left to the engine')
  const lines = async (some: readonly string[]) => {
    const refused = await kernel.applySets(some)
    if (refused.length > 0) throw new Error(JSON.stringify(refused))
  }
  await lines(plan.destroySets)
  await lines(plan.createSets)
  await lines(plan.standing)
  for (const family of [4, 6] as const) {
    const text = plan.chains[family]
    if (text !== undefined) await kernel.applyChains(family, text)
  }
  await lines(plan.elements)
}
