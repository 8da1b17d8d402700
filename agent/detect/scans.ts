import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { Prefix } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { ownCopy } from '../observe/own-copy.ts'
import { MOST_NAMES, RecentNames, sayNames } from './recent-names.ts'
import { NEVER } from './source-table.ts'
import { toolAmong } from './tool-agents.ts'
import { DEFAULT_SCAN, type DetectionPolicy, type Verdict } from './verdict.ts'

const MOST_SOURCES = 16_384
const MOST_ACCOUNTS = 65_536
const LONGEST_NAME = 128
/**
 * The phones of an office whose accounts are not made yet ask for the same ones again within a minute; a scanner goes
 * on to the next. Who asks for so many times the threshold at once needs no minute.
 */
const MOST_TRIES_AN_ACCOUNT = 1.5
const GOES_ON_FOR: Milliseconds = 60_000
const AT_ONCE = 3

interface Scanner {
  readonly asked: RecentNames
  since: EpochMilliseconds
  saidAt: EpochMilliseconds
}

/** What is known of the source of a refusal. */
export interface AskingSource {
  readonly prefix: Prefix
  /** A success within the last days, or a registration that lasts. */
  readonly isReturning: boolean
  readonly userAgents: Iterable<string>
}

/**
 * Who asks for many accounts that never registered here and gets none of them (svwar does). Anybody can write
 * anybody's address over that, so it costs REGISTERs from ports that are not registered and no more, and never a
 * source that registered within days. The User-Agent of a known tool lowers the number and never decides alone.
 */
export class AccountScans {
  readonly #sources: BoundedMap<Prefix, Scanner>
  readonly #registered: BoundedMap<string, true>
  #threshold: NonNullable<DetectionPolicy['scan']>

  constructor(policy: DetectionPolicy, { capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#sources = new BoundedMap({ capacity: Math.min(capacity, MOST_SOURCES) })
    this.#registered = new BoundedMap({ capacity: Math.min(capacity, MOST_ACCOUNTS) })
    this.#threshold = policy.scan ?? DEFAULT_SCAN
  }

  configure(policy: DetectionPolicy): void {
    this.#threshold = policy.scan ?? DEFAULT_SCAN
  }

  get size(): number {
    return this.#sources.size + this.#registered.size
  }

  registered(account: string): void {
    this.#registered.set(ownCopy(account, LONGEST_NAME), true)
  }

  /** A REGISTER was refused: 403 or 404 to a bare one, 404 to any. Wrong passwords are not what is counted here. */
  refused(ended: ExchangeEnded, about: AskingSource): Verdict | undefined {
    const { account, source, status, time, outcome } = ended
    if (outcome !== 'refused' && status !== 404) return undefined
    if (account === '' || this.#registered.has(account.slice(0, LONGEST_NAME))) return undefined
    const { accounts: threshold, within, for: duration } = this.#threshold
    const scanner = this.#sources.get(about.prefix) ?? {
      asked: new RecentNames(within),
      since: time,
      saidAt: NEVER,
    }
    if (scanner.asked.events(time) === 0) scanner.since = time
    scanner.asked.add(account, time)
    this.#sources.set(about.prefix, scanner)
    const accounts = scanner.asked.names(time)
    if (accounts < Math.ceil(threshold / 2) || time - scanner.saidAt < duration * 1000) return undefined
    const tool = toolAmong(about.userAgents)
    if (tool === undefined && accounts < threshold) return undefined
    const tries = scanner.asked.events(time)
    if (tool === undefined) {
      const isSure =
        accounts >= Math.min(AT_ONCE * threshold, MOST_NAMES) || time - scanner.since >= GOES_ON_FOR
      if (!isSure || tries > MOST_TRIES_AN_ACCOUNT * accounts) return undefined
    }
    scanner.saidAt = time
    const said = `asked for ${sayNames(accounts)} accounts that never registered here within ${showDuration(within)}`
    const named = tool === undefined ? '' : `, with the User-Agent of a scanner`
    return {
      time,
      name: 'account-scan',
      address: source.address,
      port: null,
      action: about.isReturning ? 'limit' : 'block',
      scope: 'register',
      grade: 'packet',
      reason: about.isReturning
        ? `${said}${named}, but it registered within the last days: limited, not blocked`
        : `${said}${named}, and registered none`,
      evidence: {
        accounts,
        tries,
        lastAccount: account.slice(0, LONGEST_NAME),
        lastStatus: status,
        tool: tool ?? null,
      },
      duration,
    }
  }

  pardon(prefix: Prefix): void {
    this.#sources.delete(prefix)
  }
}
