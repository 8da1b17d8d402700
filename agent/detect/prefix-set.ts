import {
  type Address,
  type Family,
  familyOf,
  type Prefix,
  prefixOf,
  prefixOfAddress,
  splitPrefix,
} from '../../registrar/net/address.ts'

/** Prefixes that many addresses are looked up in: a look costs one set a length, not one comparison a prefix. */
export class PrefixSet {
  readonly #byLength: Readonly<Record<Family, ReadonlyMap<number, ReadonlySet<Prefix>>>>

  constructor(prefixes: Iterable<Prefix>) {
    const byLength = { 4: new Map<number, Set<Prefix>>(), 6: new Map<number, Set<Prefix>>() }
    for (const prefix of prefixes) {
      const { address, length } = splitPrefix(prefix)
      const known = byLength[familyOf(address)].get(length)
      if (known) known.add(prefix)
      else byLength[familyOf(address)].set(length, new Set([prefix]))
    }
    this.#byLength = byLength
  }

  /** The longest of the prefixes that holds all of another one; undefined where none does. */
  around(prefix: Prefix): Prefix | undefined {
    const { address, length } = splitPrefix(prefix)
    let found: { readonly prefix: Prefix; readonly length: number } | undefined
    for (const [wide, prefixes] of this.#byLength[familyOf(address)]) {
      if (wide > length || (found && found.length >= wide)) continue
      const candidate = prefixOf(address, wide)
      if (prefixes.has(candidate)) found = { prefix: candidate, length: wide }
    }
    return found?.prefix
  }

  /** Whether one of the prefixes holds the address. */
  holds(address: Address): boolean {
    const family = familyOf(address)
    for (const [length, prefixes] of this.#byLength[family]) {
      const isWhole = length === (family === 4 ? 32 : 128)
      if (prefixes.has(isWhole ? prefixOfAddress(address) : prefixOf(address, length))) return true
    }
    return false
  }
}
