import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { TableSizes } from '../desired-state.ts'
import { defineSets, purposeOf, type SetDefinition } from '../names.ts'
import type { FoundElement } from './held-elements.ts'
import type { PacketView } from './packet-view.ts'
import type { AddTarget, Side } from './parse-rule.ts'

/** Sets that the kernel fills by itself, from the packets that it sees. */
const FILLED_SETS = ['asked', 'seen', 'wsip'] as const
export type FilledSet = (typeof FILLED_SETS)[number]

export function isFilled(set: string): boolean {
  return FILLED_SETS.some((purpose) => purpose === purposeOf(set))
}

/** The sets that the kernel fills, with its bounds, while imagined packets come one after the other. */
export class FilledSets {
  #definitions: ReadonlyMap<string, SetDefinition>
  readonly #ends = new Map<string, Map<string, EpochMilliseconds>>()

  constructor(sizes: TableSizes) {
    this.#definitions = definitionsOf(sizes)
  }

  resize(sizes: TableSizes): void {
    this.#definitions = definitionsOf(sizes)
  }

  find(
    set: string,
    sides: readonly Side[],
    view: PacketView,
    now: EpochMilliseconds,
  ): FoundElement | undefined {
    const text = view.element(sides, this.#netmask(set))
    const until = this.#ends.get(set)?.get(text)
    return until === undefined || until <= now ? undefined : { set, text, until }
  }

  add({ set, sides, timeout, renews }: AddTarget, view: PacketView, now: EpochMilliseconds): void {
    const text = view.element(sides, this.#netmask(set))
    const ends = this.#ends.get(set) ?? new Map<string, EpochMilliseconds>()
    this.#ends.set(set, ends)
    const until = ends.get(text)
    if (until !== undefined && until > now && !renews) return
    if (until === undefined && !this.#makeRoom(set, ends, now)) return
    ends.set(text, now + timeout * 1_000)
  }

  /** Whether one more fits: a full set takes nothing, or lets another go where it was made so. */
  #makeRoom(set: string, ends: Map<string, EpochMilliseconds>, now: EpochMilliseconds): boolean {
    const { maxElements, extra } = this.#definitions.get(set)!
    if (ends.size < maxElements) return true
    for (const [text, until] of ends) if (until <= now) ends.delete(text)
    if (ends.size < maxElements) return true
    if (!extra.includes('forceadd')) return false
    const [oldest] = ends.keys()
    return ends.delete(oldest!)
  }

  #netmask(set: string): number | undefined {
    const netmask = /netmask (\d+)/.exec(this.#definitions.get(set)?.form ?? '')?.[1]
    return netmask === undefined ? undefined : Number(netmask)
  }
}

function definitionsOf(sizes: TableSizes): ReadonlyMap<string, SetDefinition> {
  return new Map(
    defineSets(sizes)
      .filter(({ name }) => isFilled(name))
      .map((definition) => [definition.name, definition]),
  )
}
