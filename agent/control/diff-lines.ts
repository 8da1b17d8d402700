/** The smallest difference between two lists of lines in order: which go, and which come. */
export function diffLines(
  before: readonly string[],
  after: readonly string[],
): { readonly removed: readonly string[]; readonly added: readonly string[] } {
  let start = 0
  while (start < before.length && before[start] === after[start]) start++
  let end = 0
  while (
    end < Math.min(before.length, after.length) - start &&
    before[before.length - 1 - end] === after[after.length - 1 - end]
  ) {
    end++
  }
  const old = before.slice(start, before.length - end)
  const next = after.slice(start, after.length - end)
  const kept = longestCommon(old, next)
  return { removed: without(old, kept), added: without(next, kept) }
}

/** The longest common subsequence. Chains have some hundred rules at most, so a table of all pairs is small. */
function longestCommon(a: readonly string[], b: readonly string[]): readonly string[] {
  const width = b.length + 1
  const lengths = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!)
    }
  }
  const common: string[] = []
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      common.push(a[i]!)
      i++
      j++
    } else if (lengths[(i + 1) * width + j]! >= lengths[i * width + j + 1]!) i++
    else j++
  }
  return common
}

function without(lines: readonly string[], kept: readonly string[]): readonly string[] {
  let next = 0
  return lines.filter((line) => {
    if (line !== kept[next]) return true
    next++
    return false
  })
}
