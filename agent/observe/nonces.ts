import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { ownCopy } from './own-copy.ts'

/** Softswitches honour a nonce for minutes, phones keep one for the life of a registration. */
const NONCE_LIFETIME: Milliseconds = 3_600_000
const MOST_NONCES = 65_536

/** Phones that are remembered for one nonce; a shared one lives for a second, so that is enough for an office. */
const MOST_GOOD = 256

export interface NonceUser {
  readonly account: string
  readonly address: Address
}

interface IssuedNonce {
  readonly issuedTo: Address
  readonly issuedAt: EpochMilliseconds
  /** It went to more than one address. */
  shared: boolean
  /** Who had credentials over it accepted: for those a later refusal means that it went stale. */
  readonly goodFor: Set<string>
}

/**
 * Nonces come here as `ownKey` makes them.
 *
 * Which nonce the softswitch sent to whom. A softswitch that was seen to give one nonce to two addresses (Kamailio
 * does, within a second) is taken to share all of its nonces: then using one proves nothing about the sender.
 */
export class IssuedNonces {
  #nonces = new BoundedMap<string, IssuedNonce>({ capacity: MOST_NONCES })
  #lastShared: EpochMilliseconds = Number.NEGATIVE_INFINITY
  #latest: EpochMilliseconds = 0

  /** Whether one nonce went to two addresses within the last hour. */
  get shares(): boolean {
    return this.#latest - this.#lastShared < NONCE_LIFETIME
  }

  issued(nonce: string, to: Address, at: EpochMilliseconds): void {
    this.#latest = Math.max(this.#latest, at)
    this.#nonces.sweep((known) => at - known.issuedAt > NONCE_LIFETIME)
    const known = this.#nonces.get(nonce)
    if (!known) {
      this.#nonces.set(nonce, { issuedTo: to, issuedAt: at, shared: false, goodFor: new Set() })
    } else if (known.issuedTo !== to) {
      known.shared = true
      this.#lastShared = at
    }
  }

  succeeded(nonce: string, who: NonceUser): void {
    const known = this.#nonces.get(nonce)
    if (known && known.goodFor.size < MOST_GOOD) known.goodFor.add(userKey(who))
  }

  /**
   * Whether credentials over it were accepted before from this account at this address. Of somebody else's success
   * nothing follows: where nonces are shared, a guesser's failures over a good phone's nonce are failures.
   */
  wasGoodFor(nonce: string, who: NonceUser): boolean {
    return this.#nonces.get(nonce)?.goodFor.has(userKey(who)) ?? false
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

function userKey({ account, address }: NonceUser): string {
  return `${address} ${ownCopy(account, 128)}`
}
