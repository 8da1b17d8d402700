import type { Clock, EpochMilliseconds, Milliseconds } from '../registrar/net/time.ts'
import type { RulesStatus } from './status.ts'

/** How long somebody else who keeps changing what is ours is answered at once, and how seldom then. */
export interface ContestOptions {
  /** So many repairs within `within` are made at once. */
  readonly repairs: number
  readonly within: Milliseconds
  /** After them, so long until the next attempt, and twice as long each time… */
  readonly firstPause: Milliseconds
  /** …up to this… */
  readonly pause: Milliseconds
  /** …until nothing was found for so long. */
  readonly quiet: Milliseconds
}

export const CONTEST: ContestOptions = {
  repairs: 6,
  within: 120_000,
  firstPause: 10_000,
  pause: 300_000,
  quiet: 600_000,
}

/** Counts what was repaired, and says when to stop: two programs that undo each other's work help nobody. */
export class Contest {
  readonly #clock: Clock
  readonly #options: ContestOptions
  #repairedAt: readonly EpochMilliseconds[] = []
  #count = 0
  #lastAt: EpochMilliseconds | null = null
  #last: string | null = null
  #nextAttemptAt: EpochMilliseconds | null = null
  #foundAt: EpochMilliseconds = 0
  #pause: Milliseconds = 0

  constructor(clock: Clock, options: ContestOptions = CONTEST) {
    this.#clock = clock
    this.#options = options
  }

  get isOn(): boolean {
    return this.#nextAttemptAt !== null
  }

  get repairs(): RulesStatus['repairs'] {
    return { count: this.#count, lastAt: this.#lastAt, last: this.#last, contestedUntil: this.#nextAttemptAt }
  }

  /** Something foreign was found. Says whether to repair it now, and counts that. */
  mayRepair(found: string): boolean {
    const now = this.#clock()
    const { repairs, within, firstPause, pause } = this.#options
    this.#last = found
    this.#foundAt = now
    this.#repairedAt = this.#repairedAt.filter((at) => at > now - within)
    if (this.#nextAttemptAt === null && this.#repairedAt.length >= repairs) {
      this.#pause = firstPause
      this.#nextAttemptAt = now + firstPause
    }
    if (this.#nextAttemptAt !== null) {
      if (now < this.#nextAttemptAt) return false
      this.#pause = Math.min(pause, this.#pause * 2)
      this.#nextAttemptAt = now + this.#pause
    }
    this.#repairedAt = [...this.#repairedAt, now]
    this.#count++
    this.#lastAt = now
    return true
  }

  /** A look at the kernel found nothing foreign. Gives whether that ended the contest. */
  sawNothing(): boolean {
    if (this.#nextAttemptAt === null || this.#clock() < this.#foundAt + this.#options.quiet) return false
    this.startAnew()
    return true
  }

  /** Whoever decides here wants it anew: the next repair is the first one. */
  startAnew(): void {
    this.#nextAttemptAt = null
    this.#repairedAt = []
  }

  /** Has the next attempt made at once. */
  tryNow(): void {
    if (this.#nextAttemptAt !== null) this.#nextAttemptAt = this.#clock()
  }
}
