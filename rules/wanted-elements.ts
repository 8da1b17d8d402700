import type { Prefix } from '../registrar/net/address.ts'
import type { Block, DesiredState, Gateway, Member, Suspension } from './desired-state.ts'
import { ElementMap } from './element-map.ts'
import {
  type ElementKey,
  keyOfBlock,
  keyOfMember,
  keysOfAllowed,
  keysOfDestination,
  keysOfGateway,
  keysOfSuspension,
  LOG_KEYS,
  namedByAllowed,
  namedByBlock,
  namedByGateway,
  STRICT_KEYS,
  type Until,
  untilOf,
} from './elements.ts'
import { type Difference, findDifference, findDifferenceInParts, pairUp } from './find-difference.ts'

const NO_MEMBERS: readonly Member[] = []
const STANDS = Number.POSITIVE_INFINITY

/**
 * The elements that are wanted, kept up to date by what differs between one desired state and the next. Lists of
 * a hundred thousand that differ in one item are compared by a walk over equal references, parts of lanes by one
 * look each, and nothing else is done for the others.
 */
export class WantedElements {
  /** Ends by key. A list where several items mean the same element; the latest counts. */
  readonly #ends = new ElementMap<Until | readonly Until[]>()
  #state: Pick<
    DesiredState,
    'allow' | 'gateways' | 'blocks' | 'suspensions' | 'members' | 'strictUntil' | 'isLogRead'
  > = {
    allow: [],
    gateways: [],
    blocks: [],
    suspensions: [],
    members: [],
    strictUntil: null,
  }
  #destinations: readonly Prefix[] = []

  get(key: ElementKey): Until | undefined {
    const ends = this.#ends.get(key)
    return ends === undefined ? undefined : latest(ends)
  }

  /** The wanted elements of one set with their ends. */
  *of(set: string): Generator<readonly [ElementKey, Until]> {
    for (const [key, ends] of this.#ends.of(set)) yield [key, latest(ends)]
  }

  /** The same for who goes through all of them at once: a third of the time. */
  each(set: string, visit: (key: ElementKey, until: Until) => void): void {
    this.#ends.of(set).forEach((ends, key) => {
      visit(key, latest(ends))
    })
  }

  /** Takes over another desired state. Gives the elements that it says something else about. */
  replace(state: DesiredState): ReadonlySet<ElementKey> {
    const touched = new Set<ElementKey>()
    const before = this.#state
    const destinations = state.traffic.destinations === 'local' ? [] : state.traffic.destinations
    const stands = () => STANDS
    const allow = pairUp(before.allow, state.allow)
    const gateways = findDifference(before.gateways, state.gateways, isSameGateway)
    const blocks = findDifferenceInParts(before.blocks, state.blocks, isSameBlock)
    const suspensions = findDifferenceInParts(before.suspensions, state.suspensions, isSameSuspension)
    // In this order whoever is blocked has left the short way of the proven before the block itself is written.
    this.#exchange(allow, namedByAllowed, stands, touched)
    this.#exchange(gateways, namedByGateway, stands, touched)
    this.#exchange(blocks, namedByBlock, stands, touched)
    this.#exchange(allow, keysOfAllowed, stands, touched)
    this.#exchange(pairUp(this.#destinations, destinations), keysOfDestination, stands, touched)
    this.#exchange(gateways, keysOfGateway, stands, touched)
    this.#exchange(blocks, (block) => [keyOfBlock(block)], untilOf, touched)
    this.#exchange(suspensions, keysOfSuspension, untilOf, touched)
    for (let i = 0; i < Math.max(before.members.length, state.members.length); i++) {
      const [old, next] = [before.members[i] ?? NO_MEMBERS, state.members[i] ?? NO_MEMBERS]
      const members = findDifference(old, next, isSameMember)
      this.#exchange(members, (member) => [keyOfMember(member)], untilOf, touched)
    }
    if (before.strictUntil !== state.strictUntil) {
      for (const key of STRICT_KEYS) {
        if (state.strictUntil !== null) this.#add(key, state.strictUntil, touched)
        if (before.strictUntil !== null) this.#remove(key, before.strictUntil, touched)
      }
    }
    const [wasRead, isRead] = [before.isLogRead === true, state.isLogRead === true]
    if (isRead && !wasRead) for (const key of LOG_KEYS) this.#add(key, STANDS, touched)
    if (wasRead && !isRead) for (const key of LOG_KEYS) this.#remove(key, STANDS, touched)
    this.#state = state
    this.#destinations = destinations
    return touched
  }

  #exchange<T>(
    { removed, added }: Difference<T>,
    keysOf: (item: T) => readonly ElementKey[],
    endOf: (item: T) => Until,
    touched: Set<ElementKey>,
  ): void {
    // In this order what is renewed keeps its place, and whoever goes through the elements meets it once.
    for (const item of added) for (const key of keysOf(item)) this.#add(key, endOf(item), touched)
    for (const item of removed) for (const key of keysOf(item)) this.#remove(key, endOf(item), touched)
  }

  #add(key: ElementKey, end: Until, touched: Set<ElementKey>): void {
    touched.add(key)
    const ends = this.#ends.get(key)
    if (ends === undefined) this.#ends.set(key, end)
    else this.#ends.set(key, typeof ends === 'object' ? [...ends, end] : [ends, end])
  }

  #remove(key: ElementKey, end: Until, touched: Set<ElementKey>): void {
    touched.add(key)
    const ends = this.#ends.get(key)
    if (typeof ends !== 'object') {
      this.#ends.delete(key)
      return
    }
    const left = ends.toSpliced(ends.indexOf(end), 1)
    this.#ends.set(key, left.length === 1 ? left[0]! : left)
  }
}

function latest(ends: Until | readonly Until[]): Until {
  return typeof ends === 'object' ? Math.max(...ends) : ends
}

function isSameBlock(a: Block, b: Block): boolean {
  return (
    a === b ||
    (a.target === b.target && a.scope === b.scope && a.sparesProven === b.sparesProven && a.until === b.until)
  )
}

function isSameSuspension(a: Suspension, b: Suspension): boolean {
  return (
    a === b ||
    (a.address === b.address &&
      a.port === b.port &&
      a.transport === b.transport &&
      a.scope === b.scope &&
      a.until === b.until)
  )
}

/** A gateway's rate is in the chains, not in its elements. */
function isSameGateway({ prefixes: a }: Gateway, { prefixes: b }: Gateway): boolean {
  return a === b || (a.length === b.length && a.every((prefix, i) => prefix === b[i]))
}

function isSameMember(a: Member, b: Member): boolean {
  return a === b || (a.until === b.until && keyOfMember(a) === keyOfMember(b))
}
