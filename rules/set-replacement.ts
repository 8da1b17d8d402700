import type { Clock } from '../registrar/net/time.ts'
import { elementOf, setOf } from './element-map.ts'
import { type ElementKey, isStanding, type Until } from './elements.ts'
import { type Kernel, KernelError, type ObservedElement, type RefusedLine } from './kernel.ts'
import { ASIDE, type SetDefinition } from './names.ts'
import { renderCreate } from './plan.ts'
import { heldAfterAdding, timeoutOf } from './plan-elements.ts'
import type { WantedElements } from './wanted-elements.ts'

/** Elements written in one step: some 50 ms. Between two steps newer changes may go first. */
const SLICE = 10_000
/** A set that somebody is reading cannot be swapped. In milliseconds. */
const PAUSE = 20
const ATTEMPTS = 250

/**
 * Builds one set anew beside the present one, fills it, and swaps the two, so that the chains at no moment see less than
 * they should. What is written to the present set meanwhile has to be told with `touch`. `step` does one piece.
 */
export class SetReplacement {
  readonly definition: SetDefinition
  /** What the new set holds. */
  readonly held = new Map<ElementKey, Until>()
  /** Elements that the new set did not take. */
  readonly refused = new Map<ElementKey, RefusedLine>()
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #wanted: WantedElements
  readonly #present: ReadonlyMap<string, ObservedElement>
  readonly #aside: string
  readonly #isStanding: boolean
  /** An ipset that has not created the set itself asks the kernel of what kind it is, line by line. */
  #create = ''
  #queue: readonly ElementKey[] | undefined
  #copied: readonly string[] | undefined
  readonly #touched = new Set<ElementKey>()
  #isFull = false
  #attempts = 0

  constructor(options: {
    readonly kernel: Kernel
    readonly clock: Clock
    readonly definition: SetDefinition
    readonly wanted: WantedElements
    /** What the present set holds, for counters, and where the kernel itself fills the set; else nothing. */
    readonly present: ReadonlyMap<string, ObservedElement>
  }) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.definition = options.definition
    this.#wanted = options.wanted
    this.#present = options.present
    this.#aside = options.definition.name + ASIDE
    this.#isStanding = isStanding(options.definition.name)
  }

  /** How many elements the new set still lacks. */
  get left(): number {
    return (this.#queue?.length ?? 0) + (this.#copied?.length ?? 0) + this.#touched.size
  }

  /** An element was written, perhaps of the present set. */
  touch(key: ElementKey): void {
    if (this.#queue && setOf(key) === this.definition.name) this.#touched.add(key)
  }

  /** Does one piece. Gives whether the new set is in place. Throws `KernelError`. */
  async step(): Promise<boolean> {
    if (this.#queue === undefined) await this.#begin()
    else if (this.#copied!.length > 0) await this.#copy()
    else if (this.#queue.length > 0) await this.#fill()
    else if (this.#touched.size > 0) await this.#catchUp()
    else return this.#swap()
    return false
  }

  async #begin(): Promise<void> {
    const keys = Array.from(this.#wanted.of(this.definition.name), ([key]) => key)
    this.#create = renderCreate(this.definition, { as: this.#aside, expected: keys.length })
    // One that was begun at another size may be there.
    const [refused] = await this.#kernel.applySets([`destroy ${this.#aside}`, this.#create])
    if (refused) throw refusal(refused)
    this.#queue = keys
    this.#copied = IS_FILLED_BY_KERNEL.has(this.definition.purpose) ? this.#linesOfPresent() : []
  }

  #linesOfPresent(): readonly string[] {
    return [...this.#present].map(
      ([element, { timeout, packets, bytes }]) =>
        `add ${this.#aside} ${element} timeout ${timeout}${this.#counters(packets, bytes)} -exist`,
    )
  }

  /** What finds no room is what the kernel would have let go as well. */
  async #copy(): Promise<void> {
    const lines = this.#copied!
    this.#copied = lines.slice(SLICE)
    await this.#kernel.applySets([this.#create, ...lines.slice(0, SLICE)])
  }

  async #fill(): Promise<void> {
    const queue = this.#queue!
    this.#queue = queue.slice(SLICE)
    await this.#write(queue.slice(0, SLICE))
  }

  async #catchUp(): Promise<void> {
    const keys = [...this.#touched]
    this.#touched.clear()
    await this.#write(keys)
  }

  async #write(keys: readonly ElementKey[]): Promise<void> {
    const now = this.#clock()
    const lines = new Map<string, ElementKey>()
    for (const key of keys) {
      const until = this.#wanted.get(key)
      this.refused.delete(key)
      if (until === undefined || until <= now) {
        if (this.held.delete(key)) lines.set(`del ${this.#aside} ${elementOf(key)} -exist`, key)
        continue
      }
      const line = this.#lineFor(key, until)
      // So many that are refused one by one would keep others waiting.
      if (this.#isFull && !this.held.has(key)) this.refused.set(key, { line, message: 'Hash is full' })
      else {
        lines.set(line, key)
        this.held.set(key, heldAfterAdding(until, now))
      }
    }
    if (lines.size === 0) return
    for (const refused of await this.#kernel.applySets([this.#create, ...lines.keys()])) {
      const key = lines.get(refused.line)
      if (key === undefined) throw refusal(refused)
      this.held.delete(key)
      this.refused.set(key, refused)
      if (refused.message.includes('full')) this.#isFull = true
    }
  }

  #lineFor(key: ElementKey, until: Until): string {
    const element = elementOf(key)
    if (this.#isStanding) return `add ${this.#aside} ${element} -exist`
    const before = this.#present.get(element)
    const counters = before ? this.#counters(before.packets, before.bytes) : ''
    return `add ${this.#aside} ${element} timeout ${timeoutOf(until, this.#clock())}${counters} -exist`
  }

  #counters(packets: number, bytes: number): string {
    if (packets === 0 || !this.definition.form.endsWith(' counters')) return ''
    return ` packets ${packets} bytes ${bytes}`
  }

  async #swap(): Promise<boolean> {
    const [refused] = await this.#kernel.applySets([`swap ${this.#aside} ${this.definition.name}`])
    if (!refused) return true
    if (++this.#attempts === ATTEMPTS) throw refusal(refused)
    await new Promise((resolve) => setTimeout(resolve, PAUSE))
    return false
  }
}

/** Sets whose elements come from packets; `seen` forgets within seconds by itself. */
const IS_FILLED_BY_KERNEL: ReadonlySet<string> = new Set(['asked', 'wsip'])

function refusal({ line, message }: RefusedLine): KernelError {
  return new KernelError('refused', `The kernel did not take a line: ${message}.`, line)
}

/** Whether what the present set holds is needed to replace it. */
export function carriesOver({ purpose, form }: SetDefinition): boolean {
  return IS_FILLED_BY_KERNEL.has(purpose) || form.endsWith(' counters')
}
