import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded, ExchangeOutcome, Grade, Transport } from '../observe/observation.ts'
import { ownCopy } from '../observe/own-copy.ts'

/** Of each source so many; of so many sources. About 150 bytes each: at most 15 MB in all. */
const MOST_OF_A_SOURCE = 20
const MOST_PROVEN_SOURCES = 4_000
const MOST_OTHER_SOURCES = 1_000
const LONGEST_ACCOUNT = 64

/** An exchange as a source's story shows it. */
export interface SeenExchange {
  readonly time: EpochMilliseconds
  readonly address: Address
  readonly port: number
  readonly transport: Transport
  /** Absent: a REGISTER. */
  readonly method?: string
  readonly account: string
  readonly outcome: ExchangeOutcome
  readonly status: number
  readonly grade: Grade
  /** Read from the softswitch's own log. */
  readonly fromLog?: true
}

interface Ring {
  readonly exchanges: SeenExchange[]
  /** Where the next one goes, once it is full. */
  next: number
}

/**
 * The last exchanges of each source that ever sent credentials. Whoever receives its answers has room of its own, so
 * that credentials in forged packets push nobody's story out.
 */
export class LastExchanges {
  readonly #proven: BoundedMap<Prefix, Ring>
  readonly #others: BoundedMap<Prefix, Ring>

  constructor({ proven = MOST_PROVEN_SOURCES, others = MOST_OTHER_SOURCES } = {}) {
    this.#proven = new BoundedMap({ capacity: proven })
    this.#others = new BoundedMap({ capacity: others })
  }

  /** Sources whose exchanges had to be forgotten for lack of room. */
  get letGo(): number {
    return this.#proven.letGo + this.#others.letGo
  }

  get size(): number {
    return this.#proven.size + this.#others.size
  }

  add(ended: ExchangeEnded): void {
    const source = sourcePrefixOf(ended.source.address)
    const known = this.#proven.get(source) ?? this.#others.get(source)
    if (!known && !ended.withCredentials) return
    const ring = known ?? { exchanges: [], next: 0 }
    put(ring, shown(ended))
    if (ended.grade !== 'packet' || this.#proven.has(source)) {
      this.#others.delete(source)
      this.#proven.set(source, ring)
    } else this.#others.set(source, ring)
  }

  /** Newest first. */
  of(address: Address): readonly SeenExchange[] {
    const source = sourcePrefixOf(address)
    const ring = this.#proven.get(source) ?? this.#others.get(source)
    if (!ring) return []
    const { exchanges, next } = ring
    return [...exchanges.slice(next), ...exchanges.slice(0, next)].reverse()
  }
}

function put(ring: Ring, exchange: SeenExchange): void {
  if (ring.exchanges.length < MOST_OF_A_SOURCE) {
    ring.exchanges.push(exchange)
    return
  }
  ring.exchanges[ring.next] = exchange
  ring.next = (ring.next + 1) % MOST_OF_A_SOURCE
}

function shown(ended: ExchangeEnded): SeenExchange {
  const { time, source, transport, method, account, outcome, status, grade, fromLog } = ended
  const { address, port } = source
  return {
    time,
    address,
    port,
    transport,
    ...(method === undefined ? {} : { method }),
    account: ownCopy(account, LONGEST_ACCOUNT),
    outcome,
    status,
    grade,
    ...(fromLog ? { fromLog } : {}),
  }
}
