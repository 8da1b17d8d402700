import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml'

export interface Position {
  readonly line: number
  readonly column: number
}

/**
 * Where the value at `path` stands in the file: its key where it has no content, and the nearest mapping above it
 * where it is missing.
 */
export function positionOfValue(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
): Position {
  let node: Node | null = document.contents
  let best = offsetOf(node) ?? 0
  for (const part of path) {
    const resolved: Node | undefined | null = isAlias(node) ? node.resolve(document) : node
    if (isMap(resolved)) {
      const pair = pairOf(resolved.items, String(part))
      if (!pair) break
      best = offsetOf(pair.key as Node) ?? best
      node = (pair.value ?? null) as Node | null
    } else if (isSeq(resolved) && typeof part === 'number') {
      node = (resolved.items[part] ?? null) as Node | null
      best = offsetOf(node) ?? best
    } else break
    const empty = isScalar(node) && node.value === null && node.source === ''
    // A block mapping starts at its first key; the name above it is what a person looks for.
    if (!empty && !isMap(node)) best = offsetOf(node) ?? best
  }
  return at(lines, best)
}

/** Where the key `name` stands in the mapping at `path`. */
export function positionOfKey(
  document: Document,
  lines: LineCounter,
  path: readonly PropertyKey[],
  name: string,
): Position {
  let node: Node | null | undefined = document.contents
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) node = pairOf(node.items, String(part))?.value as Node | null | undefined
    else if (isSeq(node) && typeof part === 'number') node = node.items[part] as Node | undefined
  }
  if (isAlias(node)) node = node.resolve(document)
  const offset = isMap(node) ? offsetOf(pairOf(node.items, name)?.key as Node | undefined) : undefined
  return offset === undefined ? positionOfValue(document, lines, path) : at(lines, offset)
}

export function at(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(1, line), column: Math.max(1, col) }
}

function pairOf(pairs: readonly Pair[], name: string): Pair | undefined {
  return pairs.find(({ key }) => isScalar(key) && String(key.value) === name)
}

function offsetOf(node: Node | null | undefined): number | undefined {
  return node?.range?.[0]
}
