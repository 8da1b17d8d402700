/** What one list has that the other has not. */
export interface Difference<T> {
  readonly removed: readonly T[]
  readonly added: readonly T[]
}

/** So far it is looked ahead for an item that was taken out or put in. */
const LOOK_AHEAD = 32

/**
 * How one list became another. Two lists that share most of their items, in the same order, are compared by one walk;
 * only what stands elsewhere in both is looked for by reference.
 */
export function findDifference<T extends object | string>(
  before: readonly T[],
  after: readonly T[],
  isSame: (a: T, b: T) => boolean,
): Difference<T> {
  const removed: T[] = []
  const added: T[] = []
  if (before === after) return { removed, added }
  let b = 0
  let a = 0
  const isPair = (i: number, j: number) =>
    i < before.length && j < after.length && (before[i] === after[j] || isSame(before[i]!, after[j]!))
  while (b < before.length && a < after.length) {
    if (isPair(b, a)) {
      b++
      a++
      continue
    }
    const step = stepOver(b, a, isPair)
    if (!step) break
    for (const end = b + step.removed; b < end; b++) removed.push(before[b]!)
    for (const end = a + step.added; a < end; a++) added.push(after[a]!)
  }
  if (a === after.length) return { removed: [...removed, ...before.slice(b)], added }
  if (b === before.length) return { removed, added: [...added, ...after.slice(a)] }
  const [restBefore, restAfter] = [before.slice(b), after.slice(a)]
  const [inBefore, inAfter] = [new Set(restBefore), new Set(restAfter)]
  return {
    removed: [...removed, ...restBefore.filter((item) => !inAfter.has(item))],
    added: [...added, ...restAfter.filter((item) => !inBefore.has(item))],
  }
}

/** How many items to step over until the lists agree again; undefined where that is not near. */
function stepOver(
  b: number,
  a: number,
  isPair: (b: number, a: number) => boolean,
): { readonly removed: number; readonly added: number } | undefined {
  if (isPair(b + 1, a + 1)) return { removed: 1, added: 1 }
  for (let step = 1; step <= LOOK_AHEAD; step++) {
    if (isPair(b + step, a)) return { removed: step, added: 0 }
    if (isPair(b, a + step)) return { removed: 0, added: step }
  }
  return undefined
}
