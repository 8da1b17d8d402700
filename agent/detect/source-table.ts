import { BoundedMap } from '../../registrar/bounded-map.ts'
import {
  type Address,
  familyOf,
  type Prefix,
  prefixOf,
  sourcePrefixOf,
  splitPrefix,
} from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'
import { ownCopy } from '../observe/own-copy.ts'
import type { DistinctCount } from './distinct-count.ts'
import { SITE_LENGTH } from './failing-sites.ts'
import { SlidingCount } from './sliding-count.ts'

/** Most lists kept of one source: enough to tell its story, too few to be filled on purpose. */
const MOST_ACCOUNTS_NAMED = 16
const MOST_AGENTS_NAMED = 4
const MOST_TEXT = 80
/** Not 0: captures may have clocks that begin there. */
export const NEVER: EpochMilliseconds = Number.NEGATIVE_INFINITY

/** All that is known of one source (an IPv4 address, an IPv6 /64). */
export interface SourceRecord {
  readonly source: Prefix
  readonly firstSeen: EpochMilliseconds
  lastSeen: EpochMilliseconds
  registers: number
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
  /** It had a success over a challenge that was sent to it, or was known before a restart. */
  vouched: boolean
  /** Some success of this source still lasts until then (granted Expires), or it was known before a restart. */
  provenUntil: EpochMilliseconds
  /** A registration of before a restart lasts until then, of which nobody knows the port; 0 for others. */
  restoredUntil: EpochMilliseconds
  /** About so many accounts registered here before the restart. */
  restoredAccounts: number
  /** REGISTERs that could not be read, or were far too large, in the window that began then. */
  malformedInWindow: number
  malformedSince: EpochMilliseconds
  /** When its malformed REGISTERs were last found to deserve a block. */
  malformedSaidAt: EpochMilliseconds
  /** When the count last rose over the flood threshold; 0 while it is under. */
  overSince: EpochMilliseconds
  /** Final answers that the softswitch gave it since then. */
  answersWhileOver: number
  /** About how many accounts it spoke for lately; kept once it is busy. */
  phones: DistinctCount | undefined
  /** Challenges over UDP in a row that nobody answered, and when the first and the last of them came. */
  unanswered: number
  unansweredSince: EpochMilliseconds
  lastUnanswered: EpochMilliseconds
  /** REGISTERs of it that counted as those of an unknown source, in the second that began then. */
  unknownInSecond: number
  unknownSecond: number
  lastVerdictAt: EpochMilliseconds
  /** When its flood was last found to deserve a block. */
  lastFloodBlockAt: EpochMilliseconds
  /** A few account names and User-Agents, for people. */
  accounts: readonly string[]
  userAgents: readonly string[]
}

/**
 * The sources of late. Bounded: when it is full, sources without a success are let go first, the longest-seen of
 * them first, so a flood of forged addresses cannot push out those that proved themselves.
 */
export class SourceTable {
  readonly #unproven: BoundedMap<Prefix, SourceRecord>
  readonly #proven: BoundedMap<Prefix, SourceRecord>
  readonly #windowSeconds: Seconds
  /** The last success of anybody in an IPv6 site. */
  readonly #sites: BoundedMap<Prefix, EpochMilliseconds>
  /** One packet asks for its source several times. */
  #lastAddress: Address | undefined
  #lastRecord: SourceRecord | undefined

  constructor(options: { capacity: number; windowSeconds: Seconds }) {
    this.#unproven = new BoundedMap({ capacity: options.capacity })
    this.#proven = new BoundedMap({ capacity: options.capacity })
    this.#sites = new BoundedMap({ capacity: options.capacity })
    this.#windowSeconds = options.windowSeconds
  }

  get size(): number {
    return this.#unproven.size + this.#proven.size + this.#sites.size
  }

  get letGo(): number {
    return this.#unproven.letGo + this.#proven.letGo
  }

