import type { Family } from '../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../registrar/net/time.ts'
import { type Comparison, compareElements } from './compare-elements.ts'
import type { DesiredState } from './desired-state.ts'
import { ElementChanges, isFull } from './element-changes.ts'
import { setOf } from './element-map.ts'
import { type ElementKey, isStanding } from './elements.ts'
import { FamilyChains } from './family-chains.ts'
import { type Kernel, KernelError, type ObservedState } from './kernel.ts'
import { type SetDefinition, WRITTEN_SETS } from './names.ts'
import { OwnSets } from './own-sets.ts'
import { renderRemoval } from './plan-chains.ts'
import { destroySets } from './remove-everything.ts'

/** Up to so many elements, every comparison reads them all. Beyond, their number alone says that all is well. */
const CHEAP_TO_READ = 5_000

/**
 * Brings the kernel to what is wanted, in steps, and remembers what it holds, so that one change costs one line.
 * Steps must not overlap; a comparison may run beside them.
 */
export class Reconciliation {
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #observe: Kernel['observe']
  readonly #mayRepair: (found: readonly string[]) => boolean
  readonly #chains = { 4: new FamilyChains(4), 6: new FamilyChains(6) }
  readonly #elements: ElementChanges
  readonly #sets: OwnSets
  #desired: DesiredState | undefined
  /** False before the first step and after a failure: then all of the kernel is read and planned anew. */
  #isKnown = false
  #chainWrites = 0

