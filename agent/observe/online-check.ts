import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Source, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { SeenMessage } from './exchanges.ts'
import { readTransaction } from './register-fields.ts'
import { keyOf } from './transaction.ts'

const MOST_ENDPOINTS = 65_536
/** Accounts behind one address and port are asked one after the other, without waiting. */
const MOST_PENDING = 4
/** A request that is not an INVITE is given up after 64 × T1 (RFC 3261 section 17.1.2.2, timer F). */
const GIVEN_UP_AFTER: Milliseconds = 32_000
/** One lost datagram makes nobody silent. */
const SILENT_AFTER = 3
/** A capture of what comes in and one of what goes out are read one after the other, some milliseconds apart. */
const EARLY_BY: Milliseconds = 1_000
const MOST_EARLY = 1_024
const COUNTED_EVERY: Milliseconds = 5_000
/** Whom the softswitch asks no more is nobody's endpoint any more. */
const FORGOTTEN_AFTER: Milliseconds = 3_600_000

/**
 * `online`: it answered lately. `silent`: it let three or more pass without an answer, one after the other.
 * `unasked`: it was not asked, or not often enough to tell.
 */
export type EndpointState = 'online' | 'silent' | 'unasked'

/** What the softswitch's own OPTIONS tell of one endpoint. */
export interface EndpointSeen {
  readonly source: Source
  readonly state: EndpointState
  /** OPTIONS that were sent to it, each counted once however often it was repeated, and those that it answered. */
  readonly asked: number
  readonly answered: number
  /** So many in a row had no answer, up to now. */
  readonly unanswered: number
  readonly lastAnswered: EpochMilliseconds | null
  /** From the first sending of the one that was answered last to its answer. */
  readonly roundTrip: Milliseconds | null
}

export type EndpointCounts = Readonly<Record<EndpointState, number>>

export interface OnlineCheckOptions {
  readonly capacity?: number
  /** Somebody registered there, or it is a gateway's: nobody else is kept. */
  readonly isEndpoint: (source: Source, at: EpochMilliseconds) => boolean
  /** An endpoint answered. */
  readonly onAnswered?: (source: Source, at: EpochMilliseconds) => void
  /** Whether the capture lost nothing since then: else a missing answer may just not have been seen. */
  readonly sawAllSince?: (time: EpochMilliseconds) => boolean
}

interface Asked {
  readonly key: string
  readonly at: EpochMilliseconds
  isAnswered: boolean
}

interface Endpoint {
  readonly source: Source
  asked: number
  answered: number
  unanswered: number
  lastAsked: EpochMilliseconds
  lastAnswered: EpochMilliseconds | null
  roundTrip: Milliseconds | null
  /** Oldest first; answered ones too, since a request that is repeated late is no new one. */
  readonly pending: Asked[]
}

/**
 * Matches the softswitch's own OPTIONS (its online check; `qualify`, NAT ping) with what the endpoints answer. Any final
 * answer will do: whoever refuses an OPTIONS is there (RFC 3261 section 11.2). Only an answer from the very address and
 * port that was asked counts, since through a NAT nobody else gets one. Ringfence asks nobody itself: a NAT lets in only
 * what the softswitch sends. That somebody is silent informs, and decides nothing: phones sleep. The clock is the messages' own.
 */
export class OnlineCheck {
  readonly #endpoints: BoundedMap<string, Endpoint>
  /** Answers to what was not seen yet, by what they answer. */
  readonly #early = new BoundedMap<string, EpochMilliseconds>({ capacity: MOST_EARLY })
  readonly #options: OnlineCheckOptions
  #counts: EndpointCounts = { online: 0, silent: 0, unasked: 0 }
  #countedAt: EpochMilliseconds = Number.NEGATIVE_INFINITY

  constructor(options: OnlineCheckOptions) {
    this.#options = options
    this.#endpoints = new BoundedMap({ capacity: options.capacity ?? MOST_ENDPOINTS })
  }

  get size(): number {
    return this.#endpoints.size
  }

  /** Endpoints that had to be forgotten for lack of room. */
  get letGo(): number {
    return this.#endpoints.letGo
  }

