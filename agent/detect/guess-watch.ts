import type { Prefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { Aggregators } from './aggregators.ts'
import { type FailingSource, FailureLadder } from './failures.ts'
import { RETURNING_FOR } from './flood.ts'
import { GuessedAccounts } from './guessed-accounts.ts'
import { AccountScans } from './scans.ts'
import { SlowGuessing } from './slow-guessing.ts'
import { NEVER, type SourceRecord } from './source-table.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

/** Everything that refused registrations lead to, from the first wrong password to a day of slow guessing. */
export class GuessWatch {
  readonly aggregators: Aggregators
  readonly #ladder: FailureLadder
  readonly #slow: SlowGuessing
  readonly #accounts: GuessedAccounts
  readonly #scans: AccountScans
  readonly #onVerdict: (verdict: Verdict) => void

  /** `capacity`: entries of each table, where that is less than its own bound. */
  constructor({
    policy,
    capacity,
    onVerdict,
  }: {
    readonly policy: DetectionPolicy
    readonly capacity: number
    readonly onVerdict: (verdict: Verdict) => void
  }) {
    const bound = { capacity }
    this.aggregators = new Aggregators(bound)
    this.#ladder = new FailureLadder(policy, bound)
    this.#slow = new SlowGuessing(policy, bound)
    this.#accounts = new GuessedAccounts(policy, bound)
    this.#scans = new AccountScans(policy, bound)
    this.#onVerdict = onVerdict
  }

  /** Other thresholds from now on; what stands stays for the time that it was told. */
  configure(policy: DetectionPolicy): void {
    this.#ladder.configure(policy)
    this.#slow.configure(policy)
    this.#accounts.configure(policy)
    this.#scans.configure(policy)
  }

  /** Entries held in all tables, each of which has a bound. */
  get size(): number {
    return (
      this.#ladder.size + this.#slow.size + this.#accounts.size + this.#scans.size + this.aggregators.size
    )
  }

  /** Credentials were refused, or a REGISTER without any. */
  failed(ended: ExchangeEnded, record: SourceRecord): void {
    const { time } = ended
    const about = aboutSource(record, time)
    const grade = this.#ladder.believed(ended, about)
    const goodAccounts = this.#ladder.goodAccounts(record.source, time)
    this.#say(this.#ladder.failed(ended, about))
    const agents = ended.userAgent === '' ? record.userAgents : [ended.userAgent, ...record.userAgents]
    this.#say(
      this.#scans.refused(ended, { prefix: record.source, isReturning: !about.stranger, userAgents: agents }),
    )
    // Nonces that nobody was seen to be given are made up: over days only what was given out counts.
    if (grade === undefined || ended.outcome !== 'failure') return
    if (grade === 'packet' && !ended.answersItsChallenge) return
    this.#say(this.#accounts.failed(ended, grade))
    const isGuessed = this.#accounts.isGuessed(ended.account, time)
    this.#say(this.#slow.failed(ended, grade, { ...about, goodAccounts, isGuessed }))
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
      this.#scans.registered(ended.account)
      this.aggregators.registered(ended, this.#ladder.provenPorts.accountsAt(ended.source, ended.time))
    }
    return 'success'
  }

  pardon(prefix: Prefix): void {
    this.#ladder.pardon(prefix)
    this.#slow.pardon(prefix)
    this.#scans.pardon(prefix)
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
}

function aboutSource(record: SourceRecord, now: EpochMilliseconds): FailingSource {
  const liveBinding = record.provenUntil > now
  return {
    liveBinding,
    restored: record.restoredUntil > now ? Math.max(1, record.restoredAccounts) : 0,
    stranger: !liveBinding && now - record.lastSuccess >= RETURNING_FOR,
  }
}
