import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Address, type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import type { DistinctCount } from './distinct-count.ts'
import { SlidingCount } from './sliding-count.ts'

/** Most lists kept of one source: enough to tell its story, too few to be filled on purpose. */
export const MOST_ACCOUNTS_NAMED = 16
const MOST_AGENTS_NAMED = 4
const MOST_TEXT = 80

/** All that is known of one source (an IPv4 address, an IPv6 /64). */
export interface SourceRecord {
  readonly source: Prefix
  readonly firstSeen: EpochMilliseconds
  lastSeen: EpochMilliseconds
  registers: number
  attempts: number
  challenges: number
  successes: number
  failures: number
  malformed: number
  readonly window: SlidingCount
  lastSuccess: EpochMilliseconds
  /** When it last used a nonce that no other address was given. */
  lastOwnNonce: EpochMilliseconds
  /** When it last used any nonce that was sent to it, shared or not. */
  lastChallengeAnswered: EpochMilliseconds
  /** Some success of this source still lasts until then (granted Expires), or it was known before a restart. */
  provenUntil: EpochMilliseconds
  /** When the count last rose over the flood threshold; 0 while it is under. */
  overSince: EpochMilliseconds
  /** Final answers that the softswitch gave it since then. */
  answersWhileOver: number
  /** About how many accounts it spoke for lately; kept once it is busy. */
  phones: DistinctCount | undefined
  lastVerdictAt: EpochMilliseconds
  /** When its flood was last found to deserve a block. */
  lastFloodBlockAt: EpochMilliseconds
  /** A few account names and User-Agents, for people. */
  readonly accounts: Set<string>
  readonly userAgents: Set<string>
}

/**
 * The sources of late. Bounded: when it is full, sources without a success are let go first, the longest-seen of
 * them first, so a flood of forged addresses cannot push out those that proved themselves.
 */
export class SourceTable {
  readonly #unproven: BoundedMap<Prefix, SourceRecord>
  readonly #proven: BoundedMap<Prefix, SourceRecord>
  readonly #windowSeconds: Seconds

  constructor(options: { capacity: number; windowSeconds: Seconds }) {
    this.#unproven = new BoundedMap({ capacity: options.capacity })
    this.#proven = new BoundedMap({ capacity: options.capacity })
    this.#windowSeconds = options.windowSeconds
  }

  get size(): number {
    return this.#unproven.size + this.#proven.size
  }

  get letGo(): number {
    return this.#unproven.letGo + this.#proven.letGo
  }

  get provenCount(): number {
    return this.#proven.size
  }

  find(address: Address): SourceRecord | undefined {
    const source = sourcePrefixOf(address)
    return this.#proven.get(source) ?? this.#unproven.get(source)
  }

  /** The record of this address, made where there is none. */
  seen(address: Address, at: EpochMilliseconds): SourceRecord {
    const source = sourcePrefixOf(address)
    let record = this.#proven.get(source) ?? this.#unproven.get(source)
    if (!record) {
      record = this.#begin(source, at)
      this.#unproven.set(source, record)
    }
    record.lastSeen = at
    return record
  }

  /** Moves the record to those that are kept first. */
  prove(record: SourceRecord, until: EpochMilliseconds): void {
    record.provenUntil = Math.max(record.provenUntil, until)
    this.#unproven.delete(record.source)
    this.#proven.set(record.source, record)
  }

  /** A source that had a success before this process started. */
  known(source: Prefix, lastSuccess: EpochMilliseconds, until: EpochMilliseconds): void {
    const record = this.#proven.get(source) ?? this.#begin(source, lastSuccess)
    record.lastSuccess = Math.max(record.lastSuccess, lastSuccess)
    this.prove(record, until)
  }

  #begin(source: Prefix, at: EpochMilliseconds): SourceRecord {
    return {
      source,
      firstSeen: at,
      lastSeen: at,
      registers: 0,
      attempts: 0,
      challenges: 0,
      successes: 0,
      failures: 0,
      malformed: 0,
      window: new SlidingCount(this.#windowSeconds),
      lastSuccess: 0,
      lastOwnNonce: 0,
      lastChallengeAnswered: 0,
      provenUntil: 0,
      overSince: 0,
      answersWhileOver: 0,
      phones: undefined,
      lastVerdictAt: 0,
      lastFloodBlockAt: 0,
      accounts: new Set(),
      userAgents: new Set(),
    }
  }
}

/** Remembers who a source said it is, a bounded few of them. What is not wanted is not even read. */
export function remember(
  record: SourceRecord,
  seen: { readonly account: string; readonly userAgent: string },
): void {
  if (record.accounts.size < MOST_ACCOUNTS_NAMED && seen.account !== '') {
    record.accounts.add(seen.account.slice(0, MOST_TEXT))
  }
  if (record.userAgents.size < MOST_AGENTS_NAMED && seen.userAgent !== '') {
    record.userAgents.add(seen.userAgent.slice(0, MOST_TEXT))
  }
}