  find(address: Address): SourceRecord | undefined {
    if (address === this.#lastAddress) return this.#lastRecord
    const source = sourcePrefixOf(address)
    const record = this.#proven.get(source) ?? this.#unproven.get(source)
    this.#lastAddress = address
    this.#lastRecord = record
    return record
  }

  /** The record of this address, made where there is none. */
  seen(address: Address, at: EpochMilliseconds): SourceRecord {
    let record = this.find(address)
    if (!record) {
      record = this.#begin(sourcePrefixOf(address), at)
      this.#unproven.set(record.source, record)
      this.#lastRecord = record
    }
    record.lastSeen = at
    return record
  }

  /** Moves the record to those that are kept first. */
  prove(record: SourceRecord, until: EpochMilliseconds): void {
    record.provenUntil = Math.max(record.provenUntil, until)
    this.#unproven.delete(record.source)
    this.#proven.set(record.source, record)
    if (familyOf(record.source) === 4) return
    const site = prefixOf(splitPrefix(record.source).address, SITE_LENGTH)
    this.#sites.set(site, Math.max(record.lastSuccess, this.#sites.get(site) ?? NEVER))
  }

  /** When anybody of the same IPv6 site (/56) last registered; of an IPv4 address nothing is known. */
  lastSuccessOfSite(address: Address): EpochMilliseconds {
    return familyOf(address) === 4 ? NEVER : (this.#sites.get(prefixOf(address, SITE_LENGTH)) ?? NEVER)
  }

  /** A source that had a success before this process started. */
  known(source: Prefix, lastSuccess: EpochMilliseconds, until: EpochMilliseconds, accounts = 1): void {
    this.#lastAddress = undefined
    const record = this.#proven.get(source) ?? this.#begin(source, lastSuccess)
    record.restoredUntil = Math.max(record.restoredUntil, until)
    record.restoredAccounts = Math.max(record.restoredAccounts, accounts)
    record.lastSuccess = Math.max(record.lastSuccess, lastSuccess)
    record.vouched = true
    this.prove(record, until)
  }

  #begin(source: Prefix, at: EpochMilliseconds): SourceRecord {
    return {
      source,
      firstSeen: at,
      lastSeen: at,
      registers: 0,
      challenges: 0,
      successes: 0,
      failures: 0,
      malformed: 0,
      window: new SlidingCount(this.#windowSeconds),
      lastSuccess: NEVER,
      lastOwnNonce: NEVER,
      lastChallengeAnswered: NEVER,
      vouched: false,
      provenUntil: 0,
      restoredUntil: 0,
      restoredAccounts: 0,
      malformedInWindow: 0,
      malformedSince: NEVER,
      malformedSaidAt: NEVER,
      overSince: 0,
      answersWhileOver: 0,
      phones: undefined,
      unanswered: 0,
      unansweredSince: 0,
      lastUnanswered: NEVER,
      unknownInSecond: 0,
      unknownSecond: 0,
      lastVerdictAt: NEVER,
      lastFloodBlockAt: NEVER,
      accounts: NOBODY,
      userAgents: NOBODY,
    }
  }
}

/** Remembers who a source said it is, a bounded few of them. What is not wanted is not even read. */
export function remember(
  record: SourceRecord,
  seen: { readonly account: string; readonly userAgent: string },
): void {
  if (record.accounts.length < MOST_ACCOUNTS_NAMED) record.accounts = including(record.accounts, seen.account)
  if (record.userAgents.length < MOST_AGENTS_NAMED)
    record.userAgents = including(record.userAgents, seen.userAgent, AGENTS)
}

/** Most sources of a flood are never named: they share one empty list. */
const NOBODY: readonly string[] = []

/** The sources of a flood are of few programs: one text for all of them. */
const AGENTS = new BoundedMap<string, string>({ capacity: 1_024 })

function including(
  names: readonly string[],
  name: string,
  shared?: BoundedMap<string, string>,
): readonly string[] {
  if (name === '') return names
  const short = name.slice(0, MOST_TEXT)
  if (names.includes(short)) return names
  const own = shared?.get(short) ?? ownCopy(short, MOST_TEXT)
  shared?.set(own, own)
  return [...names, own]
}
