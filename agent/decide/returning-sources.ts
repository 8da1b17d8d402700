import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { RETURNING_TIERS } from '../../rules/desired-state.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { ReturningEntry } from '../journal/entries.ts'
import { type MemberParts, putOff } from './member-parts.ts'
import { Shares } from './shares.ts'

/** A phone that registers every minute has its element written once in this time. */
const STEP: Milliseconds = 3_600_000
/** Accounts are counted over two spans of this, the present one and the one before. */
const COUNTED_OVER: Milliseconds = RETURNING_FOR / 2
/** More accounts than this make no difference. */
const MOST_ACCOUNTS = RETURNING_TIERS[1].accounts + 1
/** Sources that one account may make returning ones; a phone that moves about has fewer in a week. */
const MOST_OF_AN_ACCOUNT = 32
/** Sources that are slowed at once; of more the kernel serves the oldest as before. */
const MOST_SLOWED = 4_096

interface ReturningSource {
  readonly source: Prefix
  /** Whose success made it a returning one. */
  readonly sponsor: string
  since: EpochMilliseconds
  /** Accounts that registered from there since then, by the hash of their names. */
  accounts: number[]
  accountsBefore: number
  /** When several accounts were last seen to register from one of its ports. */
  sharedAt: EpochMilliseconds
  /** Until then its unproven ports have the smallest bucket; 0 for others. */
  slowedUntil: EpochMilliseconds
}

/** So many accounts from one port, and so many from its address: an SBC or a proxy (as `detect/aggregators.ts` says). */
const FEWEST_AT_A_PORT = 4
const FEWEST_OF_AN_AGGREGATOR = 10
/** The kernel's largest class; an aggregator is put there whatever the number, since one port has all its traffic. */
const OF_LARGEST_TIER = MOST_ACCOUNTS

