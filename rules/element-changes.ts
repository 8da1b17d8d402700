import type { Clock } from '../registrar/net/time.ts'
import type { Comparison } from './compare-elements.ts'
import type { DesiredState } from './desired-state.ts'
import { ElementMap, setOf } from './element-map.ts'
import { type ElementKey, isStanding, type Until } from './elements.ts'
import { NEARLY } from './full.ts'
import type { Kernel, ObservedState, RefusedLine } from './kernel.ts'
import { purposeOf, type SetDefinition, type SetPurpose, WRITTEN_SETS } from './names.ts'
import { renderCreate } from './plan.ts'
import { heldAfterAdding, planElement, READ_TOLERANCE, readHeld } from './plan-elements.ts'
import type { SetReplacement } from './set-replacement.ts'
import { WantedElements } from './wanted-elements.ts'

/** Elements written in one step. Between two steps newer changes may go first. */
const SLICE = 5_000
/** The same of what the chains wait for: until then nothing newer would count either, and each step is a spawn. */
const STANDING_SLICE = 50_000
/** A change of so few elements goes before a bulk that is on its way. */
const FEW = 100
/** So many lines are worth being given as a bulk. */
const MANY = 2_000
/** From so many changes in one set on it is built aside and swapped in. */
const BULK = 20_000
/** So long a set may seem to hold what has just ended. */
const GRACE = 3_000

/** Sets of what evidence made of a source. Whoever finds no room there is served as unknown: that is no failure. */
const LANES: ReadonlySet<SetPurpose> = new Set<SetPurpose>(['pvn', 'ans', 'ret1', 'ret2', 'ret3', 'ign'])

/**
 * The elements of all sets: what is wanted, what the kernel holds, and what of the difference is still to be written.
 * Writing must not overlap; wanting and comparing may go on beside it.
 */
export class ElementChanges {
  readonly wanted = new WantedElements()
  readonly held = new ElementMap<Until>()
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #isNeeded: (key: ElementKey) => boolean
  readonly #urgent = new Set<ElementKey>()
  readonly #pending = new Set<ElementKey>()
  readonly #waiting = new Set<ElementKey>()
  readonly #refused = new Map<ElementKey, RefusedLine>()
  /** Of the sets that were there when the kernel was read. */
  readonly #definitions = new Map<string, SetDefinition>()
  /** How many lines are with the kernel at this moment. */
  #writing = 0
  /** Members of lanes that found no room, and the sets that have none. */
  readonly #leftOut = new Set<ElementKey>()
  readonly #full = new Set<string>()
  /** What was written since a comparison began to read the kernel; it has to pass over it. */
  #writtenMeanwhile: Set<ElementKey> | undefined

