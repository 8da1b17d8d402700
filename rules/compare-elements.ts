import type { EpochMilliseconds } from '../registrar/net/time.ts'
import type { ElementKey, Until } from './elements.ts'
import { planElement } from './plan-elements.ts'

export interface Comparison {
  /** Elements that have to be written again, with what the kernel holds of them now. */
  readonly changed: ReadonlyMap<ElementKey, Until | undefined>
  /** Elements that ended, as they should. */
  readonly ended: readonly ElementKey[]
  /** What somebody else did, in words: one sentence a set. */
  readonly found: readonly string[]
}

/** Around its end an element may be there or not: the kernel's seconds are not ours. */
const GRACE = 3_000

/** Compares what the kernel was left with (`held`) to what is seen in it, for the sake of what is wanted. */
export function compareElements(input: {
  readonly wanted: { get(key: ElementKey): Until | undefined; keys(): Iterable<ElementKey> }
  readonly held: ReadonlyMap<ElementKey, Until>
  readonly seen: ReadonlyMap<ElementKey, Until>
  readonly isBusy: (key: ElementKey) => boolean
  readonly now: EpochMilliseconds
}): Comparison {
  const { wanted, held, seen, isBusy, now } = input
  const changed = new Map<ElementKey, Until | undefined>()
  const ended: ElementKey[] = []
  const gone = new Map<string, number>()
  const foreign = new Map<string, number>()
  for (const key of wanted.keys()) {
    const until = wanted.get(key)
    if (until === undefined || until <= now + GRACE || isBusy(key)) continue
    if (planElement(key, until, seen.get(key), now) === undefined) continue
    changed.set(key, seen.get(key))
    if (!seen.has(key)) count(gone, key)
  }
  for (const [key, until] of seen) {
    if (wanted.get(key) !== undefined || isBusy(key) || until <= now + GRACE) continue
    changed.set(key, until)
    count(foreign, key)
  }
  for (const [key, until] of held) if (until <= now && !seen.has(key)) ended.push(key)
  return {
    changed,
    ended,
    found: [
      ...[...gone].map(([name, amount]) => `elements of the set ${name} were gone: ${amount}`),
      ...[...foreign].map(([name, amount]) => `foreign elements were in the set ${name}: ${amount}`),
    ],
  }
}

function count(amounts: Map<string, number>, key: ElementKey): void {
  const name = key.slice(0, key.indexOf(' '))
  amounts.set(name, (amounts.get(name) ?? 0) + 1)
}
