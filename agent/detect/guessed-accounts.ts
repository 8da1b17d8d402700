import { BoundedMap } from '../../registrar/bounded-map.ts'
import { sourcePrefixOf } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import type { FailureGrade } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { ownCopy } from '../observe/own-copy.ts'
import { RecentNames, sayNames } from './recent-names.ts'
import { NEVER } from './source-table.ts'
import { DEFAULT_ACCOUNT_GUESSED, type DetectionPolicy, type Verdict } from './verdict.ts'

const MOST_ACCOUNTS = 16_384
const LONGEST_NAME = 128
/** One account is told about again after so long. */
const SAID_AGAIN: Milliseconds = 21_600_000

interface GuessedAccount {
  readonly sources: RecentNames
  /** Those that proved that they receive what is sent to them: the same object until one did not. */
  provenSources: RecentNames
  saidAt: EpochMilliseconds
}

/**
 * Accounts that many sources fail on: 500 bots with one try a minute each never reach a limit of their own. That
 * only informs: whatever it tightened for the account would hit its owner, who rebooted and has no binding.
 */
export class GuessedAccounts {
  readonly #accounts: BoundedMap<string, GuessedAccount>
  #threshold: NonNullable<DetectionPolicy['accountGuessed']>

  constructor(policy: DetectionPolicy, { capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#accounts = new BoundedMap({ capacity: Math.min(capacity, MOST_ACCOUNTS) })
    this.#threshold = policy.accountGuessed ?? DEFAULT_ACCOUNT_GUESSED
  }

  configure(policy: DetectionPolicy): void {
    this.#threshold = policy.accountGuessed ?? DEFAULT_ACCOUNT_GUESSED
  }

  get size(): number {
    return this.#accounts.size
  }

  /** Whether so many sources fail on this account. */
  isGuessed(account: string, now: EpochMilliseconds): boolean {
    const known = this.#accounts.get(account.slice(0, LONGEST_NAME))
    return known !== undefined && known.sources.names(now) >= this.#threshold.sources
  }

  failed({ account, source, time }: ExchangeEnded, grade: FailureGrade): Verdict | undefined {
    if (account === '') return undefined
    const { sources: threshold, within } = this.#threshold
    const name = account.slice(0, LONGEST_NAME)
    let known = this.#accounts.get(name)
    if (!known) {
      const sources = new RecentNames(within)
      known = { sources, provenSources: sources, saidAt: NEVER }
    }
    this.#accounts.set(ownCopy(account, LONGEST_NAME), known)
    const prefix = sourcePrefixOf(source.address)
    if (grade !== 'path' && known.provenSources === known.sources) known.provenSources = known.sources.copy()
    known.sources.add(prefix, time)
    if (grade === 'path' && known.provenSources !== known.sources) known.provenSources.add(prefix, time)
    const sources = known.sources.names(time)
    if (sources < threshold || time - known.saidAt < SAID_AGAIN) return undefined
    known.saidAt = time
    const provenSources = known.provenSources.names(time)
    return {
      time,
      name: 'account-guessed',
      address: source.address,
      port: null,
      action: 'alert',
      scope: 'register',
      grade: provenSources >= threshold ? 'path' : 'packet',
      reason:
        `${name} failed from ${sayNames(sources)} addresses within ${showDuration(within)}: see that its password is ` +
        'long; nothing is done to the account, its owner may be among them',
      evidence: {
        account: name,
        sources,
        provenSources,
        failures: known.sources.events(time),
        last: source.address,
      },
      duration: within,
    }
  }
}
