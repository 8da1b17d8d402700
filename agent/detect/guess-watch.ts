import { type Prefix, prefixOf, splitPrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { Aggregators } from './aggregators.ts'
import { FailingSites, SITE_LENGTH } from './failing-sites.ts'
import type { FailingSource } from './failing-source.ts'
import { FailureLadder } from './failures.ts'
import { RETURNING_FOR } from './flood.ts'
import { GuessedAccounts } from './guessed-accounts.ts'
import type { LaneEvidence } from './lane-evidence.ts'
import { RefusalWave } from './refusal-wave.ts'
import { AccountScans } from './scans.ts'
import { SlowGuessing } from './slow-guessing.ts'
import { NEVER, type SourceRecord } from './source-table.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

const A_DAY: Milliseconds = 86_400_000

/** Everything that refused registrations lead to, from the first wrong password to a day of slow guessing. */
export class GuessWatch {
  readonly aggregators: Aggregators
  readonly #ladder: FailureLadder
  readonly #slow: SlowGuessing
  readonly #accounts: GuessedAccounts
  readonly #scans: AccountScans
  readonly #sites: FailingSites
  readonly #wave: RefusalWave
  readonly #onVerdict: (verdict: Verdict) => void

  /** `capacity`: entries of each table, where that is less than its own bound. `onLane`: what slows a source. */
  constructor({
    policy,
    capacity,
    onVerdict,
    onLane,
  }: {
    readonly policy: DetectionPolicy
    readonly capacity: number
    readonly onVerdict: (verdict: Verdict) => void
    readonly onLane?: (evidence: LaneEvidence) => void
  }) {
    const bound = { capacity }
    this.aggregators = new Aggregators(bound)
    this.#ladder = new FailureLadder(policy, { ...bound, ...(onLane ? { onLane } : {}) })
    this.#slow = new SlowGuessing(policy, bound)
    this.#accounts = new GuessedAccounts(policy, bound)
    this.#scans = new AccountScans(policy, bound)
    this.#sites = new FailingSites(policy, bound)
    this.#wave = new RefusalWave(bound)
    this.#onVerdict = onVerdict
  }

  /** Other thresholds from now on; what stands stays for the time that it was told. */
  configure(policy: DetectionPolicy): void {
    this.#ladder.configure(policy)
    this.#slow.configure(policy)
    this.#accounts.configure(policy)
    this.#scans.configure(policy)
    this.#sites.configure(policy)
  }

  /** Entries held in all tables, each of which has a bound. */
  get size(): number {
    const tables = [this.#ladder, this.#slow, this.#accounts, this.#scans, this.#sites, this.#wave]
    return tables.reduce((size, table) => size + table.size, this.aggregators.size)
  }

  /**
   * Credentials were refused, or a REGISTER without any. `siteLastSuccess`: when anybody of the same IPv6 site last
   * registered.
   */
  failed(
    ended: ExchangeEnded,
    record: SourceRecord,
    { siteLastSuccess }: { readonly siteLastSuccess: EpochMilliseconds },
  ): void {
    const { time, source, account } = ended
    const about = this.#about(record, ended)
    const grade = this.#ladder.believed(ended, about)
    const isAtHome = this.#ladder.provenPorts.isProvenFor(source, account, time)
    const { counts, verdict } = this.#wave.refused(ended, { isAtHome, isPath: grade === 'path' })
    if (verdict) this.#onVerdict(verdict)
    if (!counts) return
    for (const said of this.#ladder.failed(ended, about)) this.#say(said)
    const agents = ended.userAgent === '' ? record.userAgents : [ended.userAgent, ...record.userAgents]
    this.#say(
      this.#scans.refused(ended, { prefix: record.source, isReturning: !about.stranger, userAgents: agents }),
    )
    // Nonces that nobody was seen to be given are made up: over days only what was given out counts, where somebody has
    // registered only what was given to him.
    if (grade === undefined || ended.outcome !== 'failure') return
    const isOverIssued = ended.answersItsChallenge || (about.stranger && ended.nonceIssued === true)
    if (grade === 'packet' && !isOverIssued) return
    this.#say(this.#sites.failed(ended, { grade, lastSuccess: siteLastSuccess }))
    this.#say(this.#accounts.failed(ended, grade))
    const isGuessed = this.#accounts.isGuessed(account, time)
    this.#say(this.#slow.failed(ended, grade, { ...about, isGuessed }))
  }

  /**
   * A password was refused in another request than a REGISTER, over the return path. What follows is of scope sip, and so
   * milder measures come first: what fails for an account that is registered at that very port is its owner's settings.
   */
  failedElsewhere(ended: ExchangeEnded, record: SourceRecord): void {
    const { time, source, account } = ended
    const about = this.#about(record, ended)
    if (this.#ladder.provenPorts.isProvenFor(source, account, time)) return
    const { counts, verdict } = this.#wave.refused(ended, { isAtHome: false, isPath: true })
    if (verdict) this.#onVerdict(verdict)
    if (!counts) return
    for (const said of this.#ladder.failed(ended, about)) this.#say(said)
    this.#say(this.#accounts.failed(ended, 'path'))
    const isGuessed = this.#accounts.isGuessed(account, time)
    this.#say(this.#slow.failed(ended, 'path', { ...about, isGuessed }))
  }

  /**
   * A 200. `guess`: it follows guesses of a source that never registered, and proves nothing but that one of them was
   * right. `until`: when the registration ends; undefined where bindings were removed.
   */
  succeeded(
    ended: ExchangeEnded,
    record: SourceRecord,
    until: EpochMilliseconds | undefined,
  ): 'success' | 'guess' {
    if (ended.withCredentials && record.lastSuccess === NEVER && !record.vouched) {
      const guesses = this.#slow.guessesBefore(record.source, ended)
      this.#say(guesses.verdict)
      if (guesses.isGuess) return 'guess'
    }
    this.#ladder.succeeded(ended, until)
    if (until !== undefined) {
      this.#wave.succeeded(ended)
      this.#scans.registered(ended.account)
      this.aggregators.registered(ended, this.#ladder.provenPorts.accountsAt(ended.source, ended.time))
    }
    return 'success'
  }

  pardon(prefix: Prefix): void {
    this.#ladder.pardon(prefix)
    this.#slow.pardon(prefix)
    this.#scans.pardon(prefix)
    this.#sites.pardon(prefixOf(splitPrefix(prefix).address, SITE_LENGTH))
  }

  /** Accounts behind an address, and whether an SBC or proxy brings them. */
  behind(
    record: SourceRecord,
    now: EpochMilliseconds,
  ): { readonly aggregator: boolean; readonly accounts: number } {
    return {
      aggregator: this.aggregators.isAggregator(record.source, now),
      accounts: this.aggregators.accountsBehind(record.source, now),
    }
  }

  #say(verdict: Verdict | undefined): void {
    if (verdict) this.#onVerdict(this.aggregators.spare(verdict))
  }

  #about(record: SourceRecord, ended: ExchangeEnded): FailingSource {
    const { time: now } = ended
    const { source, lastSuccess, restoredUntil, restoredAccounts } = record
    const liveBinding = record.provenUntil > now
    const seenGood = Math.max(
      this.aggregators.accountsBehind(source, now),
      this.#ladder.goodAccounts(source, now),
    )
    const restoredLately = now - lastSuccess < A_DAY ? restoredAccounts : 0
    return {
      liveBinding,
      restored: restoredUntil > now ? Math.max(1, restoredAccounts) : 0,
      stranger: !liveBinding && now - lastSuccess >= RETURNING_FOR,
      goodAccounts: Math.max(seenGood, restoredLately),
      seenGood,
      isAggregator: this.aggregators.isAggregator(source, now),
      isKnownHere: this.#wave.knows(ended),
    }
  }
}
