import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Source, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** Softswitches that are told apart; there is one for each protected address and port. */
const MOST_SERVERS = 64
/**
 * Three nonces that nobody had before, to more than one address, this soon after each other: a sign that nonces are
 * unique. Where all get the same within a second (Kamailio's default) there can be two of them, around a new second, and
 * never three: so nobody makes up a sign by timing his requests.
 */
const THREE_WITHIN: Milliseconds = 500
/**
 * At most one sign counts in this time, so that a softswitch is looked at for a while. Not longer: until it is known,
 * a guesser who owns a good account is judged mildly.
 */
const SIGN_EVERY: Milliseconds = 2_000
/** So many signs in a row, and not one nonce shared: unique. */
const SIGNS = 10
/** Once sharing was seen it takes as long as this too: what being unique grants is the right to punish. */
const QUIET_AFTER_SHARING: Milliseconds = 3_600_000

/** `unknown`: a nonce that was sent to one address only counts as its own, but not against who registered there lately. */
export type SharingState = 'unknown' | 'unique' | 'shared'

/** What is known of one softswitch's nonces. */
export interface NonceSharing {
  /** The softswitch's address and port, as `198.51.100.1:5060`. */
  readonly server: string
  readonly state: SharingState
  readonly since: EpochMilliseconds
  /** Nonces that were seen going to a second address. */
  readonly shared: number
  /** Signs that each address gets nonces of its own; counted anew after each shared one. */
  readonly unique: number
}

interface Server {
  state: SharingState
  since: EpochMilliseconds
  shared: number
  unique: number
  sharedAt: EpochMilliseconds
  signAt: EpochMilliseconds
  /** The last two challenges with a nonce that was new. */
  last: { readonly to: Address; readonly at: EpochMilliseconds } | undefined
  before: { readonly to: Address; readonly at: EpochMilliseconds } | undefined
}

/**
 * Whether a softswitch gives one nonce to several addresses. Only nonces that it was seen to send count, so nobody can
 * make a softswitch that does not share look as if it did; and who asks a sharing one for challenges, however timed,
 * gets the proof that it shares back. So an attacker can at most hasten what is true.
 */
export class SharingByServer {
  readonly #servers = new BoundedMap<string, Server>({ capacity: MOST_SERVERS })
  /** Of the softswitch asked for last: nearly always the same one. */
  #last: { readonly server: Source; readonly known: Server } | undefined

  /** Puts back what was learnt before a restart; a sharing softswitch has to prove anew that it stopped. */
  restore(known: readonly NonceSharing[], now: EpochMilliseconds): void {
    this.#last = undefined
    for (const { server, state, since, shared, unique } of known.slice(0, MOST_SERVERS)) {
      this.#servers.set(server, {
        ...begin(now),
        state,
        since,
        shared,
        unique: state === 'shared' ? 0 : unique,
      })
    }
  }

  shares(server: Source): boolean {
    return this.#find(server)?.state === 'shared'
  }

  isUnique(server: Source): boolean {
    return this.#find(server)?.state === 'unique'
  }

  /** A nonce that went to nobody before. */
  fresh(server: Source, { to, at }: { readonly to: Address; readonly at: EpochMilliseconds }): void {
    const known = this.#find(server) ?? this.#begin(server, at)
    const { last, before } = known
    known.before = last
    known.last = { to, at }
    if (!last || !before || at - before.at > THREE_WITHIN || (last.to === to && before.to === to)) return
    if (at - known.signAt < SIGN_EVERY) return
    known.signAt = at
    known.unique++
    if (known.state === 'unique') return
    const isEnough =
      known.unique >= SIGNS && (known.state === 'unknown' || at - known.sharedAt >= QUIET_AFTER_SHARING)
    if (isEnough) become(known, 'unique', at)
  }

  /** A nonce that went to another address before, for another call. */
  sharedOne(server: Source, at: EpochMilliseconds): void {
    const known = this.#find(server) ?? this.#begin(server, at)
    known.shared++
    known.unique = 0
    known.sharedAt = at
    known.last = undefined
    known.before = undefined
    if (known.state !== 'shared') become(known, 'shared', at)
  }

  list(): readonly NonceSharing[] {
    return [...this.#servers.entries()].map(([server, { state, since, shared, unique }]) => ({
      server,
      state,
      since,
      shared,
      unique,
    }))
  }

  #find(server: Source): Server | undefined {
    const last = this.#last
    if (last && last.server.port === server.port && last.server.address === server.address) return last.known
    const known = this.#servers.get(showSource(server))
    if (known) this.#last = { server, known }
    return known
  }

  #begin(server: Source, at: EpochMilliseconds): Server {
    const known = begin(at)
    this.#servers.set(showSource(server), known)
    this.#last = { server, known }
    return known
  }
}

function begin(at: EpochMilliseconds): Server {
  return {
    state: 'unknown',
    since: at,
    shared: 0,
    unique: 0,
    sharedAt: at,
    signAt: Number.NEGATIVE_INFINITY,
    last: undefined,
    before: undefined,
  }
}

function become(server: Server, state: SharingState, at: EpochMilliseconds): void {
  server.state = state
  server.since = at
}
