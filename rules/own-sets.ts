import type { Family } from '../registrar/net/address.ts'
import type { Clock } from '../registrar/net/time.ts'
import type { TableSizes } from './desired-state.ts'
import type { Kernel, ObservedState, RefusedLine } from './kernel.ts'
import { ASIDE, defineSets, type SetDefinition } from './names.ts'
import { kindOf, planRebuild, planReplacements, renderCreate } from './plan.ts'
import { carriesOver, SetReplacement } from './set-replacement.ts'
import type { WantedElements } from './wanted-elements.ts'

/** The sets themselves: which there should be, which there are, and what of the difference is still to be done. */
export class OwnSets {
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #observe: Kernel['observe']
  readonly #wanted: WantedElements
  #definitions: ReadonlyMap<string, SetDefinition> = new Map()
  /** In the kernel as far as we know: one that is missing was taken away by somebody else. */
  readonly #present = new Set<string>()
  /** Not there, and not made again for the moment. */
  readonly #absent = new Set<string>()
  #toCreate: readonly SetDefinition[] = []
  #toDestroy: readonly string[] = []
  readonly #toReplace = new Map<string, SetDefinition>()
  #replacement: SetReplacement | undefined
  readonly #refused = new Map<string, RefusedLine>()
  #replacedMeanwhile: Set<string> | undefined

