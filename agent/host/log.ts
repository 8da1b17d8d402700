import { type Logger, pino } from 'pino'
import type { Clock, EpochMilliseconds } from '../../registrar/net/time.ts'

/** One JSON object a line on standard output, where systemd's journal or the log file takes it. */
export function openLog(): Logger {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 1, sync: true }),
  )
}

/**
 * Lets so many lines a second through and says how many it kept back: an attack with many sources must not fill
 * the disk.
 */
export class LogGate {
  #second: EpochMilliseconds = 0
  #passed = 0
  #keptBack = 0
  readonly #perSecond: number
  readonly #clock: Clock

  constructor(options: { perSecond: number; clock: Clock }) {
    this.#perSecond = options.perSecond
    this.#clock = options.clock
  }

  /** Whether one more line may be written, and how many were kept back since the last one that was. */
  ask(): { readonly write: boolean; readonly keptBack: number } {
    const second = Math.floor(this.#clock() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#passed = 0
    }
    if (this.#passed >= this.#perSecond) {
      this.#keptBack++
      return { write: false, keptBack: 0 }
    }
    this.#passed++
    const keptBack = this.#keptBack
    this.#keptBack = 0
    return { write: true, keptBack }
  }
}
