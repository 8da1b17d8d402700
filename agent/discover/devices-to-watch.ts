import { captureDevices, type LinkFacts } from './interfaces.ts'
import { readLinkFacts } from './link-facts.ts'

/** A device to listen on, and which of its frames: on a bridge's member those that come in, on it those that it sends. */
export interface WatchedDevice {
  readonly name: string
  readonly frames: 'all' | 'inbound' | 'outbound'
}

/**
 * Where to listen for the traffic of the protected interfaces, as they stand now, so that each packet is seen once.
 * `listed`: the protected addresses are not this host's own, so a bridge may carry what is for them.
 * Where the facts cannot be read all of them are listened on: to count twice is better than to be blind.
 */
export async function devicesToWatch(
  protectedInterfaces: readonly string[],
  { listed }: { readonly listed: boolean },
): Promise<readonly WatchedDevice[]> {
  if (protectedInterfaces.length < 2 && !listed) return protectedInterfaces.map(whole)
  try {
    const links = await readLinkFacts()
    const names = captureDevices(protectedInterfaces, links)
    return listed ? names.flatMap((name) => openBridge(name, links)) : names.map(whole)
  } catch {
    return protectedInterfaces.map(whole)
  }
}

/**
 * A bridge shows its host's own frames only, and what it carries not before the rules have dropped some of it. So its
 * members are listened on for what comes in, and itself for what its host sends.
 */
function openBridge(name: string, links: readonly LinkFacts[]): readonly WatchedDevice[] {
  const members = links.filter((link) => link.master === name && link.memberKind === 'bridge')
  if (members.length === 0) return [whole(name)]
  return [
    { name, frames: 'outbound' },
    ...members.map((member) => ({ name: member.name, frames: 'inbound' }) as const),
  ]
}

function whole(name: string): WatchedDevice {
  return { name, frames: 'all' }
}
