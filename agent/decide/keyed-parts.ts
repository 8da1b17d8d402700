/**
 * Items by key, in parts: of the arrays handed out, those of parts that did not change are the same ones as before, so
 * that one change among a hundred thousand items costs a look at its part.
 */
export class KeyedParts<T> {
  readonly #items: readonly Map<string, T>[]
  readonly #changed = new Set<number>()
  #parts: readonly (readonly T[])[]

  /** `count`: a power of two. */
  constructor({ count }: { readonly count: number }) {
    this.#items = Array.from({ length: count }, () => new Map<string, T>())
    this.#parts = this.#items.map(() => [])
  }

  get(key: string): T | undefined {
    return this.#items[this.#partOf(key)]!.get(key)
  }

  set(key: string, item: T): void {
    const part = this.#partOf(key)
    this.#items[part]!.set(key, item)
    this.#changed.add(part)
  }

  /** Gives whether there was one. */
  delete(key: string): boolean {
    const part = this.#partOf(key)
    if (!this.#items[part]!.delete(key)) return false
    this.#changed.add(part)
    return true
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  parts(): readonly (readonly T[])[] {
    if (this.#changed.size === 0) return this.#parts
    const parts = this.#parts.slice()
    for (const part of this.#changed) parts[part] = [...this.#items[part]!.values()]
    this.#changed.clear()
    this.#parts = parts
    return parts
  }

  /** The items of one part; they may be deleted on the way. */
  itemsOf(part: number): IterableIterator<T> {
    return this.#items[part]!.values()
  }

  /** FNV-1a. Who makes keys that share a part only makes that part costlier to compare. */
  #partOf(key: string): number {
    let value = 0x811c9dc5
    for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
    return (value ^ (value >>> 16)) & (this.#items.length - 1)
  }
}
