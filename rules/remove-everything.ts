import { type Kernel, KernelError } from './kernel.ts'
import { SETS } from './names.ts'
import { renderRemoval } from './plan-chains.ts'

/** With nf_tables the rules of a transaction let go of their sets a moment after it. */
const ATTEMPTS = 40
const PAUSE = 50

/**
 * Takes the jump, the chains and the sets away, in this order, both families. Whatever is not ours stays as it is.
 * Gives the names removed; none the second time. Works without a daemon; close the kernel afterwards.
 */
export async function removeEverything(kernel: Kernel): Promise<readonly string[]> {
  const observed = await kernel.observe({ elements: false })
  const removed: string[] = []
  for (const family of [4, 6] as const) {
    const chains = observed.chains[family]
    const text = renderRemoval(chains)
    if (text === undefined) continue
    await kernel.applyChains(family, text)
    removed.push(...[...chains.own.keys()].map((name) => `${name} (IPv${family})`))
  }
  const names = SETS.filter(({ name }) => observed.sets.has(name)).map(({ name }) => name)
  await destroySets(kernel, names)
  return [...removed, ...names]
}

/** Destroys own sets, patiently. No chain may hold them any more. */
export async function destroySets(kernel: Kernel, names: readonly string[]): Promise<void> {
  let commands = names.map((name) => `destroy ${name}`)
  for (let attempt = 1; commands.length > 0; attempt++) {
    const refused = await kernel.applySets(commands)
    const first = refused[0]
    if (!first) return
    if (attempt === ATTEMPTS) {
      throw new KernelError('refused', `A set could not be removed: ${first.message}.`, first.line)
    }
    commands = refused.map(({ line }) => line)
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
}
