import { type Family, parsePrefix, prefixOf, splitPrefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { DesiredState } from './desired-state.ts'
import { type ElementKey, keyOfBlock, keyOfSuspension } from './elements.ts'
import type { ObservedElement, ObservedState } from './kernel.ts'
import { setName } from './names.ts'
import type { KernelCounters } from './status.ts'

export type Dropped = KernelCounters['dropped']

const NOTHING: Dropped = { blocks: 0, suspensions: 0, registerLimit: 0, sipLimit: 0 }

/** Reads the counters of sets that were observed with their elements. Expired items of the desired state are left out. */
export function readCounters(
  desired: DesiredState,
  observed: ObservedState,
  now: EpochMilliseconds,
): Omit<KernelCounters, 'dropped'> {
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
    blocks: desired.blocks.flatMap((block) => {
      const element = isOver(block.until) ? undefined : find(keyOfBlock(block))
      return element ? [{ block, ...counted(element) }] : []
    }),
    suspensions: desired.suspensions.flatMap((suspension) => {
      const element = isOver(suspension.until) ? undefined : find(keyOfSuspension(suspension))
      return element ? [{ suspension, ...counted(element) }] : []
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

/** Sums what the rules dropped, across rules being replaced, which takes their counters back to zero. */
export class DropTotals {
  #total: Dropped = NOTHING
  #last: Dropped | undefined

  get total(): Dropped {
    return this.#total
  }

  /** The first observation is where counting begins. */
  observe(observed: ObservedState): void {
    const now = sumDrops(observed)
    const last = this.#last ?? now
    const grown = (key: keyof Dropped) =>
      this.#total[key] + (now[key] < last[key] ? now[key] : now[key] - last[key])
    this.#total = {
      blocks: grown('blocks'),
      suspensions: grown('suspensions'),
      registerLimit: grown('registerLimit'),
      sipLimit: grown('sipLimit'),
    }
    this.#last = now
  }
}

function sumDrops(observed: ObservedState): Dropped {
  const sums = { ...NOTHING }
  for (const family of [4, 6] as const) {
    for (const { text, packets } of [...observed.chains[family].own.values()].flat()) {
      if (!text.endsWith(' -j DROP')) continue
      if (/--match-set rf-(sip|reg)\d /.test(text)) sums.blocks += packets
      else if (/--match-set rf-sus[ap]\d /.test(text)) sums.suspensions += packets
      else if (text.includes('--hashlimit-name rf-reg')) sums.registerLimit += packets
      else if (text.startsWith('-A RINGFENCE-OVER ')) sums.sipLimit += packets
    }
  }
  return sums
}
