import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Source } from '../../registrar/net/address.ts'
import type { Transport } from './observation.ts'

/** At 1,500 challenges a second this reaches back for most of a minute, at those of 500 phones for ten. */
const MOST_SENT = 65_536

/**
 * Which nonces were sent to which address and port. Where a softswitch gives one nonce to everybody, this is what tells
 * who was given it. Not the last one alone: who guesses over one nonce again and again is sent a new one each time.
 * Nonces come here as `ownKey` makes them.
 */
export class SentNonces {
  readonly #sent = new BoundedMap<string, true>({ capacity: MOST_SENT })

  sent(nonce: string, to: Source, transport: Transport): void {
    this.#sent.set(keyOf(nonce, to, transport), true)
  }

  wasSentTo(nonce: string, to: Source, transport: Transport): boolean {
    return nonce !== '' && this.#sent.has(keyOf(nonce, to, transport))
  }
}

function keyOf(nonce: string, { address, port }: Source, transport: Transport): string {
  return `${transport === 'tcp' ? 't' : 'u'}${address} ${port} ${nonce}`
}
