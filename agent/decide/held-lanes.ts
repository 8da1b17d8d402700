import { type Address, parseAddress, parsePrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { RETURNING_TIERS, type ReturningTier } from '../../rules/desired-state.ts'
import type { ObservedState } from '../../rules/kernel.ts'
import { type SetPurpose, setName } from '../../rules/names.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { ReturningEntry } from '../journal/entries.ts'
import type { HeldPort } from './proven-ports.ts'

/** Who is in a lane that outlives a restart, as the kernel's own sets tell. */
export interface HeldLanes {
  readonly proven: readonly HeldPort[]
  readonly returning: readonly ReturningEntry[]
}

/** The sets to read for that. */
export const HELD_SETS: readonly SetPurpose[] = ['pvn', 'ret1', 'ret2', 'ret3']

export const NOTHING_HELD: HeldLanes = { proven: [], returning: [] }

/**
 * Reads members of lanes out of the kernel's sets: nobody but a daemon of ours puts them there, for evidence that it had,
 * and a daemon that was killed may have had no time to write that down. What ends there ends here.
 */
export function heldLanes(sets: ObservedState['sets'], now: EpochMilliseconds): HeldLanes {
  const proven: HeldPort[] = []
  const returning: ReturningEntry[] = []
  for (const family of [4, 6] as const) {
    for (const [element, { timeout }] of sets.get(setName('pvn', family))?.elements ?? []) {
      const port = readPort(element)
      // An element without an end is none of ours.
      if (port && timeout > 0) proven.push({ ...port, until: now + timeout * 1_000 })
    }
    for (const tier of TIERS) {
      for (const [element, { timeout }] of sets.get(setName(`ret${tier}`, family))?.elements ?? []) {
        const source = parsePrefix(element)
        if (!source || timeout === 0) continue
        const at = Math.min(now, now + timeout * 1_000 - RETURNING_FOR)
        returning.push({ source, at, accounts: fewestOf(tier) })
      }
    }
  }
  return { proven, returning: returning.sort((a, b) => a.at - b.at) }
}

const TIERS = RETURNING_TIERS.map(({ tier }) => tier)

/** The kernel tells only the class; so many are behind such an address at least. */
function fewestOf(tier: ReturningTier): number {
  const below = RETURNING_TIERS.find((other) => other.tier === tier - 1)
  return below ? below.accounts + 1 : 1
}

function readPort(element: string): { readonly address: Address; readonly port: number } | undefined {
  const [, text, number] = /^([^,]+),udp:(\d{1,5})$/.exec(element) ?? []
  const address = text === undefined ? undefined : parseAddress(text)
  return address ? { address, port: Number(number) } : undefined
}
