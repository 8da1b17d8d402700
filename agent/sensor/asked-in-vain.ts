import type { Address, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'

const MOST_PORTS = 16_384
const MOST_ADDRESSES_TOLD = 8

/** Registered phones that wait for an answer. The daemon's `Silence` says what follows from it. */
export interface AskedInVainSummary {
  readonly since: EpochMilliseconds
  readonly lastAt: EpochMilliseconds
  /** Different addresses and ports, up to 16,384. */
  readonly phones: number
  /** Where some of those are that asked last. */
  readonly addresses: readonly Address[]
}

/** When the softswitch last answered, and who has asked since. */
export interface SilenceSummary {
  /** When any SIP answer last left a watched port; null: none since the start. */
  readonly answeredAt: EpochMilliseconds | null
  readonly asked: AskedInVainSummary | null
}

/**
 * Who of the registered phones has asked since anything was last answered to anybody. A softswitch that runs answers
 * what our rules let through, forged REGISTERs included; so a flood makes no silence, it ends one.
 */
export class AskedInVain {
  /** Asked before this second: address and port. */
  readonly #ports = new Set<string>()
  /** Asked in this second: nothing of it counts where frames were lost, since their answers may be among those. */
  readonly #now = new Map<string, Source>()
  #addresses: readonly Address[] = []
  #since: EpochMilliseconds = 0
  #lastAt: EpochMilliseconds = 0
  #nowSince: EpochMilliseconds = 0
  #nowLastAt: EpochMilliseconds = 0
  #answeredAt: EpochMilliseconds | null = null

  /** A registered port sent a REGISTER that our rules let through. `answeredAt`: when anything was answered last. */
  asked(source: Source, time: EpochMilliseconds, answeredAt: EpochMilliseconds | null): void {
    this.#answered(answeredAt)
    if (this.#now.size === 0) this.#nowSince = time
    this.#nowLastAt = time
    if (this.#now.size < MOST_PORTS) this.#now.set(`${source.address} ${source.port}`, source)
  }

  /** Asked once a second. `wasAllSeen`: no frame was lost in it, and every interface is captured on. */
  take({
    answeredAt,
    wasAllSeen,
  }: {
    readonly answeredAt: EpochMilliseconds | null
    readonly wasAllSeen: boolean
  }): SilenceSummary {
    this.#answered(answeredAt)
    // Who asked a moment ago may have his answer in the next moment.
    const summary = { answeredAt, asked: this.#waiting() }
    if (wasAllSeen && this.#now.size > 0) this.#keep()
    this.#now.clear()
    return summary
  }

  #waiting(): AskedInVainSummary | null {
    if (this.#ports.size === 0) return null
    return {
      since: this.#since,
      lastAt: this.#lastAt,
      phones: this.#ports.size,
      addresses: this.#addresses,
    }
  }

  #answered(at: EpochMilliseconds | null): void {
    if (at === this.#answeredAt) return
    this.#answeredAt = at
    if (this.#ports.size > 0) this.#ports.clear()
    if (this.#now.size > 0) this.#now.clear()
  }

  #keep(): void {
    if (this.#ports.size === 0) this.#since = this.#nowSince
    this.#lastAt = this.#nowLastAt
    for (const port of this.#now.keys()) if (this.#ports.size < MOST_PORTS) this.#ports.add(port)
    const addresses = new Set(
      [...this.#now.values()].slice(-MOST_ADDRESSES_TOLD).map(({ address }) => address),
    )
    this.#addresses = [...addresses]
  }
}
