import type { Family } from '../registrar/net/address.ts'
import type { Clock } from '../registrar/net/time.ts'
import { type Comparison, compareElements } from './compare-elements.ts'
import type { DesiredState } from './desired-state.ts'
import { type ElementKey, isListing, isStanding, type Until } from './elements.ts'
import type { Kernel, ObservedState, RefusedLine } from './kernel.ts'
import { SETS } from './names.ts'
import { planRebuild, planSets } from './plan.ts'
import { describeChains, renderRemoval, renderRestore } from './plan-chains.ts'
import { heldAfterAdding, planElement, readHeld } from './plan-elements.ts'
import { destroySets } from './remove-everything.ts'
import { type RenderedChains, renderChains } from './render-chains.ts'
import { WantedElements } from './wanted-elements.ts'

const FAMILIES = [4, 6] as const
/** Elements written in one step. Between two steps newer changes may go first. */
const SLICE = 5_000
/** A change of so few elements goes before a bulk that is on its way. */
const FEW = 100
/** Up to so many elements, every comparison reads them all. Beyond, their number alone says that all is well. */
const CHEAP_TO_READ = 5_000

/**
 * Brings the kernel to what is wanted, in steps, and remembers what it holds, so that one change costs one line.
 * Steps must not overlap; a comparison may run beside them.
 */
export class Reconciliation {
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #wanted = new WantedElements()
  #desired: DesiredState | undefined
  #rendered: { readonly 4: RenderedChains; readonly 6: RenderedChains } | undefined
  /** False before the first step and after a failure: then all of the kernel is read and planned anew. */
  #isKnown = false
  #held = new Map<ElementKey, Until>()
  readonly #urgent = new Set<ElementKey>()
  readonly #pending = new Set<ElementKey>()
  readonly #refused = new Map<ElementKey, RefusedLine>()
  #setsToCreate: readonly string[] = []
  readonly #chainsToWrite = new Set<Family>()
  /** Elements written since a comparison began to read the kernel; it has to pass over them. */
  #writtenMeanwhile: Set<ElementKey> | undefined
  #chainWrites = 0
  readonly #observe: Kernel['observe']

