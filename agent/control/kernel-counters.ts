import type { Clock, EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { RulesEngine } from '../../rules/engine.ts'
import type { KernelCounters } from '../../rules/status.ts'
import { type DropIndex, indexDrops } from './views.ts'

/** Counters are read at most so often, and so seldom that reading them (10 µs an entry) stays under 5 % of the time. */
const FRESH: Milliseconds = 800
const SHARE = 20
/** However long a look took, waiting for others included: under a flood figures of minutes ago help nobody. */
const LONGEST_PAUSE: Milliseconds = 10_000
/** Whoever asks waits so long for a look at most, and sees the figures of the one before. */
const PATIENCE: Milliseconds = 2_000

export interface ReadCounters {
  readonly at: EpochMilliseconds
  readonly value: KernelCounters
  readonly drops: DropIndex
  /** REGISTERs (and what cannot be told from one) that were dropped. */
  readonly registers: number
  /** Packets whose drops, many at once, are an attack: all but those of a gateway that is busy. */
  readonly suspicious: number
}

/** The kernel's counters as they were read last, however many ask for them. */
export class CounterReader {
  readonly #engine: RulesEngine
  readonly #clock: Clock
  readonly #onRead: (counters: ReadCounters) => void
  #latest: ReadCounters | undefined
  #reading: Promise<void> | undefined
  #cost: Milliseconds = 0

  constructor(options: { engine: RulesEngine; clock: Clock; onRead: (counters: ReadCounters) => void }) {
    this.#engine = options.engine
    this.#clock = options.clock
    this.#onRead = options.onRead
  }

  get latest(): ReadCounters | undefined {
    return this.#latest
  }

  /** Fresh counters; the last ones where the kernel does not answer, or not soon. */
  async refreshed(): Promise<ReadCounters | undefined> {
    const age = this.#clock() - (this.#latest?.at ?? Number.NEGATIVE_INFINITY)
    if (age < Math.max(FRESH, Math.min(LONGEST_PAUSE, this.#cost * SHARE))) return this.#latest
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE)
    })
    await Promise.race([this.#reading, patience])
    clearTimeout(timer)
    return this.#latest
  }

  async #read(): Promise<void> {
    const begun = performance.now()
    const value = await this.#engine.counters().catch(() => undefined)
    if (!value) return
    const { blocks, suspensions, registerLimit, firstPackets, full, gateways } = value.dropped
    const all = Object.values(value.dropped).reduce((sum, packets) => sum + packets, 0)
    this.#cost = performance.now() - begun
    this.#latest = {
      at: this.#clock(),
      value,
      drops: indexDrops(value),
      registers: blocks + suspensions + registerLimit + firstPackets + full,
      suspicious: all - gateways,
    }
    this.#onRead(this.#latest)
  }
}
