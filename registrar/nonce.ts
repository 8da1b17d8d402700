import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Address } from './net/address.ts'
import type { EpochMilliseconds, Milliseconds } from './net/time.ts'

/** What a nonce that came back proves. */
export type NonceCheck =
  /** Issued by us to this very address and not yet too old: whoever sent it receives that address's packets. */
  | { readonly kind: 'own'; readonly issuedAt: EpochMilliseconds }
  /** Issued by us to this address, but its time is over. */
  | { readonly kind: 'expired' }
  /** Issued to another address, by another run of this program, or made up. */
  | { readonly kind: 'foreign' }

/**
 * Nonces that nothing has to be remembered for: the time of issue, a count that keeps two of one millisecond apart,
 * and a keyed hash over both and the address they went to (RFC 7616 section 5.4). The port is left out on purpose:
 * a NAT may give the answer to a challenge another port.
 */
export class NonceIssuer {
  readonly #secret: Buffer
  readonly #lifetime: Milliseconds
  #count = 0

  constructor({ lifetime, secret }: { lifetime: Milliseconds; secret?: Buffer }) {
    this.#lifetime = lifetime
    this.#secret = secret ?? randomBytes(32)
  }

  /** A nonce of 36 characters of the URL-safe base64 alphabet. */
  issue(address: Address, now: EpochMilliseconds): string {
    const bytes = Buffer.allocUnsafe(NONCE_BYTES)
    bytes.writeUIntBE(Math.floor(now), 0, 6)
    this.#count = (this.#count + 1) >>> 0
    bytes.writeUInt32BE(this.#count, 6)
    this.#sign(bytes, address).copy(bytes, STAMP_BYTES, 0, MAC_BYTES)
    return bytes.toString('base64url')
  }

  check(nonce: string, address: Address, now: EpochMilliseconds): NonceCheck {
    if (nonce.length !== NONCE_CHARACTERS) return { kind: 'foreign' }
    const bytes = Buffer.from(nonce, 'base64url')
    // Other texts decode to the same bytes; only the one that was issued may count as that nonce.
    if (bytes.length !== NONCE_BYTES || bytes.toString('base64url') !== nonce) return { kind: 'foreign' }
    const expected = this.#sign(bytes, address).subarray(0, MAC_BYTES)
    if (!timingSafeEqual(expected, bytes.subarray(STAMP_BYTES))) return { kind: 'foreign' }
    const issuedAt = bytes.readUIntBE(0, 6)
    // A clock that was set back must not make nonces live for ever.
    const age = now - issuedAt
    return age > this.#lifetime || age < -CLOCK_SLACK ? { kind: 'expired' } : { kind: 'own', issuedAt }
  }

  #sign(bytes: Buffer, address: Address): Buffer {
    return createHmac('sha256', this.#secret).update(bytes.subarray(0, STAMP_BYTES)).update(address).digest()
  }
}

const STAMP_BYTES = 10
const MAC_BYTES = 17
const NONCE_BYTES = STAMP_BYTES + MAC_BYTES
const NONCE_CHARACTERS = (NONCE_BYTES / 3) * 4
const CLOCK_SLACK: Milliseconds = 5_000
