import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Member } from '../../rules/desired-state.ts'

export const PARTS = 256

/**
 * Members by key, in parts: of the arrays handed out, those of parts that did not change are the same ones as
 * before, so that one change among a hundred thousand members costs a look at its part.
 */
export class MemberParts {
  readonly #members = Array.from({ length: PARTS }, () => new Map<string, Member>())
  readonly #changed = new Set<number>()
  #parts: readonly (readonly Member[])[] = this.#members.map(() => [])

  get(key: string): Member | undefined {
    return this.#members[partOf(key)]!.get(key)
  }

  set(key: string, member: Member): void {
    const part = partOf(key)
    this.#members[part]!.set(key, member)
    this.#changed.add(part)
  }

  delete(key: string): void {
    const part = partOf(key)
    if (this.#members[part]!.delete(key)) this.#changed.add(part)
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  parts(): readonly (readonly Member[])[] {
    if (this.#changed.size === 0) return this.#parts
    this.#parts = this.#parts.map((part, index) =>
      this.#changed.has(index) ? [...this.#members[index]!.values()] : part,
    )
    this.#changed.clear()
    return this.#parts
  }

  /** The members of one part; they may be deleted on the way. */
  membersOf(part: number): IterableIterator<Member> {
    return this.#members[part]!.values()
  }
}

/**
 * An end put off to the next multiple of `step`, so that somebody who is seen again and again does not have his
 * element written each time.
 */
export function putOff(end: EpochMilliseconds, step: Milliseconds): EpochMilliseconds {
  return Math.ceil(end / step) * step
}

/** FNV-1a. Who makes keys that share a part only makes that part costlier to compare. */
function partOf(key: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < key.length; i++) value = Math.imul(value ^ key.charCodeAt(i), 0x01000193)
  return (value ^ (value >>> 16)) & (PARTS - 1)
}
