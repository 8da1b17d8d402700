import type { Milliseconds } from '../../registrar/net/time.ts'
import type { UdpDatagram } from '../decode/packet.ts'

/** One packet passes a bond and its member, or a VLAN and its parent, within microseconds; a phone repeats after 500 ms. */
const WITHIN: Milliseconds = 5
/** A capture hands over blocks of 10 ms: at a million packets a second so many lie between the two sights of one. */
const SLOTS = 16_384

/**
 * Tells datagrams that were seen before on another capture of this host. A datagram is the same where both ends and all
 * bytes are (an IP identification would tell no more, and IPv6 has none). Remembers a fixed number of the latest: what
 * was pushed out counts twice, and nothing that came once is ever passed over.
 */
export class DuplicateDatagrams {
  /** Datagrams that had been seen on another capture. */
  found = 0
  readonly #hashes = new Int32Array(SLOTS * 2)
  readonly #times = new Float64Array(SLOTS).fill(Number.NEGATIVE_INFINITY)
  readonly #captures = new Uint8Array(SLOTS)
  readonly #seed: number

  /** `seed`: any number that nobody outside knows. */
  constructor({ seed }: { readonly seed: number }) {
    this.#seed = seed | 0
  }

  /** Whether this datagram, seen on that capture, is one that another capture has shown already. */
  isDuplicate(datagram: UdpDatagram, capture: number): boolean {
    const { payload, time } = datagram
    let one = this.#seed ^ payload.length
    let two = Math.imul(this.#seed, 0x9e3779b1) ^ ((datagram.sourcePort << 16) | datagram.destinationPort)
    const mix = (word: number) => {
      one = Math.imul(one ^ word, 0x85ebca6b)
      one ^= one >>> 15
      two = (Math.imul(two, 31) + word) | 0
    }
    mixText(datagram.source, mix)
    mixText(datagram.destination, mix)
    const words = payload.length & ~3
    for (let at = 0; at < words; at += 4) {
      mix(payload[at]! | (payload[at + 1]! << 8) | (payload[at + 2]! << 16) | (payload[at + 3]! << 24))
    }
    for (let at = words; at < payload.length; at++) mix(payload[at]!)
    const slot = ((one ^ (two >>> 11)) >>> 0) % SLOTS
    const isSame =
      this.#hashes[slot * 2] === one &&
      this.#hashes[slot * 2 + 1] === two &&
      Math.abs(time - this.#times[slot]!) <= WITHIN
    if (isSame && this.#captures[slot] !== capture) {
      this.found++
      return true
    }
    this.#hashes[slot * 2] = one
    this.#hashes[slot * 2 + 1] = two
    this.#times[slot] = time
    this.#captures[slot] = capture
    return false
  }
}

function mixText(text: string, mix: (word: number) => void): void {
  for (let at = 0; at < text.length; at++) mix(text.charCodeAt(at))
}