  constructor(options: {
    readonly kernel: Kernel
    readonly clock: Clock
    readonly observe: Kernel['observe']
    readonly wanted: WantedElements
  }) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#observe = options.observe
    this.#wanted = options.wanted
  }

  get definitions(): ReadonlyMap<string, SetDefinition> {
    return this.#definitions
  }

  get hasWork(): boolean {
    return this.#toCreate.length + this.#toDestroy.length + this.#toReplace.size > 0
  }

  get hasToCreate(): boolean {
    return this.#toCreate.length > 0
  }

  get hasToReplace(): boolean {
    return this.#toReplace.size > 0
  }

  get pending(): number {
    const filling = this.#replacement?.left ?? 0
    return this.#toCreate.length + this.#toReplace.size + filling + this.#absent.size + this.#refused.size
  }

  get refused(): IterableIterator<RefusedLine> {
    return this.#refused.values()
  }

  /** The set that is being filled aside. */
  get replacement(): SetReplacement | undefined {
    return this.#replacement
  }

  isAbsent(name: string): boolean {
    return this.#absent.has(name)
  }

  /** Whether a set will be built anew and nothing of that was begun: what is wanted then goes into the new one. */
  isYetToBeReplaced(name: string): boolean {
    return this.#toReplace.has(name) && this.#replacement?.definition.name !== name
  }

  isBeingReplaced(name: string): boolean {
    return this.#toReplace.has(name) || this.#replacedMeanwhile?.has(name) === true
  }

  /** Takes over other sizes: each set of another form is built anew. */
  define(sizes: TableSizes): void {
    const before = this.#definitions
    this.#definitions = new Map(defineSets(sizes).map((definition) => [definition.name, definition]))
    for (const definition of this.#definitions.values()) {
      const old = before.get(definition.name)
      if (old && old.form !== definition.form) this.#toReplace.set(definition.name, definition)
    }
  }

  /** Has sets built anew, since very much of them changes. */
  replace(names: readonly string[]): void {
    for (const name of names) {
      if (!this.#toReplace.has(name)) this.#toReplace.set(name, this.#definitions.get(name)!)
    }
  }

  forget(): void {
    for (const some of [this.#absent, this.#toReplace, this.#refused]) some.clear()
    this.#toCreate = []
    this.#toDestroy = []
    this.#replacement = undefined
  }

  wereRemoved(names: Iterable<string> = [...this.#present]): void {
    for (const name of names) this.#present.delete(name)
  }

  /** Families that have to be taken down and built anew, since a set of theirs is of another kind. */
  findRebuild(observed: ObservedState): readonly Family[] {
    return planRebuild(observed.sets, [...this.#definitions.values()])
  }

  /** The kernel was read. `mayCreate`: whether sets that are missing are made. */
  load(observed: ObservedState, options: { readonly mayCreate: boolean }): void {
    this.forget()
    const definitions = [...this.#definitions.values()]
    const missing = definitions.filter(({ name, form }) => {
      const found = observed.sets.get(name)
      return found === undefined || kindOf(found.form) !== kindOf(form)
    })
    for (const { name } of definitions) this.#present.add(name)
    for (const { name } of missing) {
      this.#present.delete(name)
      if (!options.mayCreate) this.#absent.add(name)
    }
    if (options.mayCreate) this.#toCreate = missing
    for (const definition of planReplacements(observed.sets, definitions)) {
      this.#toReplace.set(definition.name, definition)
    }
    this.#toDestroy = observed.straySets
  }

  /** What is not as it was left, in words. `since`: what is looked for when all is read anew, or beside the steps. */
  describe(observed: ObservedState, since: 'loading' | 'comparing'): readonly string[] {
    return [...this.#definitions.values()].flatMap(({ name, form }) => {
      if (!this.#present.has(name)) return this.#absent.has(name) ? [`the set ${name} was gone`] : []
      const found = observed.sets.get(name)?.form
      if (found === undefined) return [`the set ${name} was gone`]
      const isOther =
        kindOf(found) !== kindOf(form) ||
        (since === 'comparing' && found !== form && !this.isBeingReplaced(name))
      return isOther ? [`the set ${name} was of another form`] : []
    })
  }

  async create(): Promise<void> {
    const definitions = this.#toCreate
    const refused = await this.#kernel.applySets(definitions.map((definition) => renderCreate(definition)))
    this.#toCreate = []
    for (const { name } of definitions) {
      const line = refused.find(({ line }) => line.startsWith(`create ${name} `))
      if (line) this.#refused.set(name, line)
      else this.#present.add(name)
    }
  }

  /** Does a piece of building a set anew, or clears a leftover. Gives the new set where it is in place. */
  async step(): Promise<SetReplacement | undefined> {
    const [definition] = this.#toReplace.values()
    if (definition) return this.#replace(definition)
    const names = this.#toDestroy
    this.#toDestroy = []
    // One that is being read, or that a rule of somebody else holds, is tried again at the next comparison.
    await this.#kernel.applySets(names.map((name) => `destroy ${name}`))
    return undefined
  }

  beginComparing(): void {
    this.#replacedMeanwhile = new Set()
  }

  endComparing(): void {
    this.#replacedMeanwhile = undefined
  }

  /** Has leftovers destroyed that were seen beside the steps. */
  adoptStrays({ straySets }: ObservedState): void {
    if (this.#toDestroy.length > 0) return
    this.#toDestroy = straySets.filter((name) => !this.isBeingReplaced(name.replace(ASIDE, '')))
  }

  async #replace(definition: SetDefinition): Promise<SetReplacement | undefined> {
    const { name } = definition
    if (this.#replacement?.definition !== definition) {
      this.#replacement = undefined
      const replacement = await this.#beginReplacement(definition)
      // What is wanted may have changed meanwhile.
      if (this.#toReplace.get(name) === definition) this.#replacement = replacement
      return undefined
    }
    const replacement = this.#replacement
    if (!(await replacement.step())) return undefined
    this.#replacedMeanwhile?.add(name)
    if (this.#toReplace.get(name) === definition) this.#toReplace.delete(name)
    this.#replacement = undefined
    this.#toDestroy = [...this.#toDestroy, name + ASIDE]
    return replacement
  }

  async #beginReplacement(definition: SetDefinition): Promise<SetReplacement> {
    const { name, purpose } = definition
    const observed = carriesOver(definition) ? await this.#observe({ elements: [purpose] }) : undefined
    return new SetReplacement({
      kernel: this.#kernel,
      clock: this.#clock,
      definition,
      wanted: this.#wanted,
      present: observed?.sets.get(name)?.elements ?? new Map(),
    })
  }
}
