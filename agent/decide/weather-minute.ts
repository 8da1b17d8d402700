import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Figures } from './baseline.ts'

const MINUTE = 60_000
/** A minute of which the sensor saw less is not compared with others. */
const FEWEST_SECONDS: Seconds = 45
/** Of fewer REGISTERs nobody can tell a share. */
const FEWEST_REGISTERS = 30

/** What one summary of the sensor adds to its minute. */
export interface SecondOfMinute {
  readonly time: EpochMilliseconds
  readonly seconds: Seconds
  readonly registers: number
  readonly successes: number
  /** Those to ports whose answers are seen. */
  readonly sightedRegisters: number
  /** Whether the sensor sees everything that it should. */
  readonly whole: boolean
  readonly endpoints: number
  readonly newSources: number
  /** An attack or a recovery goes on: what is measured now is not usual. */
  readonly unusual: boolean
}

export interface Minute extends Figures {
  readonly time: EpochMilliseconds
  readonly unusual: boolean
}

/** Adds seconds up to minutes. */
export class MinuteGauge {
  #minute = Number.NaN
  #seconds: SecondOfMinute[] = []

  /** The minute that ended with this second's coming, where one did and enough of it was seen. */
  take(second: SecondOfMinute): Minute | undefined {
    const minute = Math.floor(second.time / MINUTE)
    if (minute === this.#minute) {
      // A clock that stands still must not fill the memory.
      if (this.#seconds.length < 600) this.#seconds.push(second)
      return undefined
    }
    const ended = this.#sum()
    this.#minute = minute
    this.#seconds = [second]
    return ended
  }

  #sum(): Minute | undefined {
    const each = this.#seconds
    const total = (of: (second: SecondOfMinute) => number) =>
      each.reduce((sum, second) => sum + of(second), 0)
    const seconds = total((second) => second.seconds)
    const last = each.at(-1)
    if (!last || seconds < FEWEST_SECONDS || !each.every(({ whole }) => whole)) return undefined
    const registers = total((second) => second.registers)
    const successes = total((second) => second.successes)
    const sighted = total((second) => second.sightedRegisters)
    return {
      time: last.time,
      registers: registers / seconds,
      successes: sighted > 0 || registers === 0 ? successes / seconds : null,
      share: sighted >= FEWEST_REGISTERS ? successes / sighted : null,
      endpoints: last.endpoints,
      newSources: (total((second) => second.newSources) * 60) / seconds,
      unusual: each.some(({ unusual }) => unusual),
    }
  }
}