  constructor(options: {
    readonly kernel: Kernel
    readonly clock: Clock
    /** How the kernel is read. */
    readonly observe: Kernel['observe']
  }) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#observe = options.observe
  }

  get hasWork(): boolean {
    if (this.#desired === undefined) return false
    return !this.#isKnown || this.#urgent.size + this.#pending.size + this.#chainsToWrite.size > 0
  }

  /** Whether the kernel has to be read before anything can be done. */
  get isUnknown(): boolean {
    return !this.#isKnown
  }

  get pendingChanges(): number {
    const unread = this.#desired !== undefined && !this.#isKnown ? 1 : 0
    return unread + this.#urgent.size + this.#pending.size + this.#refused.size + this.#chainsToWrite.size
  }

  /** Lines that the kernel did not take, until `forget` has them tried again. */
  get refused(): readonly RefusedLine[] {
    return [...this.#refused.values()]
  }

  /** Takes over what is desired. Does nothing to the kernel; `hasWork` says whether there is something to do. */
  want(desired: DesiredState): void {
    const before = this.#desired
    this.#desired = desired
    const touched = this.#wanted.replace(desired)
    if (!before || !isSameText(chainInput(before), chainInput(desired))) {
      this.#rendered = { 4: renderChains(desired, 4), 6: renderChains(desired, 6) }
      if (this.#isKnown) for (const family of FAMILIES) this.#chainsToWrite.add(family)
    }
    if (!this.#isKnown) return
    const queue = touched.size <= FEW ? this.#urgent : this.#pending
    for (const key of touched) {
      this.#refused.delete(key)
      // Also where it seems to be as wanted: an older change of it may be under way at this moment.
      queue.add(key)
    }
  }

  /** What the kernel holds is not known any more: the next step reads it. */
  forget(): void {
    this.#isKnown = false
    for (const queue of [this.#urgent, this.#pending, this.#refused]) queue.clear()
    this.#chainsToWrite.clear()
    this.#setsToCreate = []
  }

  /** Does one piece of what is to be done. Throws `KernelError`; what was to be done stays to be done. */
  async step(): Promise<void> {
    if (!this.#isKnown) return this.#load()
    if (this.#setsToCreate.length > 0) return this.#createSets()
    const urgent = takeSome(this.#urgent, SLICE, (key) => !this.#waitsForChains(key))
    if (urgent.length > 0) return this.#write(urgent)
    const [family] = this.#chainsToWrite
    if (family === undefined) return this.#write(takeSome(this.#pending, SLICE))
    const standing = takeSome(this.#pending, SLICE, (key) => isStanding(key) && !this.#waitsForChains(key))
    return standing.length > 0 ? this.#write(standing) : this.#writeChains(family)
  }

  /** An element that the present chains need and the next ones do not. */
  #waitsForChains(key: ElementKey): boolean {
    return this.#chainsToWrite.size > 0 && isStanding(key) && this.#wanted.get(key) === undefined
  }

  /**
   * Reads the kernel beside the steps, and puts in line whatever is not as it was left. Gives what somebody else
   * changed, in words. `thorough`: reads all elements, however many there are.
   */
  async compare({ thorough }: { readonly thorough: boolean }): Promise<readonly string[]> {
    if (!this.#isKnown || this.#setsToCreate.length > 0) return []
    const chainWrites = this.#chainWrites
    this.#writtenMeanwhile = new Set()
    try {
      let elements = thorough || this.#held.size <= CHEAP_TO_READ
      let observed = await this.#observe({ elements })
      if (!elements && this.#hasTooFew(observed)) {
        elements = true
        observed = await this.#observe({ elements })
      }
      if (!this.#isKnown) return []
      const found = this.#compareSets(observed)
      if (found.length > 0) {
        this.forget()
        return found
      }
      if (chainWrites === this.#chainWrites) found.push(...this.#compareChains(observed))
      if (elements) found.push(...this.#adopt(this.#compareElements(observed)))
      return found
    } finally {
      this.#writtenMeanwhile = undefined
    }
  }

  async #load(): Promise<void> {
    const observed = await this.#observe({ elements: true })
    const rebuild = planRebuild(observed.sets)
    if (rebuild.length > 0) {
      for (const family of rebuild) await this.#tearDown(family, observed)
      return
    }
    const now = this.#clock()
    this.forget()
    this.#held = new Map()
    for (const { name } of SETS) {
      if (!isListing(name)) readHeld(this.#held, name, observed.sets.get(name), now)
    }
    this.#setsToCreate = planSets(observed.sets, [])
    for (const family of FAMILIES) {
      if (describeChains(this.#rendered![family], observed.chains[family])) this.#chainsToWrite.add(family)
    }
    this.#isKnown = true
    for (const key of this.#wanted.keys()) if (this.#lineFor(key) !== undefined) this.#pending.add(key)
    for (const key of this.#held.keys()) if (this.#lineFor(key) !== undefined) this.#pending.add(key)
  }

  async #tearDown(family: Family, observed: ObservedState): Promise<void> {
    const text = renderRemoval(observed.chains[family])
    if (text !== undefined) await this.#kernel.applyChains(family, text)
    const names = SETS.filter((set) => set.family === family && observed.sets.has(set.name)).map(
      ({ name }) => name,
    )
    await destroySets(this.#kernel, names)
  }

  async #createSets(): Promise<void> {
    const refused = await this.#kernel.applySets(this.#setsToCreate)
    this.#setsToCreate = []
    for (const line of refused) this.#refused.set(line.line, line)
  }

  /** Reads the chains again afterwards, since only then is it known how this iptables prints them. */
  async #writeChains(family: Family): Promise<void> {
    const rendered = this.#rendered!
    // Also the last look at the counters that are about to go.
    const before = await this.#observe({ elements: false })
    await this.#kernel.applyChains(
      family,
      renderRestore(renderChains(this.#desired!, family), before.chains[family]),
    )
    this.#chainWrites++
    this.#chainsToWrite.delete(family)
    const after = await this.#observe({ elements: false })
    if (rendered !== this.#rendered) return
    const printed = new Map(
      [...rendered[family]].map(([name, rules]) => {
        const own = after.chains[family].own.get(name)
        return [name, own?.length === rules.length ? own.map(({ text }) => text) : rules] as const
      }),
    )
    this.#rendered = { ...rendered, [family]: printed }
  }

  async #write(keys: readonly ElementKey[]): Promise<void> {
    const now = this.#clock()
    const lines = new Map<string, { key: ElementKey; wanted: Until | undefined }>()
    for (const key of keys) {
      this.#urgent.delete(key)
      this.#pending.delete(key)
      const line = this.#lineFor(key)
      if (line !== undefined) lines.set(line, { key, wanted: this.#wanted.get(key) })
    }
    const refused = await this.#kernel.applySets([...lines.keys()])
    for (const line of refused) {
      const { key } = lines.get(line.line)!
      lines.delete(line.line)
      if (!this.#urgent.has(key)) this.#refused.set(key, line)
    }
    for (const [line, { key, wanted }] of lines) {
      this.#writtenMeanwhile?.add(key)
      if (line.startsWith('add') && wanted !== undefined) this.#held.set(key, heldAfterAdding(wanted, now))
      else this.#held.delete(key)
    }
  }

  #lineFor(key: ElementKey): string | undefined {
    return planElement(key, this.#wanted.get(key), this.#held.get(key), this.#clock())
  }

  #hasTooFew(observed: ObservedState): boolean {
    const expected = new Map<string, number>()
    const soon = this.#clock() + 3_000
    for (const [key, until] of this.#held) {
      if (until <= soon) continue
      const name = key.slice(0, key.indexOf(' '))
      expected.set(name, (expected.get(name) ?? 0) + 1)
    }
    return [...expected].some(([name, size]) => (observed.sets.get(name)?.size ?? 0) < size)
  }

  #compareSets(observed: ObservedState): string[] {
    return SETS.flatMap(({ name, form }) => {
      const set = observed.sets.get(name)
      if (!set) return [`the set ${name} was gone`]
      return set.form === form ? [] : [`the set ${name} was of another form`]
    })
  }

  #compareChains(observed: ObservedState): readonly string[] {
    return FAMILIES.flatMap((family) => {
      if (this.#chainsToWrite.has(family)) return []
      const wrong = describeChains(this.#rendered![family], observed.chains[family])
      if (wrong === undefined) return []
      this.#chainsToWrite.add(family)
      return [`IPv${family}: ${wrong}`]
    })
  }

  #compareElements(observed: ObservedState): Comparison {
    const seen = new Map<ElementKey, Until>()
    for (const { name } of SETS) {
      if (!isListing(name)) readHeld(seen, name, observed.sets.get(name), this.#clock())
    }
    const isBusy = (key: ElementKey) =>
      this.#writtenMeanwhile?.has(key) === true ||
      this.#urgent.has(key) ||
      this.#pending.has(key) ||
      this.#refused.has(key)
    return compareElements({ wanted: this.#wanted, held: this.#held, seen, isBusy, now: this.#clock() })
  }

  #adopt({ changed, ended, found }: Comparison): readonly string[] {
    for (const key of ended) this.#held.delete(key)
    for (const [key, until] of changed) {
      if (until === undefined) this.#held.delete(key)
      else this.#held.set(key, until)
      this.#pending.add(key)
    }
    return found
  }
}

function chainInput({ traffic, limits }: DesiredState): unknown {
  const { destinations } = traffic
  return [{ ...traffic, destinations: destinations === 'local' ? 'local' : 'listed' }, limits]
}

function isSameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

function takeSome<T>(
  items: Iterable<T>,
  amount: number,
  isRight: (item: T) => boolean = () => true,
): readonly T[] {
  const some: T[] = []
  for (const item of items) {
    if (isRight(item)) some.push(item)
    if (some.length === amount) break
  }
  return some
}
