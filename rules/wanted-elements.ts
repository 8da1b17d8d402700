import type { Prefix } from '../registrar/net/address.ts'
import type { Block, DesiredState, Suspension } from './desired-state.ts'
import {
  type ElementKey,
  keyOfBlock,
  keyOfSuspension,
  keysOfAllowed,
  keysOfDestination,
  type Until,
  untilOf,
} from './elements.ts'
import { findDifference } from './find-difference.ts'

const NO_PREFIXES: readonly Prefix[] = []

/**
 * The elements that are wanted, kept up to date by what differs between one desired state and the next. Lists of
 * ten thousand blocks that differ in one are compared by a walk over equal references, and nothing else is done
 * for the others.
 */
export class WantedElements {
  /** Ends by key. Several where two items mean the same element; the latest counts. */
  readonly #ends = new Map<ElementKey, Until[]>()
  #allow: readonly Prefix[] = NO_PREFIXES
  #destinations: readonly Prefix[] = NO_PREFIXES
  #blocks: readonly Block[] = []
  #suspensions: readonly Suspension[] = []

  get(key: ElementKey): Until | undefined {
    const ends = this.#ends.get(key)
    if (ends === undefined) return undefined
    return ends.length === 1 ? ends[0] : Math.max(...ends)
  }

  keys(): IterableIterator<ElementKey> {
    return this.#ends.keys()
  }

  /** Takes over another desired state. Gives the elements that it says something else about. */
  replace(state: DesiredState): ReadonlySet<ElementKey> {
    const touched = new Set<ElementKey>()
    const destinations = state.traffic.destinations === 'local' ? NO_PREFIXES : state.traffic.destinations
    const standing = () => Number.POSITIVE_INFINITY
    const same = (a: Prefix, b: Prefix) => a === b
    this.#exchange(this.#allow, state.allow, same, keysOfAllowed, standing, touched)
    this.#exchange(this.#destinations, destinations, same, keysOfDestination, standing, touched)
    this.#exchange(this.#blocks, state.blocks, isSameBlock, (block) => [keyOfBlock(block)], untilOf, touched)
    this.#exchange(
      this.#suspensions,
      state.suspensions,
      isSameSuspension,
      (suspension) => [keyOfSuspension(suspension)],
      untilOf,
      touched,
    )
    this.#allow = state.allow
    this.#destinations = destinations
    this.#blocks = state.blocks
    this.#suspensions = state.suspensions
    return touched
  }

  #exchange<T>(
    before: readonly T[],
    after: readonly T[],
    isSame: (a: T, b: T) => boolean,
    keysOf: (item: T) => readonly ElementKey[],
    endOf: (item: T) => Until,
    touched: Set<ElementKey>,
  ): void {
    const { start, beforeEnd, afterEnd } = findDifference(before, after, isSame)
    for (let i = start; i < beforeEnd; i++) {
      for (const key of keysOf(before[i]!)) {
        this.#remove(key, endOf(before[i]!))
        touched.add(key)
      }
    }
    for (let i = start; i < afterEnd; i++) {
      for (const key of keysOf(after[i]!)) {
        const ends = this.#ends.get(key)
        if (ends) ends.push(endOf(after[i]!))
        else this.#ends.set(key, [endOf(after[i]!)])
        touched.add(key)
      }
    }
  }

  #remove(key: ElementKey, end: Until): void {
    const ends = this.#ends.get(key)
    if (!ends) return
    ends.splice(ends.indexOf(end), 1)
    if (ends.length === 0) this.#ends.delete(key)
  }
}

export function isSameBlock(a: Block, b: Block): boolean {
  return a === b || (a.target === b.target && a.scope === b.scope && a.until === b.until)
}

function isSameSuspension(a: Suspension, b: Suspension): boolean {
  return a === b || (a.address === b.address && a.port === b.port && a.until === b.until)
}
