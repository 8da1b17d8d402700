import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../desired-state.ts'
import { type ElementKey, listElements, type Until } from '../elements.ts'
import type { PacketView } from './packet-view.ts'
import type { Side } from './parse-rule.ts'

/** An element of a set that a packet is in. */
export interface FoundElement {
  readonly set: string
  /** As `ipset` writes it: `198.51.100.0/24`. */
  readonly text: string
  /** Infinity: it stands until it is taken back. */
  readonly until: Until
}

/**
 * The elements that a desired state asks for, ready to be asked about one packet after the other: a hundred thousand
 * are listed once, and a question costs a look-up for each length of prefix that a set holds.
 */
export class HeldElements {
  readonly #elements: ReadonlyMap<ElementKey, Until>
  readonly #lengths: ReadonlyMap<string, readonly number[]>

  constructor(state: DesiredState) {
    this.#elements = listElements(state)
    this.#lengths = lengthsOf(this.#elements.keys())
  }

  /** The longest prefix, as the kernel finds it; undefined where the packet is in none. */
  find(
    set: string,
    sides: readonly Side[],
    view: PacketView,
    now: EpochMilliseconds,
  ): FoundElement | undefined {
    const lookUp = (text: string): FoundElement | undefined => {
      const until = this.#elements.get(`${set} ${text}`)
      return until === undefined || until <= now ? undefined : { set, text, until }
    }
    if (sides.length > 1) return lookUp(view.element(sides))
    for (const length of this.#lengths.get(set) ?? NONE) {
      const found = lookUp(view.element(sides, length))
      if (found !== undefined) return found
    }
    return undefined
  }
}

const NONE: readonly number[] = []

/** The lengths of prefixes in each set, the longest first. */
function lengthsOf(keys: Iterable<ElementKey>): ReadonlyMap<string, readonly number[]> {
  const lengths = new Map<string, Set<number>>()
  for (const key of keys) {
    if (key.includes(',')) continue
    const space = key.indexOf(' ')
    const set = key.slice(0, space)
    const slash = key.indexOf('/', space)
    const length = slash < 0 ? (key.includes(':') ? 128 : 32) : Number(key.slice(slash + 1))
    const known = lengths.get(set)
    if (known) known.add(length)
    else lengths.set(set, new Set([length]))
  }
  return new Map([...lengths].map(([set, of]) => [set, [...of].sort((a, b) => b - a)]))
}
