import type { KernelStatistics } from '../capture/live.ts'

/** Adds up what the captures of one device lost, one after the other. */
export class Losses {
  total = 0
  readonly #onLost: (frames: number, seconds: number) => void

  constructor(onLost: (frames: number, seconds: number) => void) {
    this.#onLost = onLost
  }

  /** The ear of one capture, whose counts begin at zero. */
  of(): (statistics: KernelStatistics | null) => void {
    let before = 0
    return (statistics) => {
      const more = (statistics?.dropped ?? before) - before
      if (more <= 0) return
      before += more
      this.total += more
      this.#onLost(more, STATISTICS_SECONDS)
    }
  }
}

/** Captures tell their counts about once a second. */
const STATISTICS_SECONDS = 1
