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
