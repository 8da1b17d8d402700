import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Source } from '../../registrar/net/address.ts'

/** A phone answers within seconds; at 1,500 challenges a second this reaches back for most of a minute. */
const MOST_PORTS = 65_536

/**
 * The nonce that was sent last to each address and port. Where a softswitch gives one nonce to everybody, this is what
 * tells who was given it. Nonces come here as `ownKey` makes them.
 */
export class SentNonces {
  readonly #last = new BoundedMap<string, string>({ capacity: MOST_PORTS })

  sent(nonce: string, to: Source): void {
    this.#last.set(keyOf(to), nonce)
  }

  wasSentTo(nonce: string, to: Source): boolean {
    return this.#last.get(keyOf(to)) === nonce
  }
}

function keyOf({ address, port }: Source): string {
  return `${address} ${port}`
}
