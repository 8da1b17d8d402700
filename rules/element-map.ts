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
  /** The set that was asked for last: mostly thousands of elements of one set come in a row. */
  #last: { readonly start: string; readonly elements: Map<ElementKey, T> } | undefined

  get(key: ElementKey): T | undefined {
    return this.#setOf(key)?.get(key)
  }

  set(key: ElementKey, value: T): void {
    const set = this.#setOf(key)
    if (set) set.set(key, value)
    else this.#sets.set(setOf(key), new Map([[key, value]]))
  }

  delete(key: ElementKey): void {
    this.#setOf(key)?.delete(key)
  }

  /** The elements of one set. */
  of(name: string): ReadonlyMap<ElementKey, T> {
    return this.#sets.get(name) ?? new Map<ElementKey, T>()
  }

  replace(name: string, elements: Map<ElementKey, T>): void {
    this.#sets.set(name, elements)
    this.#last = undefined
  }

  clear(): void {
    this.#sets.clear()
    this.#last = undefined
  }

  #setOf(key: ElementKey): Map<ElementKey, T> | undefined {
    if (this.#last && key.startsWith(this.#last.start)) return this.#last.elements
    const name = setOf(key)
    const elements = this.#sets.get(name)
    if (elements) this.#last = { start: `${name} `, elements }
    return elements
  }

  get size(): number {
    let size = 0
    for (const set of this.#sets.values()) size += set.size
    return size
  }
}