/** The sources (IPv4 addresses, IPv6 /64s) that registered within the last days, and for about how many accounts. */
export class ReturningSources {
  readonly #parts: MemberParts
  readonly #sources = new Map<Prefix, ReturningSource>()
  readonly #shares: Shares<ReturningSource>
  #written = new Map<Prefix, ReturningEntry>()
  /** A forger can have any of them slowed, so the list has an end. */
  readonly #slowed = new BoundedMap<Prefix, ReturningSource>({
    capacity: MOST_SLOWED,
    onLetGo: (_, known) => this.#serveAgain(known),
  })

  constructor(parts: MemberParts, { capacity }: { readonly capacity: number }) {
    this.#parts = parts
    this.#shares = new Shares({ each: MOST_OF_AN_ACCOUNT, total: capacity })
  }

  get size(): number {
    return this.#sources.size
  }

  /** Sources that had to go because there were too many, of one account or in all. */
  get letGo(): number {
    return this.#shares.letGoOfAccount + this.#shares.letGoOfAll
  }

  configure({ capacity }: { readonly capacity: number }): void {
    for (const { source } of this.#shares.resize({ each: MOST_OF_AN_ACCOUNT, total: capacity }))
      this.#forget(source)
  }

  has(source: Prefix): boolean {
    return this.#sources.has(source)
  }

  /** An account registered from there. `atPort`: so many are registered from that very port. */
  registered(source: Prefix, account: string, now: EpochMilliseconds, { atPort = 1 } = {}): void {
    const known = this.#put(source, account, now)
    if (atPort >= FEWEST_AT_A_PORT) known.sharedAt = now
    if (now - known.since >= COUNTED_OVER) {
      known.accountsBefore = now - known.since < 2 * COUNTED_OVER ? known.accounts.length : 0
      known.accounts = []
      known.since = now
    }
    const name = hash(account)
    if (known.accounts.length < MOST_ACCOUNTS && !known.accounts.includes(name)) known.accounts.push(name)
    this.#write(known, now)
  }

  /** So many accounts are registered from one of its ports, as was known before a restart. */
  restoreShared(source: Prefix, { atPort, now }: { atPort: number; now: EpochMilliseconds }): void {
    const known = this.#sources.get(source)
    const held = this.#parts.get(keyOf(source))
    if (!known || !held || atPort < FEWEST_AT_A_PORT) return
    known.sharedAt = now
    this.#write(known, held.until - RETURNING_FOR)
  }

  restore({ source, at, accounts }: ReturningEntry): void {
    // Whose success it was is not kept: what was there before uses up nobody's share.
    const known = this.#put(source, `restored ${source}`, at)
    known.accountsBefore = Math.max(known.accountsBefore, accounts)
    this.#write(known, at)
  }

  expire(source: Prefix): void {
    const known = this.#sources.get(source)
    if (!known) return
    this.#shares.remove(known.sponsor, known)
    this.#forget(source)
  }

  /**
   * Something there fails as no phones do: until then its unproven ports share the smallest bucket. Not an aggregator's,
   * whose registered port has its traffic from the largest.
   */
  slow(source: Prefix, until: EpochMilliseconds): void {
    const known = this.#sources.get(source)
    const held = this.#parts.get(keyOf(source))
    if (!known || held?.lane !== 'returning') return
    if (isAggregator(known, held.until - RETURNING_FOR)) return
    known.slowedUntil = Math.max(known.slowedUntil, until)
    this.#slowed.set(source, known)
    this.#write(known, held.until - RETURNING_FOR)
  }

  isSlowed(source: Prefix): boolean {
    return this.#slowed.has(source)
  }

  /** Whose time is over is served as before. */
  endSlowed(now: EpochMilliseconds): void {
    for (const [source, known] of this.#slowed.entries()) {
      if (known.slowedUntil > now) continue
      this.#slowed.delete(source)
      this.#serveAgain(known)
    }
  }

  #serveAgain(known: ReturningSource): void {
    known.slowedUntil = 0
    const held = this.#parts.get(keyOf(known.source))
    if (held) this.#write(known, held.until - RETURNING_FOR)
  }

  /** What changed since the last call, for the journal. */
  takeChanges(): readonly ReturningEntry[] {
    const changes = [...this.#written.values()]
    this.#written = new Map()
    return changes
  }

  #put(source: Prefix, account: string, now: EpochMilliseconds): ReturningSource {
    let known = this.#sources.get(source)
    if (!known) {
      known = {
        source,
        sponsor: account,
        since: now,
        accounts: [],
        accountsBefore: 0,
        sharedAt: Number.NEGATIVE_INFINITY,
        slowedUntil: 0,
      }
      this.#sources.set(source, known)
    }
    for (const gone of this.#shares.put(known.sponsor, known)) this.#forget(gone.source)
    return known
  }

  #write(known: ReturningSource, at: EpochMilliseconds): void {
    const { source } = known
    const counted = countOf(known)
    const accounts = isAggregator(known, at) ? Math.max(counted, OF_LARGEST_TIER) : counted
    const slowedUntil = this.#slowed.has(source) ? known.slowedUntil : undefined
    const until = putOff(at + RETURNING_FOR, STEP)
    const key = keyOf(source)
    const held = this.#parts.get(key)
    const isHeld = held?.lane === 'returning' && held.until === until && held.accounts === accounts
    if (isHeld && held.slowedUntil === slowedUntil) return
    const slowed = slowedUntil === undefined ? {} : { slowedUntil }
    this.#parts.set(key, { lane: 'returning', source, accounts, ...slowed, until })
    if (isHeld) return
    this.#written.set(source, { source, at, accounts: counted })
  }

  #forget(source: Prefix): void {
    this.#sources.delete(source)
    this.#slowed.delete(source)
    this.#parts.delete(keyOf(source))
  }
}

function countOf({ accounts, accountsBefore }: ReturningSource): number {
  return Math.max(accounts.length, accountsBefore)
}

function isAggregator(known: ReturningSource, at: EpochMilliseconds): boolean {
  return countOf(known) >= FEWEST_OF_AN_AGGREGATOR && at - known.sharedAt < COUNTED_OVER
}

function keyOf(source: Prefix): string {
  return `ret ${source}`
}

/** FNV-1a. Two names of one hash count as one account. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value
}
