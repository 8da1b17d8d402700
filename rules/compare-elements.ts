import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { ElementKey, Until } from './elements.ts'
import type { ObservedElement } from './kernel.ts'
import { endOf, planElement, READ_TOLERANCE } from './plan-elements.ts'
import { takeTurns } from './take-turns.ts'

export interface Comparison {
  /** Elements that somebody else took out or put in, with what the kernel holds of them now. */
  readonly foreign: ReadonlyMap<ElementKey, Until | undefined>
  /** Elements whose time has to be renewed. */
  readonly due: ReadonlyMap<ElementKey, Until>
  /** Elements that ended, as they should. */
  readonly ended: readonly ElementKey[]
  /** What somebody else did, in words: one sentence a set. */
  readonly found: readonly string[]
}

/** Around its end an element may be there or not: the kernel's seconds are not ours. */
const GRACE = 3_000

/**
 * Compares what the kernel was left with (`held`) to what is seen in one set, for the sake of what is wanted. Gives
 * others their turn between thousands of elements; `isBusy` tells which of them are being changed at that moment.
 */
export async function compareElements(input: {
  readonly name: string
  readonly wanted: {
    get(key: ElementKey): Until | undefined
    of(set: string): Iterable<readonly [ElementKey, Until]>
  }
  readonly held: ReadonlyMap<ElementKey, Until>
  readonly seen: ReadonlyMap<string, ObservedElement>
  readonly isBusy: (key: ElementKey) => boolean
  /** When the kernel was read. */
  readonly now: EpochMilliseconds
}): Promise<Comparison> {
  const { name, wanted, held, seen, isBusy, now } = input
  const foreign = new Map<ElementKey, Until | undefined>()
  const due = new Map<ElementKey, Until>()
  const ended: ElementKey[] = []
  let gone = 0
  let strange = 0
  let common = 0
  const start = name.length + 1
  for await (const entries of takeTurns(wanted.of(name))) {
    for (const [key, until] of entries) {
      const element = seen.get(key.slice(start))
      if (element) common++
      if (until <= now + GRACE || isBusy(key)) continue
      if (!element) {
        foreign.set(key, undefined)
        gone++
      } else if (planElement(key, until, endOf(element, now), now, READ_TOLERANCE) !== undefined) {
        due.set(key, endOf(element, now))
      }
    }
  }
  // Mostly all that is there is wanted, and need not be looked at again.
  for await (const elements of takeTurns(common < seen.size ? seen : [])) {
    for (const [text, element] of elements) {
      const key = `${name} ${text}`
      const until = endOf(element, now)
      if (wanted.get(key) !== undefined || isBusy(key) || until <= now + GRACE) continue
      foreign.set(key, until)
      strange++
    }
  }
  for await (const elements of takeTurns(held)) {
    for (const [key, until] of elements) {
      if (until <= now && !seen.has(key.slice(start))) ended.push(key)
    }
  }
  return {
    foreign,
    due,
    ended,
    found: [
      ...(gone > 0 ? [`elements of the set ${name} were gone: ${gone}`] : []),
      ...(strange > 0 ? [`foreign elements were in the set ${name}: ${strange}`] : []),
    ],
  }
}
