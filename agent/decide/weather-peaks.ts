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

/**
 * The most that came while a change of state stands: it is decided in its first seconds, and most of an attack comes
 * afterwards. One for the limits, one for the weather.
 */
export class WeatherPeaks {
  readonly #standing = new Map<
    WeatherEntry['what'],
    { entry: WeatherEntry; readonly writtenAt: EpochMilliseconds }
  >()
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
    else this.#standing.set(entry.what, { entry, writtenAt: entry.time })
  }

  second(second: PeakSecond): void {
    for (const [what, { entry, writtenAt }] of this.#standing) {
      const figures = grown(entry.figures, second)
      if (figures === entry.figures) continue
      const after = { ...entry, figures }
      const isDue = second.time - writtenAt >= AMEND_EVERY || second.time < writtenAt
      this.#standing.set(what, { entry: after, writtenAt: isDue ? second.time : writtenAt })
      if (isDue) this.#amend(after)
    }
  }

  /** The daemon ends; what stands is written as it is. */
  close(): void {
    for (const { entry } of this.#standing.values()) this.#amend(entry)
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
