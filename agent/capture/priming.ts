import type { PcapModule, PcapSession } from './pcap-module.ts'

/** Until the filter is known to work; then the stream begins all the same. A frame comes back after some 30 ms. */
const PRIME_EVERY = 15
const PRIME_AT_MOST = 20

/**
 * libpcap filters the first block of its buffer itself, and there it knows no directions, so all of it is lost. A frame
 * of our own is sent until one arrives, and only then the stream begins: who reads it misses nothing from there on.
 * A socket does not hear what it sent itself, hence the second session.
 */
export class Priming {
  readonly #frame: Buffer | null
  readonly #onPrimed: () => void
  #sender: PcapSession | undefined
  #timer: NodeJS.Timeout | undefined
  #sent = 0

  constructor(pcap: PcapModule, device: string, frame: Buffer | null, onPrimed: () => void) {
    this.#onPrimed = onPrimed
    this.#frame = frame
    if (!frame) return
    this.#sender = pcap.createSession(device, { ...SENDER, snap_length: frame.length })
    this.#timer = setInterval(() => this.#send(), PRIME_EVERY)
    this.#send()
  }

  get pending(): boolean {
    return this.#timer !== undefined
  }

  /** The length first: it is asked for each packet. */
  isOurs(buffer: Buffer, length: number): boolean {
    const frame = this.#frame
    return frame !== null && length === frame.length && frame.compare(buffer, 0, length) === 0
  }

  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#sender?.close()
    this.#onPrimed()
  }

  #send(): void {
    if (this.#sent++ >= PRIME_AT_MOST) {
      this.end()
      return
    }
    try {
      this.#sender?.inject(this.#frame!)
    } catch {
      // The link takes no frames, or is going down; the stream begins without.
      this.end()
    }
  }
}

/** A filter that nothing meets. */
const SENDER = { filter: 'less 1', buffer_size: 65_536, buffer_timeout: 1_000, promiscuous: false }
