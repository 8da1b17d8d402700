import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { BoundedMap } from './bounded-map.ts'

/** Softswitches honour a nonce for minutes, phones keep one for the life of a registration. */
const NONCE_LIFETIME: Milliseconds = 3_600_000
const MOST_NONCES = 65_536

export interface IssuedNonce {
  readonly issuedTo: Address
  readonly issuedAt: EpochMilliseconds
  /** It went to more than one address, so using it proves nothing (Kamailio shares one within a second). */
  shared: boolean
  /** Credentials over it were accepted once, so a later refusal means it went stale. */
  succeeded: boolean
}

/** Which nonce the softswitch sent to whom. */
export class IssuedNonces {
  #nonces = new BoundedMap<string, IssuedNonce>(MOST_NONCES)

  get size(): number {
    return this.#nonces.size
  }

  get letGo(): number {
    return this.#nonces.letGo
  }

  issued(nonce: string, to: Address, at: EpochMilliseconds): void {
    this.#nonces.expire((known) => at - known.issuedAt > NONCE_LIFETIME)
    const known = this.#nonces.get(nonce)
    if (!known) this.#nonces.set(nonce, { issuedTo: to, issuedAt: at, shared: false, succeeded: false })
    else if (known.issuedTo !== to) known.shared = true
  }

  find(nonce: string): IssuedNonce | undefined {
    return this.#nonces.get(nonce)
  }

  /** Whether using this nonce proves that the user receives what is sent to `address`. */
  provesPath(nonce: string, address: Address): boolean {
    const known = this.#nonces.get(nonce)
    return known !== undefined && !known.shared && known.issuedTo === address
  }
}
