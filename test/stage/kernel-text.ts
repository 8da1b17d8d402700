import type { StageHost } from './stage.ts'

/** All rules and the sets' names, without counters and the comments that carry the time. */
export async function kernelText({ namespace }: StageHost): Promise<string> {
  const rules = await namespace.run('iptables-save')
  const rules6 = await namespace.run('ip6tables-save')
  const sets = await namespace.run('ipset', 'list', '-n')
  return `${rules}\n${rules6}\n`.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '') + sets
}

/** What the kernel dropped for a member of a set; undefined where the set does not hold it. */
export async function dropsOf(
  { namespace }: StageHost,
  set: string,
  member: string,
): Promise<number | undefined> {
  const listed = await namespace.run('ipset', 'list', set)
  const line = listed.split('\n').find((text) => text.startsWith(`${member} `))
  return line === undefined ? undefined : Number(/packets (\d+)/.exec(line)?.[1])
}
