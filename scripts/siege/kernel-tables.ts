/** Bytes that the kernel holds for one source in a hashlimit table: an object of its cache, by /proc/slabinfo. */
const HASHLIMIT_ENTRY = 128

/** What the firewall of the softswitch's host takes of the kernel's memory, in bytes. */
export interface KernelTables {
  /** As ipset says itself. */
  readonly sets: number
  /** As many entries as there are now, at what one takes. */
  readonly limits: number
}

/** Runs a program on the host whose tables they are, and gives what it wrote. */
export type RunThere = (program: string, args: readonly string[]) => Promise<string>

/** Costs the kernel a walk through all tables, so it is asked for once. */
export async function kernelTables(run: RunThere): Promise<KernelTables> {
  const sets = await run('ipset', ['list', '-t']).catch(() => '')
  const folder = '/proc/net/ipt_hashlimit'
  const names = (await run('ls', [folder]).catch(() => '')).split('\n').filter(Boolean)
  const files = names.map((name) => `${folder}/${name}`)
  const counted = files.length === 0 ? '' : await run('wc', ['-l', ...files]).catch(() => '')
  return { sets: readSetMemory(sets), limits: readEntries(counted) * HASHLIMIT_ENTRY }
}

/** The sum of what `ipset list -t` says of its sets. */
export function readSetMemory(listed: string): number {
  const sizes = [...listed.matchAll(/^Size in memory: (\d+)$/gm)]
  return sizes.reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}

/** Lines of all files but the total that `wc -l` adds. */
export function readEntries(counted: string): number {
  const lines = [...counted.matchAll(/^\s*(\d+) (\S+)$/gm)].filter(([, , name]) => name !== 'total')
  return lines.reduce((sum, [, entries]) => sum + Number(entries), 0)
}
