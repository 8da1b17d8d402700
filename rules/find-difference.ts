/** Where two lists differ: `before[start..beforeEnd)` was replaced by `after[start..afterEnd)`. */
export interface Difference {
  readonly start: number
  readonly beforeEnd: number
  readonly afterEnd: number
}

/** The part in which two lists differ: what is left without their common start and end. */
export function findDifference<T>(
  before: readonly T[],
  after: readonly T[],
  isSame: (a: T, b: T) => boolean,
): Difference {
  if (before === after) return { start: 0, beforeEnd: 0, afterEnd: 0 }
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && isSame(before[start]!, after[start]!)) start++
  let beforeEnd = before.length
  let afterEnd = after.length
  while (beforeEnd > start && afterEnd > start && isSame(before[beforeEnd - 1]!, after[afterEnd - 1]!)) {
    beforeEnd--
    afterEnd--
  }
  return { start, beforeEnd, afterEnd }
}
