import { hashText } from '../../registrar/hash-text.ts'

const BITS = 2_048

/**
 * Roughly how many different texts were added (linear counting: exact enough up to some thousands), in 256 bytes
 * however many an attacker invents.
 */
export class DistinctCount {
  readonly #bits = new Uint8Array(BITS / 8)
  #set = 0

  add(text: string): void {
    const bit = hashText(text) % BITS
    const mask = 1 << (bit & 7)
    if (this.#bits[bit >> 3]! & mask) return
    this.#bits[bit >> 3]! |= mask
    this.#set++
  }

  estimate(): number {
    if (this.#set === BITS) return Number.POSITIVE_INFINITY
    return Math.round(-BITS * Math.log(1 - this.#set / BITS))
  }

  clear(): void {
    this.#bits.fill(0)
    this.#set = 0
  }
}
