import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { WeatherEntry } from '../journal/entries.ts'

/** What grows on is written so often; at its end whatever is left. */
const AMEND_EVERY: Milliseconds = 10_000

/** One second's rates. */
export interface PeakSecond {
  readonly time: EpochMilliseconds
  /** REGISTERs a second. */
  readonly registers: number
  readonly atLeast: boolean
  /** Packets a second by the kernel's count; null where it has not told lately. */
  readonly arrivals: number | null
}

interface Standing {
  entry: WeatherEntry
  writtenAt: EpochMilliseconds
  isWritten: boolean
}

/**
 * The most that came while a change of state stands: it is decided in its first seconds, and most of an attack comes
 * afterwards. One for the limits, one for the weather.
 */
export class WeatherPeaks {
  readonly #standing = new Map<WeatherEntry['what'], Standing>()
  readonly #amend: (entry: WeatherEntry) => void

  /** `amend`: writes other figures for what was recorded. */
  constructor(amend: (entry: WeatherEntry) => void) {
    this.#amend = amend
  }

  /** From now on this one stands; the one before ends with it. */
  began(entry: WeatherEntry): void {
    const before = this.#standing.get(entry.what)
    if (before) {
      const figures = { ...before.entry.figures, endedAt: entry.time }
      this.#amend({ ...before.entry, figures })
    }
    const isPeace = entry.state === 'peace'
    if (isPeace) this.#standing.delete(entry.what)
    else this.#standing.set(entry.what, { entry, writtenAt: entry.time, isWritten: true })
  }

  second(second: PeakSecond): void {
    for (const standing of this.#standing.values()) {
      const { entry, writtenAt } = standing
      const figures = grown(entry.figures, second)
      if (figures !== entry.figures) {
        standing.entry = { ...entry, figures }
        standing.isWritten = false
      }
      const isDue = second.time - writtenAt >= AMEND_EVERY || second.time < writtenAt
      if (standing.isWritten || !isDue) continue
      standing.isWritten = true
      standing.writtenAt = second.time
      this.#amend(standing.entry)
    }
  }

  /** The daemon ends; what stands is written as it is. */
  close(): void {
    for (const { entry, isWritten } of this.#standing.values()) if (!isWritten) this.#amend(entry)
    this.#standing.clear()
  }
}

/** The same object where nothing has grown. */
function grown(figures: WeatherEntry['figures'], second: PeakSecond): WeatherEntry['figures'] {
  const { peakRegisters: registers = 0, peakArrivals: arrivals = 0 } = figures
  const more = second.registers > Number(registers)
  const counted = second.arrivals !== null && second.arrivals > Number(arrivals)
  if (!more && !counted) return figures
  return {
    ...figures,
    ...(more ? { peakRegisters: Math.round(second.registers), peakAtLeast: second.atLeast } : {}),
    ...(counted ? { peakArrivals: Math.round(second.arrivals ?? 0) } : {}),
  }
}
