import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** Softswitches honour a nonce for minutes, phones keep one for the life of a registration. */
const NONCE_LIFETIME: Milliseconds = 3_600_000
const MOST_NONCES = 65_536

export interface IssuedNonce {
  readonly issuedTo: Address
  readonly issuedAt: EpochMilliseconds
  /** It went to more than one address. */
  shared: boolean
  /** Credentials over it were accepted once, so a later refusal means it went stale. */
  succeeded: boolean
}

/**
 * Which nonce the softswitch sent to whom. A softswitch that was seen to give one nonce to two addresses (Kamailio
 * does, within a second) is taken to share all of its nonces: then using one proves nothing about the sender.
 */
export class IssuedNonces {
  #nonces = new BoundedMap<string, IssuedNonce>({ capacity: MOST_NONCES })
  #lastShared: EpochMilliseconds = Number.NEGATIVE_INFINITY
  #latest: EpochMilliseconds = 0

  get size(): number {
    return this.#nonces.size
  }

  get letGo(): number {
    return this.#nonces.letGo
  }

  /** Whether one nonce went to two addresses within the last hour. */
  get shares(): boolean {
    return this.#latest - this.#lastShared < NONCE_LIFETIME
  }

  issued(nonce: string, to: Address, at: EpochMilliseconds): void {
    this.#latest = Math.max(this.#latest, at)
    this.#nonces.sweep((known) => at - known.issuedAt > NONCE_LIFETIME)
    const known = this.#nonces.get(nonce)
    if (!known) {
      this.#nonces.set(nonce, { issuedTo: to, issuedAt: at, shared: false, succeeded: false })
    } else if (known.issuedTo !== to) {
      known.shared = true
      this.#lastShared = at
    }
  }

  find(nonce: string): IssuedNonce | undefined {
    return this.#nonces.get(nonce)
  }

  succeeded(nonce: string): void {
    const known = this.#nonces.get(nonce)
    if (known) known.succeeded = true
  }

  /** Whether using this nonce proves that the user receives what is sent to `address`. */
  provesPath(nonce: string, address: Address): boolean {
    const known = this.#nonces.get(nonce)
    return known !== undefined && !known.shared && known.issuedTo === address && !this.shares
  }

  /** Whether the nonce was sent to this address, as far as is known: of a shared one only that it was shared. */
  wasIssuedTo(nonce: string, address: Address): boolean {
    const known = this.#nonces.get(nonce)
    return known !== undefined && (known.shared || known.issuedTo === address)
  }
}
