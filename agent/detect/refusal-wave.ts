import { BoundedMap } from '../../registrar/bounded-map.ts'
import { hashText } from '../../registrar/hash-text.ts'
import { familyOf, type Prefix, prefixOf, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { SITE_LENGTH } from './failing-sites.ts'
import { NEVER } from './source-table.ts'
import type { Verdict } from './verdict.ts'

const MOST_KNOWN = 65_536
/** Places and accounts that are told apart in a wave. */
const MOST_PLACES = 4_096
/** An account that registered from an address within so long is known there. */
const KNOWN_FOR: Milliseconds = 86_400_000
/** Refusals of so long are looked at together, and for so long those of a registered port wait for others to come. */
const WITHIN: Milliseconds = 60_000
/** Those who began to fail longer ago fail for reasons of their own. */
const BEGAN_WITHIN: Milliseconds = 120_000
/** A wave is over when nobody who is known was refused for so long. */
const OVER_AFTER: Milliseconds = 120_000
/** So many addresses, each with an account of its own, and nobody who is known succeeds between them. */
const SMALL = 3
/** Or so many accounts of one address, each at the very port where it is registered. */
const SMALL_AT_HOME = 6
const LARGE = 10
/** Of all known addresses that are heard of in a large wave, so many fail at least; in a small one. */
const FAILING_SHARE = { small: 0.9, large: 0.8 } as const
/** People are told of a wave that lasts so long, and of the next one after so long. */
const SAID_AFTER: Milliseconds = 5_000
const SAID_AGAIN: Milliseconds = 600_000

interface KnownPair {
  lastSuccess: EpochMilliseconds
  /** The first refusal since then. */
  failingSince: EpochMilliseconds
  lastFailure: EpochMilliseconds
}

/** What is known of a refusal beside itself. */
export interface Refusal {
  /** Its account is registered at this very address and port. */
  readonly isAtHome: boolean
  /** Nobody can have forged it (grade path). */
  readonly isPath: boolean
}

/** Places that fail or succeed, each with an account of its own: the fewer of both count. */
class Places {
  readonly #places = new BoundedMap<Prefix, EpochMilliseconds>({ capacity: MOST_PLACES })
  readonly #accounts = new BoundedMap<number, EpochMilliseconds>({ capacity: MOST_PLACES })

  add(place: Prefix, account: number, now: EpochMilliseconds): void {
    this.#places.set(place, now)
    this.#accounts.set(account, now)
  }

  delete(place: Prefix): void {
    this.#places.delete(place)
  }

  count(now: EpochMilliseconds): number {
    const isOver = (at: EpochMilliseconds) => now - at > WITHIN
    this.#places.sweep(isOver)
    this.#accounts.sweep(isOver)
    return Math.min(this.#places.size, this.#accounts.size)
  }
}

/**
 * A softswitch that lost its database refuses everybody, with 403 or with a new challenge to each answer. That is no
 * failure of those whom it knew a moment ago. When several of them are refused and next to none succeeds, their
 * refusals count against nobody while it lasts; when they are many, nobody's do.
 *
 * Only an account at an address where it registered within a day is known, and only a refusal over the return path or
 * at the port where the account is registered makes a wave. So the owner of a few accounts, who fails on purpose, spares
 * himself these accounts and nothing more. Ten addresses with ten accounts are what it takes to have others spared.
 */
export class RefusalWave {
  readonly #known: BoundedMap<string, KnownPair>
  #size: 'none' | 'small' | 'large' = 'none'
  /** Since somebody who is known last succeeded. */
  #run = new Places()
  #atHome = new BoundedMap<number, true>({ capacity: MOST_PLACES })
  readonly #failing = new Places()
  readonly #succeeded = new Places()
  /** Since the wave began: those of just before say nothing of when it ends. */
  #succeededSince = new Places()
  #began: EpochMilliseconds = NEVER
  #lastRefusal: EpochMilliseconds = NEVER
  #saidAt: EpochMilliseconds = NEVER
  /** When the wave began that was told last. */
  #saidOf: EpochMilliseconds = NEVER

  constructor({ capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#known = new BoundedMap({ capacity: Math.min(capacity, MOST_KNOWN) })
  }

  /** Entries held about sources and accounts. */
  get size(): number {
    return this.#known.size
  }

  /** Whether this very account registered at this address within a day. */
  knows(ended: ExchangeEnded): boolean {
    return this.#pair(pairKey(ended), ended.time) !== undefined
  }

  /** An account registered. */
  succeeded(ended: ExchangeEnded): void {
    const { account, time } = ended
    const key = pairKey(ended)
    const pair = this.#pair(key, time)
    this.#known.set(key, { lastSuccess: time, failingSince: NEVER, lastFailure: NEVER })
    // Who registers for the first time says nothing of those who did before.
    if (!pair) return
    this.#endOld(time)
    const place = placeOf(ended)
    this.#succeeded.add(place, hashText(account), time)
    this.#succeededSince.add(place, hashText(account), time)
    this.#failing.delete(place)
    this.#run = new Places()
    this.#atHome = new BoundedMap({ capacity: MOST_PLACES })
    if (this.#size === 'large' && this.#share(this.#succeeded, time) < FAILING_SHARE.large)
      this.#size = 'small'
    if (this.#size === 'small' && this.#share(this.#succeededSince, time) < FAILING_SHARE.small)
      this.#size = 'none'
  }

  /** Somebody was refused: whether that counts against him, and what people should be told. */
  refused(ended: ExchangeEnded, refusal: Refusal): { readonly counts: boolean; readonly verdict?: Verdict } {
    const { time } = ended
    this.#endOld(time)
    const pair = this.#pair(pairKey(ended), time)
    if (!pair) return { counts: this.#size !== 'large' }
    if (time - pair.lastFailure > BEGAN_WITHIN) pair.failingSince = time
    pair.lastFailure = time
    if (refusal.isAtHome || refusal.isPath) {
      this.#lastRefusal = time
      // One who fails since long fails for a reason of his own, and makes no wave.
      if (this.#size !== 'none' || time - pair.failingSince <= BEGAN_WITHIN) this.#note(ended, refusal)
    }
    this.#grow(time)
    if (this.#size !== 'none') return { counts: false, ...this.#tell(ended) }
    // Were this the first of a wave, the others are about to come: he is registered here, and has been right so far.
    return { counts: !(refusal.isAtHome && time - pair.failingSince < WITHIN) }
  }

  #note(ended: ExchangeEnded, { isAtHome }: Refusal): void {
    const account = hashText(ended.account)
    const place = placeOf(ended)
    this.#run.add(place, account, ended.time)
    this.#failing.add(place, account, ended.time)
    this.#succeeded.delete(place)
    this.#succeededSince.delete(place)
    if (isAtHome) this.#atHome.set(account, true)
  }

  #grow(now: EpochMilliseconds): void {
    if (this.#size === 'large') return
    const before = this.#size
    const isMost = (share: number) =>
      this.#failing.count(now) >= LARGE && this.#share(this.#succeeded, now) >= share
    if (isMost(FAILING_SHARE.large)) this.#size = 'large'
    else if (this.#run.count(now) >= SMALL || this.#atHome.size >= SMALL_AT_HOME) this.#size = 'small'
    if (before !== 'none' || this.#size === 'none') return
    this.#succeededSince = new Places()
    this.#began = now
  }

  #share(succeeded: Places, now: EpochMilliseconds): number {
    const failing = this.#failing.count(now)
    return failing / Math.max(1, failing + succeeded.count(now))
  }

  #endOld(now: EpochMilliseconds): void {
    if (now - this.#lastRefusal <= OVER_AFTER) return
    this.#size = 'none'
    if (this.#atHome.size === 0) return
    this.#run = new Places()
    this.#atHome = new BoundedMap({ capacity: MOST_PLACES })
  }

  #pair(key: string, now: EpochMilliseconds): KnownPair | undefined {
    const pair = this.#known.get(key)
    return pair && now - pair.lastSuccess < KNOWN_FOR ? pair : undefined
  }

  #tell({ time, source, status }: ExchangeEnded): { readonly verdict?: Verdict } {
    if (this.#saidOf === this.#began || time - this.#began < SAID_AFTER || time - this.#saidAt < SAID_AGAIN)
      return {}
    this.#saidOf = this.#began
    this.#saidAt = time
    const addresses = this.#failing.count(time)
    return {
      verdict: {
        time,
        name: 'refused-all',
        address: source.address,
        port: null,
        action: 'alert',
        scope: 'register',
        grade: 'path',
        reason:
          `the softswitch refuses accounts that were right until now, with ${status}, at ${addresses} address${addresses === 1 ? '' : 'es'}, and ` +
          'next to none succeeds: look at its database; their failures count against nobody while it lasts',
        evidence: { addresses, accounts: Math.max(addresses, this.#atHome.size), lastStatus: status },
        duration: WITHIN / 1_000,
      },
    }
  }
}

/** The source, and in IPv6 all of a customer's: his 256 networks are one place. */
function placeOf({ source: { address } }: ExchangeEnded): Prefix {
  return familyOf(address) === 4 ? sourcePrefixOf(address) : prefixOf(address, SITE_LENGTH)
}

function pairKey({ source, account }: ExchangeEnded): string {
  return `${sourcePrefixOf(source.address)} ${hashText(account)}`
}