  constructor(options: {
    readonly kernel: Kernel
    readonly clock: Clock
    /** How the kernel is read. */
    readonly observe: Kernel['observe']
    /** Whether what somebody else changed, in words, is to be put right now. */
    readonly mayRepair: (found: readonly string[]) => boolean
  }) {
    const { kernel, clock, observe } = options
    this.#kernel = kernel
    this.#clock = clock
    this.#observe = observe
    this.#mayRepair = options.mayRepair
    this.#elements = new ElementChanges({
      kernel,
      clock,
      isNeeded: (key) => isStanding(key) && this.#chains[familyOfSet(setOf(key))].isDue,
    })
    this.#sets = new OwnSets({ kernel, clock, observe, wanted: this.#elements.wanted })
  }

  get hasWork(): boolean {
    if (this.#desired === undefined) return false
    const now = this.#clock()
    return (
      !this.#isKnown ||
      this.#elements.hasWork ||
      this.#sets.hasWork ||
      this.#families.some(({ isDue, trouble, warmAt }) =>
        isDue ? trouble === undefined : warmAt !== undefined && warmAt <= now,
      )
    )
  }

  /** Whether all that is left to do was decided a moment ago. */
  get hasOnlyUrgentWork(): boolean {
    return (
      this.#isKnown &&
      !this.#elements.hasBulk &&
      !this.#sets.hasWork &&
      this.#families.every(({ isDue, trouble }) => !isDue || trouble !== undefined)
    )
  }

  /** When there will be something to do that is not to be done now; null where nothing is. */
  get nextWorkAt(): EpochMilliseconds | null {
    const times = this.#families.flatMap(({ warmAt }) => warmAt ?? [])
    return times.length === 0 ? null : Math.min(...times)
  }

  /** Whether the kernel has to be read before anything can be done. */
  get isUnknown(): boolean {
    return !this.#isKnown
  }

  get pendingChanges(): number {
    const unread = this.#desired !== undefined && !this.#isKnown ? 1 : 0
    const chains = this.#families.filter(({ isDue, isWarming, trouble }) => isDue || isWarming || trouble)
    return unread + this.#elements.pending + this.#sets.pending + chains.length
  }

  /** Why something that was tried is not in the kernel, until it is tried again; undefined where all was taken. */
  get problem(): KernelError | undefined {
    const { trouble } = this.#families.find((family) => family.trouble) ?? {}
    if (trouble) return trouble
    const [refused] = [...this.#sets.refused, ...this.#elements.refused]
    if (!refused) return undefined
    return new KernelError('refused', `The kernel did not take a line: ${refused.message}.`, refused.line)
  }

  get definitions(): Iterable<SetDefinition> {
    return this.#sets.definitions.values()
  }

  /** Members of lanes that found no room, by set. */
  get leftOut(): ReadonlyMap<string, number> {
    return this.#elements.leftOut
  }

  /** Takes over what is desired. Does nothing to the kernel; `hasWork` says whether there is something to do. */
  want(desired: DesiredState): { readonly changesChains: boolean } {
    const before = this.#desired
    this.#desired = desired
    const touched = this.#elements.want(desired)
    const changesChains = !before || !isSameChainInput(before, desired)
    if (changesChains) for (const family of this.#families) family.want(desired)
    if (!before || !isSameText(before.sizes, desired.sizes)) this.#sets.define(desired.sizes)
    if (this.#isKnown) {
      const there = [...touched].filter((key) => !this.#sets.isAbsent(setOf(key)))
      this.#sets.replace(this.#elements.queue(new Set(there)))
      this.#dropReplaced()
    }
    return { changesChains }
  }

  /** What the kernel holds is not known any more: the next step reads it. */
  forget(): void {
    this.#isKnown = false
    this.#elements.forget()
    this.#sets.forget()
    for (const family of this.#families) family.trouble = undefined
  }

  /** Everything of ours was taken away, by ourselves. */
  wereRemoved(): void {
    this.forget()
    this.#sets.wereRemoved()
    for (const family of this.#families) family.wereRemoved()
  }

  /** Has what did not work tried again. */
  retry(): void {
    const isMore =
      [...this.#sets.refused].length > 0 ||
      [...this.#elements.refused].some((line) => !isFull(line)) ||
      this.#families.some(({ trouble }) => trouble)
    if (isMore || !this.#isKnown) this.forget()
    else this.#elements.retry()
  }

  /** Does one piece of what is to be done. Throws `KernelError`; what was to be done stays to be done. */
  async step(): Promise<void> {
    if (!this.#isKnown) return this.#load()
    for (const family of this.#families) family.turnOver(this.#clock())
    if (this.#sets.hasToCreate) return this.#sets.create()
    const { replacement } = this.#sets
    if (await this.#elements.write('urgent', replacement)) return
    const due = this.#families.filter(({ isDue, trouble }) => isDue && !trouble)
    if (due.length > 0) {
      if (await this.#elements.write('standing', replacement)) return
      return this.#writeChains(due)
    }
    if (await this.#elements.write('any', replacement)) return
    if (!this.#sets.hasWork) return
    const replaced = await this.#sets.step()
    if (replaced) this.#elements.replace(replaced)
  }

  /**
   * Reads the kernel beside the steps, and puts in line whatever is not as it was left. Gives what somebody else
   * changed, in words; undefined where nothing can be said at this moment. `thorough`: reads all elements, however
   * many there are. Throws `KernelError`.
   */
  async compare({ thorough }: { readonly thorough: boolean }): Promise<readonly string[] | undefined> {
    if (!this.#isKnown || this.#sets.hasToCreate) return undefined
    const chainWrites = this.#chainWrites
    this.#elements.beginComparing()
    this.#sets.beginComparing()
    try {
      const all = thorough || this.#elements.held.size <= CHEAP_TO_READ
      const before = this.#elements.countHeld(this.definitions)
      let observed = await this.#observe({ elements: all ? WRITTEN_SETS : [] })
      const suspects = all ? [] : this.#findTooFew(observed, before)
      if (suspects.length > 0) observed = await this.#observe({ elements: suspects })
      const comparisons = await this.#compareElements(observed)
      if (!this.#isKnown) return undefined
      return this.#adopt(observed, comparisons, { withChains: chainWrites === this.#chainWrites })
    } finally {
      this.#elements.endComparing()
      this.#sets.endComparing()
    }
  }

  get #families(): readonly FamilyChains[] {
    return [this.#chains[4], this.#chains[6]]
  }

  async #load(): Promise<void> {
    const observed = await this.#observe({ elements: WRITTEN_SETS })
    const wrong = this.#findWrongChains(observed)
    const found = [...this.#sets.describe(observed, 'loading'), ...wrong.map(({ says }) => says)]
    const mayRepair = found.length === 0 || this.#mayRepair(found)
    const rebuild = mayRepair ? this.#sets.findRebuild(observed) : []
    if (rebuild.length > 0) {
      for (const family of rebuild) await this.#tearDown(family, observed)
      return
    }
    this.forget()
    this.#sets.load(observed, { mayCreate: mayRepair })
    for (const chains of this.#families) this.#loadChains(chains, observed, mayRepair ? 'repair' : 'leave')
    const isAbsent = (name: string) => this.#sets.isAbsent(name)
    this.#isKnown = true
    this.#sets.replace(this.#elements.load(observed, this.definitions, isAbsent))
    this.#dropReplaced()
  }

  #loadChains(chains: FamilyChains, observed: ObservedState, foreign: 'repair' | 'leave'): void {
    const unreadable = observed.unreadable?.get(chains.family)
    if (unreadable) chains.trouble = inFamily(chains.family, unreadable)
    else if (chains.describe(observed.chains[chains.family]) === undefined) chains.areThere(this.#clock())
    else if (foreign === 'repair' || !chains.isKnown) chains.isDue = true
  }

  async #tearDown(family: Family, observed: ObservedState): Promise<void> {
    const unreadable = observed.unreadable?.get(family)
    if (unreadable) throw inFamily(family, unreadable)
    const text = renderRemoval(observed.chains[family])
    if (text !== undefined) await this.#kernel.applyChains(family, text)
    const names = [...this.definitions]
      .filter((set) => set.family === family && observed.sets.has(set.name))
      .map(({ name }) => name)
    await destroySets(this.#kernel, names)
    this.#sets.wereRemoved(names)
    this.#chains[family].wereRemoved()
  }

  /** One family that cannot be written must not keep the other from being written. */
  async #writeChains(due: readonly FamilyChains[]): Promise<void> {
    // Also the last look at the counters that are about to go.
    const before = await this.#observe({ elements: [] })
    this.#chainWrites++
    for (const chains of due) {
      const { family } = chains
      const unreadable = before.unreadable?.get(family)
      try {
        if (unreadable) throw unreadable
        await this.#kernel.applyChains(family, chains.beginWriting(before.chains[family]))
      } catch (error) {
        if (!(error instanceof KernelError)) throw error
        chains.trouble = inFamily(family, error)
      }
    }
    this.#chainWrites++
    const after = await this.#observe({ elements: [] })
    for (const chains of due) {
      if (!chains.trouble) chains.wereWritten(this.#clock(), after.chains[chains.family])
    }
    this.#elements.release()
  }

  #dropReplaced(): void {
    if (this.#sets.hasToReplace) this.#elements.drop((name) => this.#sets.isYetToBeReplaced(name))
  }

  #findWrongChains(
    observed: ObservedState,
  ): readonly { readonly chains: FamilyChains; readonly says: string }[] {
    return this.#families.flatMap((chains) => {
      const { family, isDue, isKnown, trouble } = chains
      if (isDue || !isKnown || trouble || observed.unreadable?.has(family)) return []
      const wrong = chains.describe(observed.chains[family])
      return wrong === undefined ? [] : [{ chains, says: `IPv${family}: ${wrong}` }]
    })
  }

  /** Sets that hold fewer elements than they did before and do after they were read. */
  #findTooFew(
    observed: ObservedState,
    before: ReadonlyMap<SetDefinition, number>,
  ): readonly SetDefinition['purpose'][] {
    const after = this.#elements.countHeld(this.definitions)
    return [...after]
      .filter(([definition, count]) => {
        const expected = Math.min(count, before.get(definition) ?? 0)
        return (observed.sets.get(definition.name)?.size ?? 0) < expected
      })
      .map(([{ purpose }]) => purpose)
  }

  async #compareElements(observed: ObservedState): Promise<readonly Comparison[]> {
    const now = this.#clock()
    const { wanted, held } = this.#elements
    const isBusy = (key: ElementKey) => this.#sets.isBeingReplaced(setOf(key)) || this.#elements.isBusy(key)
    const comparisons: Comparison[] = []
    for (const { name } of this.definitions) {
      const seen = observed.sets.get(name)?.elements
      if (!seen) continue
      comparisons.push(await compareElements({ name, wanted, held: held.of(name), seen, isBusy, now }))
    }
    return comparisons
  }

  #adopt(
    observed: ObservedState,
    comparisons: readonly Comparison[],
    { withChains }: { readonly withChains: boolean },
  ): readonly string[] {
    for (const comparison of comparisons) this.#elements.adoptTime(comparison)
    this.#elements.makeRoom(observed, this.#sets.definitions)
    this.#sets.adoptStrays(observed)
    for (const chains of this.#families) {
      const unreadable = observed.unreadable?.get(chains.family)
      if (unreadable) chains.trouble ??= inFamily(chains.family, unreadable)
    }
    const sets = this.#sets.describe(observed, 'comparing')
    const wrong = withChains ? this.#findWrongChains(observed) : []
    const elements = comparisons.flatMap(({ found }) => found)
    const found = [...sets, ...wrong.map(({ says }) => says), ...elements]
    if (found.length === 0 || !this.#mayRepair(found)) return found
    for (const { chains } of wrong) chains.isDue = true
    for (const comparison of comparisons) this.#elements.adoptForeign(comparison)
    if (sets.length > 0) this.#readAnew()
    return found
  }

  /** What is gone was counted: reading it must not count it again. */
  #readAnew(): void {
    this.forget()
    this.#sets.wereRemoved()
  }
}

function familyOfSet(name: string): Family {
  return name.endsWith('4') ? 4 : 6
}

function inFamily(family: Family, { kind, message, line }: KernelError): KernelError {
  return new KernelError(kind, `IPv${family}: ${message}`, line)
}

/** Which prefixes are protected matters to the chains only by there being some. */
function isSameChainInput(a: DesiredState, b: DesiredState): boolean {
  const isSame =
    a.traffic === b.traffic && a.limits === b.limits && a.sizes === b.sizes && a.gateways === b.gateways
  return isSame || isSameText(chainInput(a), chainInput(b))
}

function chainInput({ traffic, limits, sizes, gateways }: DesiredState): unknown {
  const { destinations } = traffic
  return [
    { ...traffic, destinations: destinations === 'local' ? 'local' : 'listed' },
    limits,
    sizes,
    gateways,
  ]
}

function isSameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