  /** An OPTIONS that the softswitch sent to the destination. Anything else is passed over. */
  asked({ message, transport, destination, time }: SeenMessage): void {
    if (message.kind !== 'request' || message.method !== 'OPTIONS') return
    const transaction = readTransaction(message)
    if (!transaction || !this.#options.isEndpoint(destination, time)) return
    const name = showSource(destination)
    const endpoint = this.#endpoints.get(name) ?? begin(destination)
    this.#giveUp(endpoint, time)
    const key = keyOf(transport, destination, transaction)
    if (endpoint.pending.some((asked) => asked.key === key)) return
    endpoint.lastAsked = time
    this.#endpoints.set(name, endpoint)
    this.#endpoints.sweep(({ lastAsked }) => time - lastAsked > FORGOTTEN_AFTER)
    const { pending } = endpoint
    if (pending.length >= MOST_PENDING) {
      const done = pending.findIndex(({ isAnswered }) => isAnswered)
      // While nobody knows of so many, one more tells nothing new.
      if (done < 0) return
      pending.splice(done, 1)
    }
    const asked = { key, at: time, isAnswered: false }
    pending.push(asked)
    endpoint.asked++
    const early = this.#early.get(key)
    if (early === undefined) return
    this.#early.delete(key)
    if (early >= time) this.#take(endpoint, asked, early)
  }

  /** Whether an answer from there could tell something: asked for each that comes, before it is read. */
  awaits(source: Source, at: EpochMilliseconds): boolean {
    return this.#options.isEndpoint(source, at)
  }

  /** An answer that came to the softswitch from the source. Provisional ones and all to something else are passed over. */
  answered({ message, transport, source, time }: SeenMessage): void {
    if (message.kind !== 'response' || message.status < 200) return
    const transaction = readTransaction(message)
    if (transaction?.method !== 'OPTIONS') return
    const key = keyOf(transport, source, transaction)
    const endpoint = this.#endpoints.get(showSource(source))
    const asked = endpoint?.pending.find((each) => each.key === key)
    if (endpoint && asked) {
      this.#giveUp(endpoint, time)
      if (!asked.isAnswered) this.#take(endpoint, asked, time)
      return
    }
    this.#early.sweep((at) => time - at > EARLY_BY)
    this.#early.set(key, time)
  }

  #take(endpoint: Endpoint, asked: Asked, at: EpochMilliseconds): void {
    asked.isAnswered = true
    endpoint.answered++
    endpoint.unanswered = 0
    endpoint.lastAnswered = at
    endpoint.roundTrip = Math.max(0, at - asked.at)
    this.#options.onAnswered?.(endpoint.source, at)
  }

  /** What is known of one endpoint; undefined where it was never asked. */
  of(source: Source, now: EpochMilliseconds): EndpointSeen | undefined {
    const endpoint = this.#endpoints.get(showSource(source))
    return endpoint && this.#show(endpoint, now)
  }

  /** The endpoints at an address, at most so many, those that were asked last first. */
  at(
    address: Address,
    now: EpochMilliseconds,
    { limit }: { readonly limit: number },
  ): readonly EndpointSeen[] {
    const found: Endpoint[] = []
    for (const [, endpoint] of this.#endpoints.entries()) {
      if (endpoint.source.address === address) found.push(endpoint)
    }
    return found
      .slice(-limit)
      .reverse()
      .map((endpoint) => this.#show(endpoint, now))
  }

  /** How many of those that still are endpoints answer. It looks at all of them, so not more often than it has to. */
  count(now: EpochMilliseconds): EndpointCounts {
    if (now - this.#countedAt < COUNTED_EVERY && now >= this.#countedAt) return this.#counts
    this.#countedAt = now
    const counts = { online: 0, silent: 0, unasked: 0 }
    for (const [name, endpoint] of this.#endpoints.entries()) {
      if (this.#options.isEndpoint(endpoint.source, now)) {
        this.#giveUp(endpoint, now)
        counts[stateOf(endpoint)]++
      } else this.#endpoints.delete(name)
    }
    this.#counts = counts
    return counts
  }

  #show(endpoint: Endpoint, now: EpochMilliseconds): EndpointSeen {
    this.#giveUp(endpoint, now)
    const { source, asked, answered, unanswered, lastAnswered, roundTrip } = endpoint
    return { source, state: stateOf(endpoint), asked, answered, unanswered, lastAnswered, roundTrip }
  }

  /** Counts what has waited long enough. What may have been answered unseen counts neither way. */
  #giveUp(endpoint: Endpoint, now: EpochMilliseconds): void {
    const { pending } = endpoint
    while (pending.length > 0 && now - pending[0]!.at >= GIVEN_UP_AFTER) {
      const { at, isAnswered } = pending.shift()!
      if (isAnswered || (endpoint.lastAnswered ?? 0) > at) continue
      if (this.#options.sawAllSince?.(at) ?? true) endpoint.unanswered++
    }
  }
}

function begin(source: Source): Endpoint {
  return {
    source,
    asked: 0,
    answered: 0,
    unanswered: 0,
    lastAsked: 0,
    lastAnswered: null,
    roundTrip: null,
    pending: [],
  }
}

function stateOf({ unanswered, lastAnswered }: Endpoint): EndpointState {
  if (unanswered >= SILENT_AFTER) return 'silent'
  return lastAnswered === null ? 'unasked' : 'online'
}
