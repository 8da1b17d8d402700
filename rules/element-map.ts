import type { ElementKey } from './elements.ts'

/** The set that an element is of. */
export function setOf(key: ElementKey): string {
  return key.slice(0, key.indexOf(' '))
}

/** The element without its set, as `ipset` writes it. */
export function elementOf(key: ElementKey): string {
  return key.slice(key.indexOf(' ') + 1)
}

/** A map by element, kept set by set, so that one set among many can be counted, compared and replaced alone. */
export class ElementMap<T> {
  readonly #sets = new Map<string, Map<ElementKey, T>>()

  get(key: ElementKey): T | undefined {
    return this.#sets.get(setOf(key))?.get(key)
  }

  set(key: ElementKey, value: T): void {
    const name = setOf(key)
    const set = this.#sets.get(name)
    if (set) set.set(key, value)
    else this.#sets.set(name, new Map([[key, value]]))
  }

  delete(key: ElementKey): void {
    this.#sets.get(setOf(key))?.delete(key)
  }

  /** The elements of one set. */
  of(name: string): ReadonlyMap<ElementKey, T> {
    return this.#sets.get(name) ?? new Map<ElementKey, T>()
  }

  replace(name: string, elements: Map<ElementKey, T>): void {
    this.#sets.set(name, elements)
  }

  clear(): void {
    this.#sets.clear()
  }

  get size(): number {
    let size = 0
    for (const set of this.#sets.values()) size += set.size
    return size
  }
}
