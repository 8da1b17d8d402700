import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { SharingByServer } from './nonce-sharing.ts'
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

/** One challenge as the softswitch sent it. */
export interface Issue {
  readonly to: Address
  readonly at: EpochMilliseconds
  readonly server: Source
  readonly callId: string
}

interface IssuedNonce {
  /** The source: whoever has one address of an IPv6 /64 has them all. */
  readonly issuedTo: Prefix
  readonly issuedBy: Source
  /** Tells the dialog that it was issued in from others. */
  readonly dialog: number
  readonly issuedAt: EpochMilliseconds
  /** It went to more than one address. */
  shared: boolean
  /** Who had credentials over it accepted: for those a later refusal means that it went stale. */
  goodFor: Set<string> | undefined
}

/**
 * Which nonce the softswitch sent to whom. Nonces come here as `ownKey` makes them. A softswitch that gives one nonce
 * to two addresses (Kamailio does, within a second) shares all of its nonces, as far as is known: then using one proves
 * nothing about the sender, even where it was seen going to one address only.
 */
export class IssuedNonces {
  #nonces = new BoundedMap<string, IssuedNonce>({ capacity: MOST_NONCES })
  readonly sharing = new SharingByServer()

  issued(nonce: string, { to, at, server, callId }: Issue): void {
    this.#nonces.sweep((known) => at - known.issuedAt > NONCE_LIFETIME)
    const known = this.#nonces.get(nonce)
    if (!known) {
      this.#nonces.set(nonce, {
        issuedTo: sourcePrefixOf(to),
        issuedBy: server,
        dialog: numberOf(callId),
        issuedAt: at,
        shared: false,
        goodFor: undefined,
      })
      this.sharing.fresh(server, { to, at })
    } else if (known.issuedTo !== sourcePrefixOf(to)) {
      known.shared = true
      // Some softswitches keep a nonce for a Call-ID, wherever that comes from: of that nobody else gets the nonce, and
      // who copies a Call-ID must not make the softswitch look as if it shared.
      if (known.dialog !== numberOf(callId)) this.sharing.sharedOne(server, at)
    }
  }

  succeeded(nonce: string, who: NonceUser): void {
    const known = this.#nonces.get(nonce)
    if (!known || (known.goodFor?.size ?? 0) >= MOST_GOOD) return
    known.goodFor ??= new Set()
    known.goodFor.add(userKey(who))
  }

  /**
   * Whether credentials over it were accepted before from this account at this address. Of somebody else's success
   * nothing follows: where nonces are shared, a guesser's failures over a good phone's nonce are failures.
   */
  wasGoodFor(nonce: string, who: NonceUser): boolean {
    return this.#nonces.get(nonce)?.goodFor?.has(userKey(who)) ?? false
  }

  /** Whether using this nonce proves that the user receives what is sent to `address`. */
  provesPath(nonce: string, address: Address): boolean {
    const known = this.#nonces.get(nonce)
    if (!known || known.shared || known.issuedTo !== sourcePrefixOf(address)) return false
    return !this.sharing.shares(known.issuedBy)
  }

  /** Whether the softswitch is known to give each address nonces of its own. */
  isCertain(nonce: string): boolean {
    const known = this.#nonces.get(nonce)
    return known !== undefined && this.sharing.isUnique(known.issuedBy)
  }

  /** Whether the softswitch was seen to send this nonce to anybody. */
  isKnown(nonce: string): boolean {
    return this.#nonces.has(nonce)
  }

  /** Whether the nonce was sent to this address, as far as is known: of a shared one only that it was shared. */
  wasIssuedTo(nonce: string, address: Address): boolean {
    const known = this.#nonces.get(nonce)
    return known !== undefined && (known.shared || known.issuedTo === sourcePrefixOf(address))
  }
}

function userKey({ account, address }: NonceUser): string {
  return `${address} ${ownCopy(account, 128)}`
}

/** FNV-1a: a number in place of a Call-ID, which may be long. That two are taken for one does no harm. */
function numberOf(text: string): number {
  let hash = 0x811c9dc5
  const length = Math.min(text.length, LONGEST_DIALOG)
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

const LONGEST_DIALOG = 256
