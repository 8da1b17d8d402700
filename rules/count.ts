import { type Family, parsePrefix, prefixOf, splitPrefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { DesiredState } from './desired-state.ts'
import { type ElementKey, keyOfBlock, keysOfSuspension } from './elements.ts'
import { itemsOf } from './find-difference.ts'
import type { ObservedElement, ObservedState } from './kernel.ts'
import { setName } from './names.ts'
import type { KernelCounters } from './status.ts'

/** Reads the counters of `COUNTED_SETS`, observed with their elements. Expired items of the desired state are left out. */
export function readCounters(
  desired: DesiredState,
  observed: ObservedState,
  now: EpochMilliseconds,
): Pick<KernelCounters, 'blocks' | 'suspensions' | 'wouldLimit'> {
  const find = (key: ElementKey): ObservedElement | undefined => {
    const space = key.indexOf(' ')
    return observed.sets.get(key.slice(0, space))?.elements?.get(key.slice(space + 1))
  }
  const isOver = (until: EpochMilliseconds | null) => until !== null && until <= now
  const counted = ({ packets, bytes, timeout }: ObservedElement) => ({
    packets,
    bytes,
    remaining: timeout === 0 ? null : timeout,
  })
  return {
    blocks: itemsOf(desired.blocks).flatMap((block) => {
      const element = isOver(block.until) ? undefined : find(keyOfBlock(block))
      return element ? [{ block, ...counted(element) }] : []
    }),
    suspensions: itemsOf(desired.suspensions).flatMap((suspension) => {
      if (isOver(suspension.until)) return []
      const [registers, others] = keysOfSuspension(suspension).map(find)
      if (!registers) return []
      const { packets, bytes, remaining } = counted(registers)
      return [
        {
          suspension,
          packets: packets + (others?.packets ?? 0),
          bytes: bytes + (others?.bytes ?? 0),
          remaining,
        },
      ]
    }),
    wouldLimit: ([4, 6] as const)
      .flatMap((family) => listOver(family, observed))
      .sort((a, b) => b.packets - a.packets),
  }
}

function listOver(family: Family, observed: ObservedState): KernelCounters['wouldLimit'][number][] {
  const elements = observed.sets.get(setName('wsip', family))?.elements ?? new Map<string, ObservedElement>()
  return [...elements].flatMap(([text, { packets, bytes }]) => {
    const listed = parsePrefix(text)
    if (!listed) return []
    const source = family === 4 ? listed : prefixOf(splitPrefix(listed).address, 64)
    return [{ source, packets, bytes }]
  })
}