  /** `isNeeded`: whether the chains that are in the kernel need an element that is not wanted any more. */
  constructor(options: {
    readonly kernel: Kernel
    readonly clock: Clock
    readonly isNeeded: (key: ElementKey) => boolean
  }) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#isNeeded = options.isNeeded
  }

  get hasWork(): boolean {
    return this.#urgent.size + this.#pending.size > 0
  }

  /** Whether there is something to write that is not urgent. */
  get hasBulk(): boolean {
    return this.#pending.size > 0
  }

  get pending(): number {
    return this.#urgent.size + this.#pending.size + this.#waiting.size + this.#refused.size + this.#writing
  }

  get refused(): IterableIterator<RefusedLine> {
    return this.#refused.values()
  }

  /** Members of lanes that found no room, by set. */
  get leftOut(): ReadonlyMap<string, number> {
    return countBySet(this.#leftOut)
  }

  /** Takes over what is desired. Gives what has to be looked at for it. */
  want(desired: DesiredState): ReadonlySet<ElementKey> {
    return this.wanted.replace(desired)
  }

  /** Has elements written. Gives the sets of which so much changes that they had better be built anew. */
  queue(keys: ReadonlySet<ElementKey>): readonly string[] {
    const queue = keys.size <= FEW ? this.#urgent : this.#pending
    for (const key of keys) {
      this.#refused.delete(key)
      this.#leftOut.delete(key)
      // Also where it seems to be as wanted: an older change of it may be under way at this moment.
      queue.add(key)
    }
    return this.#findBulk()
  }

  /** The kernel was read. What differs is queued, but for sets that are not there. */
  load(
    observed: ObservedState,
    sets: Iterable<SetDefinition>,
    isAbsent: (name: string) => boolean,
  ): readonly string[] {
    const now = this.#clock()
    this.forget()
    this.held.clear()
    this.#definitions.clear()
    for (const definition of sets) {
      const { name, purpose } = definition
      if (isAbsent(name) || !IS_WRITTEN.has(purpose)) continue
      this.#definitions.set(name, definition)
      const held = readHeld(name, observed.sets.get(name), now)
      this.held.replace(name, held)
      let common = 0
      this.wanted.each(name, (key, until) => {
        const there = held.get(key)
        if (there !== undefined) common++
        if (there === until && until > now) return
        if (planElement(key, until, there, now, READ_TOLERANCE) !== undefined) this.#pending.add(key)
      })
      // Mostly all that is there is wanted, and need not be looked at again.
      if (common === held.size) continue
      for (const key of held.keys()) if (this.#lineFor(key) !== undefined) this.#pending.add(key)
    }
    return this.#findBulk()
  }

  forget(): void {
    for (const queue of [this.#urgent, this.#pending, this.#waiting, this.#refused]) queue.clear()
    this.#leftOut.clear()
    this.#full.clear()
  }

  /** Nothing of sets that are built anew has to be written one by one, but for what is urgent. */
  drop(isReplaced: (set: string) => boolean): void {
    for (const key of this.#pending) if (!isStanding(key) && isReplaced(setOf(key))) this.#pending.delete(key)
  }

  /** A set was built anew. */
  replace({ definition, held, refused }: SetReplacement): void {
    const { name, purpose } = definition
    if (!IS_WRITTEN.has(purpose)) return
    this.held.replace(name, held)
    this.#full.delete(name)
    for (const key of this.#refused.keys()) if (setOf(key) === name) this.#refused.delete(key)
    for (const [key, line] of refused) this.#refuse(key, line)
  }

  /** Has what was refused for want of room tried again. */
  retry(): void {
    this.#full.clear()
    for (const key of this.#refused.keys()) this.#pending.add(key)
    this.#refused.clear()
  }

  /** What waited for the chains may go now. */
  release(): void {
    for (const key of this.#waiting) this.#pending.add(key)
    this.#waiting.clear()
  }

  /**
   * Writes some of what is to be written: what is `urgent`, what `standing` there is that the chains need, or `any`.
   * Gives whether there was anything. Throws `KernelError`.
   */
  async write(
    which: 'urgent' | 'standing' | 'any',
    replacement: SetReplacement | undefined,
  ): Promise<boolean> {
    const queue = which === 'urgent' ? this.#urgent : this.#pending
    const keys =
      which === 'standing'
        ? this.#take(queue, { isRight: isStanding, most: STANDING_SLICE })
        : this.#take(queue, { isRight: () => true, most: SLICE })
    if (keys.length === 0) return false
    const lines = this.#linesFor(keys, which)
    if (lines.size === 0) return true
    for (const { key } of lines.values()) this.#writtenMeanwhile?.add(key)
    const now = this.#clock()
    const refused = await this.#give([...this.#createsFor(lines), ...lines.keys()])
    for (const line of refused) {
      const { key } = lines.get(line.line) ?? {}
      if (key === undefined) continue
      lines.delete(line.line)
      if (!this.#urgent.has(key) && !this.#pending.has(key)) this.#refuse(key, line)
    }
    for (const [line, { key, wanted }] of lines) {
      this.#writtenMeanwhile?.add(key)
      replacement?.touch(key)
      if (line.startsWith('add') && wanted !== undefined) this.held.set(key, heldAfterAdding(wanted, now))
      else {
        this.held.delete(key)
        this.#full.delete(setOf(key))
      }
    }
    return true
  }

  /** From here on until `endComparing` it is noted what is written. */
  beginComparing(): void {
    this.#writtenMeanwhile = new Set()
  }

  endComparing(): void {
    this.#writtenMeanwhile = undefined
  }

  /** Whether an element is being changed at this moment, or is known not to be there. */
  isBusy(key: ElementKey): boolean {
    return (
      this.#writtenMeanwhile?.has(key) === true ||
      this.#urgent.has(key) ||
      this.#pending.has(key) ||
      this.#waiting.has(key) ||
      this.#refused.has(key) ||
      this.#leftOut.has(key)
    )
  }

  /** How many elements each set holds that do not end in a moment. */
  countHeld(sets: Iterable<SetDefinition>): ReadonlyMap<SetDefinition, number> {
    const soon = this.#clock() + GRACE
    const counts = new Map<SetDefinition, number>()
    for (const definition of sets) {
      let count = 0
      for (const until of this.held.of(definition.name).values()) if (until > soon) count++
      counts.set(definition, count)
    }
    return counts
  }

  /** Takes over what time changed. */
  adoptTime({ ended, due }: Comparison): void {
    for (const key of ended) if (!this.isBusy(key)) this.held.delete(key)
    for (const [key, until] of due) this.#correct(key, until)
  }

  /** Takes over what somebody else changed, so that it is put right. */
  adoptForeign({ foreign }: Comparison): void {
    for (const [key, until] of foreign) this.#correct(key, until)
  }

  /** Members that found no room are tried again where there is some. */
  makeRoom(observed: ObservedState, sets: ReadonlyMap<string, SetDefinition>): void {
    for (const name of this.#full) {
      const max = sets.get(name)?.maxElements ?? 0
      if ((observed.sets.get(name)?.size ?? 0) < max * NEARLY) this.#full.delete(name)
    }
    for (const key of this.#leftOut) {
      if (this.#full.has(setOf(key))) continue
      this.#leftOut.delete(key)
      this.#pending.add(key)
    }
  }

  #correct(key: ElementKey, until: Until | undefined): void {
    if (this.isBusy(key)) return
    if (until === undefined) this.held.delete(key)
    else this.held.set(key, until)
    this.#pending.add(key)
  }

  #take(
    queue: Set<ElementKey>,
    { isRight, most }: { readonly isRight: (key: ElementKey) => boolean; readonly most: number },
  ): readonly ElementKey[] {
    const some: ElementKey[] = []
    for (const key of queue) {
      if (!isRight(key)) continue
      queue.delete(key)
      if (this.wanted.get(key) === undefined && this.#isNeeded(key)) this.#waiting.add(key)
      else some.push(key)
      if (some.length === most) break
    }
    return some
  }

  /** ipset asks the kernel about the set of each line, one by one, unless it made the set itself: twice the time. */
  #createsFor(lines: ReadonlyMap<string, { readonly key: ElementKey }>): readonly string[] {
    if (lines.size < MANY) return []
    const names = new Set(Array.from(lines.values(), ({ key }) => setOf(key)))
    return [...names].flatMap((name) => {
      const definition = this.#definitions.get(name)
      return definition ? [renderCreate(definition)] : []
    })
  }

  async #give(lines: readonly string[]): Promise<readonly RefusedLine[]> {
    this.#writing = lines.filter((line) => !line.startsWith('create ')).length
    try {
      return await this.#kernel.applySets(lines)
    } finally {
      this.#writing = 0
    }
  }

  #linesFor(keys: readonly ElementKey[], which: 'urgent' | 'standing' | 'any') {
    const lines = new Map<string, { readonly key: ElementKey; readonly wanted: Until | undefined }>()
    for (const key of keys) {
      this.#waiting.delete(key)
      const line = this.#lineFor(key)
      if (line === undefined) continue
      const isNew = line.startsWith('add') && this.held.get(key) === undefined
      // So many that are refused one by one would keep others waiting; for the operator's block it is always tried.
      const isHopeless = isNew && this.#full.has(setOf(key)) && (which !== 'urgent' || isOfLane(key))
      if (isHopeless) this.#refuse(key, { line, message: NO_ROOM })
      else lines.set(line, { key, wanted: this.wanted.get(key) })
    }
    return lines
  }

  #refuse(key: ElementKey, line: RefusedLine): void {
    if (!isFull(line)) {
      this.#refused.set(key, line)
      return
    }
    this.#full.add(setOf(key))
    if (isOfLane(key)) this.#leftOut.add(key)
    else this.#refused.set(key, line)
  }

  #lineFor(key: ElementKey): string | undefined {
    return planElement(key, this.wanted.get(key), this.held.get(key), this.#clock())
  }

  /** What the chains need to be right from the start is not built aside: it has to be there before them. */
  #findBulk(): readonly string[] {
    if (this.#pending.size <= BULK) return []
    return [...countBySet(this.#pending)]
      .filter(([name, amount]) => amount > BULK && !isStanding(`${name} `))
      .map(([name]) => name)
  }
}

export function isFull({ message }: RefusedLine): boolean {
  return message.includes('Hash is full')
}

const NO_ROOM = 'Hash is full, cannot add more elements'
const IS_WRITTEN: ReadonlySet<SetPurpose> = new Set(WRITTEN_SETS)

function isOfLane(key: ElementKey): boolean {
  return LANES.has(purposeOf(key)!)
}

function countBySet(keys: Iterable<ElementKey>): ReadonlyMap<string, number> {
  const amounts = new Map<string, number>()
  for (const key of keys) amounts.set(setOf(key), (amounts.get(setOf(key)) ?? 0) + 1)
  return amounts
}
