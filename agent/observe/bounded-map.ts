/**
 * A map that never grows past `capacity`: when it is full, the entry that was set longest ago is let go and
 * counted. Setting a key again makes it young.
 */
export class BoundedMap<K, V> {
  letGo = 0
  readonly #entries = new Map<K, V>()
  readonly #capacity: number

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  set(key: K, value: V): void {
    if (!this.#entries.delete(key) && this.#entries.size >= this.#capacity) {
      const oldest = this.#entries.keys().next()
      if (!oldest.done) this.#entries.delete(oldest.value)
      this.letGo++
    }
    this.#entries.set(key, value)
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  /** Removes entries from the oldest on, for as long as `isOver` says so. */
  expire(isOver: (value: V) => boolean): void {
    for (const [key, value] of this.#entries) {
      if (!isOver(value)) return
      this.#entries.delete(key)
    }
  }

  values(): IterableIterator<V> {
    return this.#entries.values()
  }
}
