import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Address, Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { type MemberParts, putOff } from './member-parts.ts'

const ANSWERED_FOR: Milliseconds = 60_000
const STEP: Milliseconds = 15_000
/** Ports of one address: no more phones than that answer at once, while one host has 65,535 ports to answer from. */
const MOST_OF_AN_ADDRESS = 32
/** Over nonces of their own: who is here receives what is sent to him. */
const MOST_OWN = 65_536
/**
 * Over shared nonces: a forger who was given the nonce too can put addresses here, as fast as challenges go out. All of
 * them together must stay below what a softswitch can do.
 */
const MOST_SHARED = 1_000

/** Which addresses and ports answered a challenge lately. The oldest goes where there are too many. */
export class AnsweredPorts {
  /** Ports that had to go, because there were too many of one address or in all. */
  letGo = 0
  readonly #parts: MemberParts
  readonly #own: BoundedMap<string, Source>
  readonly #shared: BoundedMap<string, Source>
  readonly #ofAddress = new Map<Address, Source[]>()

  constructor(parts: MemberParts, { capacity }: { readonly capacity: number }) {
    this.#parts = parts
    const table = (most: number) =>
      new BoundedMap<string, Source>({
        capacity: Math.min(most, capacity),
        onLetGo: (key, source) => this.#letGo(key, source),
      })
    this.#own = table(MOST_OWN)
    this.#shared = table(MOST_SHARED)
  }

  get size(): number {
    return this.#own.size + this.#shared.size
  }

  /** `own`: over a nonce that no other address was given. */
  put(source: Source, { own, now }: { readonly own: boolean; readonly now: EpochMilliseconds }): void {
    const { address, port } = source
    const key = keyOf(source)
    const [table, other] = own ? [this.#own, this.#shared] : [this.#shared, this.#own]
    const isNew = !table.has(key) && !other.delete(key)
    table.set(key, source)
    const until = putOff(now + ANSWERED_FOR, STEP)
    if (this.#parts.get(key)?.until !== until)
      this.#parts.set(key, { lane: 'answered', address, port, until })
    if (isNew) this.#list(source)
  }

  delete(source: Source): void {
    const key = keyOf(source)
    if (!this.#own.delete(key) && !this.#shared.delete(key)) return
    this.#unlist(source)
    this.#parts.delete(key)
  }

  #list(source: Source): void {
    const ports = this.#ofAddress.get(source.address)
    if (!ports) {
      this.#ofAddress.set(source.address, [source])
      return
    }
    ports.push(source)
    if (ports.length <= MOST_OF_AN_ADDRESS) return
    this.letGo++
    this.delete(ports[0]!)
  }

  #letGo(key: string, source: Source): void {
    this.letGo++
    this.#unlist(source)
    this.#parts.delete(key)
  }

  #unlist({ address, port }: Source): void {
    const ports = this.#ofAddress.get(address)
    const at = ports?.findIndex((known) => known.port === port) ?? -1
    if (!ports || at < 0) return
    ports.splice(at, 1)
    if (ports.length === 0) this.#ofAddress.delete(address)
  }
}

function keyOf({ address, port }: Source): string {
  return `ans ${address} ${port}`
}
