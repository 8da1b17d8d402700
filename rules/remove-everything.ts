import { readFile } from 'node:fs/promises'
import type { Family } from '../registrar/net/address.ts'
import { IptablesKernel } from './iptables-kernel.ts'
import { type Kernel, KernelError, type ObservedState, type RefusedLine } from './kernel.ts'
import { ASIDE, JUMPS } from './names.ts'
import { namesOfOurs } from './parse-observed.ts'
import { chainRemovals, jumpRemovals, renderLines } from './plan-chains.ts'
import { runProgram } from './run-program.ts'

/** With nf_tables the rules of a transaction let go of their sets a moment after it. */
const ATTEMPTS = 40
const PAUSE = 50

/**
 * Takes the jumps, the chains and the sets away, in this order, both families, leftovers of changes that were cut short
 * included. Whatever is not ours stays as it is. Gives the names removed; none the second time. Works without a
 * daemon; close the kernel afterwards. Throws `KernelError` where something had to stay, when all else is gone: what, and
 * which rules of others hold it.
 */
export async function removeEverything(kernel: Kernel): Promise<readonly string[]> {
  const chains = await removeChains(kernel)
  const sets = await removeSets(kernel, chains.judging)
  await complain(kernel, { ...chains, heldSets: sets.held })
  return [...chains.removed, ...sets.removed]
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
    if (!failure || error === failure || !(error instanceof KernelError)) throw error
    throw new KernelError(error.kind, `${failure.message} ${error.message}`, error.line)
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
    const chains = await removeChains(kernel)
    await complain(kernel, { ...chains, heldSets: [] })
    return chains.removed
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

interface RemovedChains {
  readonly removed: readonly string[]
  /** Chains that are empty now and that others' rules lead to. */
  readonly heldChains: readonly { readonly family: Family; readonly name: string }[]
  /** Families whose chains may still judge packets, and why. */
  readonly judging: ReadonlyMap<Family, KernelError>
}

async function removeChains(kernel: Kernel): Promise<RemovedChains> {
  const observed = await observeOrUnjump(kernel)
  const removed: string[] = []
  const heldChains: { readonly family: Family; readonly name: string }[] = []
  const judging = new Map<Family, KernelError>()
  for (const family of FAMILIES) {
    const chains = observed.chains[family]
    const apply = (...lines: readonly string[]) => attempt(kernel, family, lines)
    const unreadable = observed.unreadable?.get(family)
    if (unreadable) {
      judging.set(family, await unjump(kernel, family, unreadable))
      continue
    }
    // First of all and apart from all: whatever is in the way of the rest, from here on no packet is judged.
    const jumps = jumpRemovals(chains)
    if ((await apply(...jumps)) !== undefined) for (const jump of jumps) await apply(jump)
    const names = [...chains.own.keys()]
    if ((await apply(...chainRemovals(chains))) === undefined) {
      removed.push(...names.map((name) => `${name} (IPv${family})`))
      continue
    }
    // One that a rule of somebody else leads to cannot go, and would keep all others.
    const unflushed = await apply(...names.map((name) => `-F ${name}`))
    if (unflushed) {
      judging.set(family, unflushed)
      continue
    }
    for (const name of names) {
      if ((await apply(`-X ${name}`)) === undefined) removed.push(`${name} (IPv${family})`)
      else heldChains.push({ family, name })
    }
  }
  return { removed, heldChains, judging }
}

/** Throws `KernelError` where neither family can be read. */
async function observeOrUnjump(kernel: Kernel): Promise<ObservedState> {
  try {
    return await kernel.observe({ elements: [] })
  } catch (error) {
    if (!(error instanceof KernelError)) throw error
    const [said] = [await unjump(kernel, 4, error), await unjump(kernel, 6, error)]
    throw said
  }
}

/**
 * What cannot be read may be changed all the same, and without the jumps nothing is dropped any more. Gives why it cannot
 * be read, with what was done about it.
 */
async function unjump(kernel: Kernel, family: Family, why: KernelError): Promise<KernelError> {
  const refused = await attempt(kernel, family, [JUMPS.PREROUTING.replace('-A', '-D')])
  await attempt(kernel, family, [JUMPS.OUTPUT.replace('-A', '-D')])
  if (refused) return why
  const more = `The jump to its chains was taken out all the same, so they drop nothing of IPv${family} any more.`
  return new KernelError(why.kind, `${why.message} ${more}`, why.line)
}

/** One transaction. Gives why it was refused; undefined where it was taken, or was empty. */
async function attempt(
  kernel: Kernel,
  family: Family,
  lines: readonly string[],
): Promise<KernelError | undefined> {
  if (lines.length === 0) return undefined
  try {
    await kernel.applyChains(family, renderLines(lines))
    return undefined
  } catch (error) {
    if (error instanceof KernelError) return error
    throw error
  }
}

/** Sets of families whose chains may still judge are held by those, and stay. */
async function removeSets(
  kernel: Kernel,
  judging: ReadonlyMap<Family, KernelError>,
): Promise<{ readonly removed: readonly string[]; readonly held: readonly string[] }> {
  const { sets, straySets } = await kernel.observe({ elements: [] })
  const names = [...sets.keys(), ...straySets].filter(
    (name) => ![...judging.keys()].some((family) => familyOfSet(name) === family),
  )
  const refused = await tryToDestroySets(kernel, names)
  const held = refused.map(({ line }) => line.replace('destroy ', ''))
  return { removed: names.filter((name) => !held.includes(name)), held }
}

/** Throws one `KernelError` that names what had to stay, where anything had to. */
async function complain(
  kernel: Kernel,
  {
    heldChains,
    heldSets,
    judging,
  }: Pick<RemovedChains, 'heldChains' | 'judging'> & { readonly heldSets: readonly string[] },
): Promise<void> {
  const [error] = judging.values()
  const held = [
    ...heldChains.map(({ family, name }) => ({
      family,
      name,
      says: `the empty chain ${name} (IPv${family})`,
    })),
    ...heldSets.map((name) => ({ family: familyOfSet(name), name, says: `the set ${name}` })),
  ]
  if (held.length === 0) {
    if (error) throw error
    return
  }
  const users = { 4: await usersOf(kernel, 4), 6: await usersOf(kernel, 6) }
  const stayed = held.slice(0, MOST_NAMED).map(({ family, name, says }) => {
    const [user] = users[family].filter((rule) => namesOfOurs(rule).includes(name))
    return `${says}, used by ${user === undefined ? 'something that iptables does not show' : `"${user.slice(0, LONGEST_QUOTE)}"`}`
  })
  if (held.length > MOST_NAMED) stayed.push(`and ${held.length - MOST_NAMED} more`)
  const rest = error
    ? `What could not be removed may still judge packets: ${error.message}`
    : 'All else is gone, and nothing of Ringfence drops packets any more.'
  const kind = error?.kind ?? 'refused'
  throw new KernelError(
    kind,
    `What of Ringfence had to stay: ${stayed.join('; ')}. ${rest}`,
    error?.line ?? null,
  )
}

const MOST_NAMED = 5
const LONGEST_QUOTE = 120

/** Who uses it is said where it can be asked; that it is not said must not hide what stayed. */
async function usersOf(kernel: Kernel, family: Family): Promise<readonly string[]> {
  try {
    return await kernel.usersOfOurs(family)
  } catch (error) {
    if (error instanceof KernelError) return []
    throw error
  }
}

function familyOfSet(name: string): Family {
  return name.replace(ASIDE, '').endsWith('4') ? 4 : 6
}

const FAMILIES = [4, 6] as const

/** Destroys own sets, patiently. No chain may hold them any more. Throws `KernelError` where one stays. */
export async function destroySets(kernel: Kernel, names: readonly string[]): Promise<void> {
  const [first] = await tryToDestroySets(kernel, names)
  if (!first) return
  const why = first.message.replace(/\.$/, '')
  const name = first.line.replace('destroy ', '')
  throw new KernelError('refused', `A set could not be removed: ${name}: ${why}.`, first.line)
}

/** Gives those that something holds. */
async function tryToDestroySets(kernel: Kernel, names: readonly string[]): Promise<readonly RefusedLine[]> {
  let commands = names.map((name) => `destroy ${name}`)
  for (let attempt = 1; commands.length > 0; attempt++) {
    const refused = await kernel.applySets(commands)
    if (refused.length === 0 || attempt === ATTEMPTS) return refused
    commands = refused.map(({ line }) => line)
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
  }
  return []
}
