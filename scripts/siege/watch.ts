import { setTimeout as pause } from 'node:timers/promises'
import type { Ban, SiegeGuard } from './guards/guard.ts'
import type { ProcessFigures } from './guards/processes.ts'

const LOOK = 1_000
/** The first drop is looked for this often, and no longer: to look costs the machine some milliseconds. */
const LOOK_FOR_DROP = 15
const LONGEST_WITHOUT_DROP = 5_000

/** Bytes, of each kind of process, those that processes share counted once. */
export interface GuardMemory {
  readonly kinds: Readonly<Record<string, number>>
  /** Of all of it, the buffers that the kernel captures into. */
  readonly rings: number
}

/** Looks once a second at who is banned and what the guard holds, so that nothing that came and went is missed. */
export class Watch {
  readonly bans = new Map<string, Ban>()
  /** What each kind of process held when all together held the most. */
  memory: GuardMemory = { kinds: {}, rings: 0 }
  readonly #guard: SiegeGuard
  readonly #done: Promise<void>
  #stopped = false

  constructor(guard: SiegeGuard) {
    this.#guard = guard
    this.#done = this.#run()
    // Heard by whoever stops it; until then it must not end the siege without its stage being removed.
    this.#done.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #run(): Promise<void> {
    for (let last = false; !last; ) {
      last = this.#stopped
      for (const ban of await this.#guard.banned()) this.bans.set(ban.id, ban)
      this.memory = larger(this.memory, memoryOf(this.#guard.figures()))
      await pause(LOOK)
    }
  }
}

export function memoryOf(figures: Readonly<Record<string, ProcessFigures>>): GuardMemory {
  const all = Object.entries(figures)
  return {
    kinds: Object.fromEntries(all.map(([name, { memory }]) => [name, memory] as const)),
    rings: all.reduce((sum, [, { rings }]) => sum + rings, 0),
  }
}

/** Of all kinds together: one may be large when another is small. */
export function larger(one: GuardMemory, other: GuardMemory): GuardMemory {
  return total(other) > total(one) ? other : one
}

const total = ({ kinds }: GuardMemory) => Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0)

/** When a guard's rules first dropped more than before, in milliseconds of the monotonic clock; null: not within 5 s. */
export async function firstDropAfter(
  guard: SiegeGuard,
  before: Readonly<Record<string, number>>,
): Promise<number | null> {
  const sum = (drops: Readonly<Record<string, number>>) =>
    Object.values(drops).reduce((total, packets) => total + packets, 0)
  const had = sum(before)
  const deadline = monotonic() + LONGEST_WITHOUT_DROP
  for (;;) {
    const drops = await guard.dropsByRule()
    const now = monotonic()
    if (sum(drops) > had) return now
    if (now > deadline) return null
    await pause(LOOK_FOR_DROP)
  }
}

/** The kernel's CLOCK_MONOTONIC, which the flood tells its begin by too. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6
}
