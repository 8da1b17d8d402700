import { readFile } from 'node:fs/promises'
import type { Family } from '../registrar/net/address.ts'
import { IptablesKernel } from './iptables-kernel.ts'
import { type Kernel, KernelError } from './kernel.ts'
import { ASIDE } from './names.ts'
import { renderRemoval } from './plan-chains.ts'
import { runProgram } from './run-program.ts'

/** With nf_tables the rules of a transaction let go of their sets a moment after it. */
const ATTEMPTS = 40
const PAUSE = 50

/**
 * Takes the jumps, the chains and the sets away, in this order, both families, leftovers of changes that were cut short
 * included. Whatever is not ours stays as it is. Gives the names removed; none the second time. Works without a
 * daemon; close the kernel afterwards. Throws `KernelError` where something had to stay, when all else is gone.
 */
export async function removeEverything(kernel: Kernel): Promise<readonly string[]> {
  const { removed, failure } = await removeChains(kernel)
  const sets = await removeSets(kernel, failure ? failure.families : [])
  if (failure) throw failure.error
  return [...removed, ...sets]
}

/**
 * The same on this host for both kinds of iptables: whoever switched from one to the other has our chains in both,
 * and sets that a chain of either holds cannot go. Throws what was refused, when all else is gone.
 */
export async function removeFromEveryBackend(): Promise<readonly string[]> {
  const { removed, failure } = await triedToRemove(removeFromOtherBackend)
  const kernel = new IptablesKernel()
  try {
    const all = [...removed, ...(await removeEverything(kernel))]
    if (failure) throw failure
    return [...new Set(all)]
  } catch (error) {
    // What the chains of the other kind hold cannot go, and that those stayed is the reason.
    throw failure ?? error
  } finally {
    await kernel.close()
  }
}

/**
 * Takes our chains away that the other kind of iptables holds than the one that this host uses now. Sets stay, and so
 * does whatever is not ours. Gives the names removed; none where there is no other kind. Throws `KernelError`.
 */
export async function removeFromOtherBackend(): Promise<readonly string[]> {
  const version = await runProgram({ program: 'iptables', arguments: ['--version'], netns: undefined })
  const other = version.includes('nf_tables') ? 'iptables-legacy' : 'iptables-nft'
  // To ask for the legacy tables would make them where there are none.
  if (other === 'iptables-legacy' && !(await hasLegacyTables())) return []
  const kernel = new IptablesKernel({ iptables: other })
  try {
    const { removed, failure } = await removeChains(kernel)
    if (failure) throw failure.error
    return removed
  } catch (error) {
    if (error instanceof KernelError && isAbsent(error)) return []
    throw error
  } finally {
    await kernel.close()
  }
}

/** Runs a removal, and keeps what the kernel refused for when the rest is done. */
async function triedToRemove(remove: () => Promise<readonly string[]>): Promise<{
  readonly removed: readonly string[]
  readonly failure: KernelError | undefined
}> {
  try {
    return { removed: await remove(), failure: undefined }
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    return { removed: [], failure: error }
  }
}

/** Neither programs that are not installed nor a kernel without nf_tables hold chains. */
function isAbsent({ kind, message }: KernelError): boolean {
  return kind === 'missing-program' || message.includes('Could not fetch rule set generation id')
}

async function hasLegacyTables(): Promise<boolean> {
  for (const file of ['/proc/net/ip_tables_names', '/proc/net/ip6_tables_names']) {
    const names = await readFile(file, 'utf8').catch(() => '')
    if (names.split('\n').includes('raw')) return true
  }
  return false
}

/** `failure`: the families whose chains are still there, or may be. */
async function removeChains(kernel: Kernel): Promise<{
  readonly removed: readonly string[]
  readonly failure: { readonly families: readonly Family[]; readonly error: KernelError } | undefined
}> {
  const observed = await kernel.observe({ elements: [] })
  const removed: string[] = []
  const failures = new Map(observed.unreadable)
  for (const family of FAMILIES) {
    const chains = observed.chains[family]
    const text = renderRemoval(chains)
    if (text === undefined) continue
    try {
      await kernel.applyChains(family, text)
      removed.push(...[...chains.own.keys()].map((name) => `${name} (IPv${family})`))
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      failures.set(family, error)
    }
  }
  const [error] = failures.values()
  return { removed, failure: error && { families: [...failures.keys()], error } }
}

async function removeSets(kernel: Kernel, except: readonly Family[] = []): Promise<readonly string[]> {
  const { sets, straySets } = await kernel.observe({ elements: [] })
  const names = [...sets.keys(), ...straySets].filter(
    (name) => !except.some((family) => name.replace(ASIDE, '').endsWith(String(family))),
  )
  await destroySets(kernel, names)
  return names
}

const FAMILIES = [4, 6] as const

/** Destroys own sets, patiently. No chain may hold them any more. */
export async function destroySets(kernel: Kernel, names: readonly string[]): Promise<void> {
  let commands = names.map((name) => `destroy ${name}`)
  for (let attempt = 1; commands.length > 0; attempt++) {
    const refused = await kernel.applySets(commands)
    const first = refused[0]
    if (!first) return
    if (attempt === ATTEMPTS) {
      const name = first.line.replace('destroy ', '')
      const why = first.message.replace(/\.$/, '')
      throw new KernelError('refused', `A set could not be removed: ${name}: ${why}.`, first.line)
    }
    commands = refused.map(({ line }) => line)
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
}
