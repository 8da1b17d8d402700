import { BoundedMap } from '../../registrar/bounded-map.ts'
import { type Prefix, sourcePrefixOf } from '../../registrar/net/address.ts'
import {
  type EpochMilliseconds,
  type Milliseconds,
  type Seconds,
  showDuration,
} from '../../registrar/net/time.ts'
import type { FailureGrade } from '../../registrar/policy.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { type FailingSource, OFFICE } from './failing-source.ts'
import { FEWEST_ACCOUNTS, looksLikePhones } from './looks-like-phones.ts'
import { portKey } from './port-key.ts'
import { RecentNames, sayNames } from './recent-names.ts'
import { DEFAULT_SLOW_GUESSING, type DetectionPolicy, type Verdict } from './verdict.ts'

const MOST_SOURCES = 16_384
/** A phone with a wrong password fails on its one account for days, and an ATA on two. */
const ACCOUNTS_A_PORT = 2
/** Who fails only on accounts that others guess at too needs so many times fewer failures. */
const SOONER = 3
/** A success counts as a guess that came true after so many failures, over several accounts or for one alone. */
const GUESSES = { overSeveral: 6, ofOne: 12 } as const
const LONGEST_NAME = 128
/** Failures that come faster than one in so long are no slow guessing, though they spread too thin for a port. */
const FAST: Milliseconds = 5_000
/** Without a failure for so long, a success is a success: an admin mended the phone's password. */
const SUSPECT_FOR: Milliseconds = 3_600_000

/** A flood makes thousands of these, so that what is empty, or would hold the same names, is no object of its own. */
class Guesser {
  readonly path: RecentNames
  /** All addresses and ports that failed, and each account at each of them. */
  readonly allPorts: RecentNames
  readonly places: RecentNames
  /** Failures that anybody could have forged, over nonces that were sent to somebody all the same. */
  packet: RecentNames | undefined
  /** Those of the accounts that many sources fail on. */
  guessed: RecentNames | undefined
  lastFailure: EpochMilliseconds
  /** The first failure of those without a span's pause between them. */
  firstFailure: EpochMilliseconds
  rightSaidAt: EpochMilliseconds | undefined
  saidAt: EpochMilliseconds | undefined
  readonly #within: Seconds
  #ports: RecentNames

  constructor(within: Seconds, now: EpochMilliseconds) {
    this.path = new RecentNames(within)
    this.allPorts = new RecentNames(within)
    this.places = new RecentNames(within)
    this.#ports = this.allPorts
    this.#within = within
    this.lastFailure = now
    this.firstFailure = now
  }

  /** The addresses and ports that failures of grade path came from. */
  get ports(): RecentNames {
    return this.#ports
  }

  add({ account, source, time }: ExchangeEnded, grade: FailureGrade): void {
    const port = portKey(source)
    if (grade !== 'path' && this.#ports === this.allPorts) this.#ports = this.allPorts.copy()
    this.allPorts.add(port, time)
    if (grade === 'path' && this.#ports !== this.allPorts) this.#ports.add(port, time)
    this.places.add(`${port} ${account}`, time)
    this.tries(grade).add(account, time)
  }

  addGuessed(account: string, now: EpochMilliseconds): void {
    this.guessed ??= new RecentNames(this.#within)
    this.guessed.add(account, now)
  }

  tries(grade: FailureGrade): RecentNames {
    if (grade === 'path') return this.path
    this.packet ??= new RecentNames(this.#within)
    return this.packet
  }
}

/**
 * Failures of one source over hours: who stays under the retry limit and the lockout (one try each half minute)
 * still fails on several accounts and never succeeds.
 */
export class SlowGuessing {
  readonly #sources: BoundedMap<Prefix, Guesser>
  #threshold: NonNullable<DetectionPolicy['slowGuessing']>

  constructor(policy: DetectionPolicy, { capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#sources = new BoundedMap({ capacity: Math.min(capacity, MOST_SOURCES) })
    this.#threshold = policy.slowGuessing ?? DEFAULT_SLOW_GUESSING
  }

  configure(policy: DetectionPolicy): void {
    this.#threshold = policy.slowGuessing ?? DEFAULT_SLOW_GUESSING
  }

  get size(): number {
    return this.#sources.size
  }

  /** `isGuessed`: many sources fail on this account. */
  failed(
    ended: ExchangeEnded,
    grade: FailureGrade,
    about: FailingSource & { readonly isGuessed: boolean },
  ): Verdict | undefined {
    const { account, time } = ended
    const guesser = this.#note(ended)
    guesser.add(ended, grade)
    if (about.isGuessed) guesser.addGuessed(account, time)
    const { failures: threshold, within } = this.#threshold
    const never = about.stranger && about.goodAccounts === 0
    const guessedByOthers = guesser.guessed?.names(time) ?? 0
    const enough = never && guessedByOthers >= FEWEST_ACCOUNTS ? Math.ceil(threshold / SOONER) : threshold
    const isPath = guesser.path.events(time) >= enough && guesser.path.names(time) >= FEWEST_ACCOUNTS
    const tries = isPath ? guesser.path : guesser.packet
    if (!tries || tries.events(time) < enough || tries.names(time) < FEWEST_ACCOUNTS) return undefined
    const measure = measureFor(about, {
      isPath,
      accounts: tries.names(time),
      phones: isOfPhones(guesser, about, time),
    })
    // What only informs is said once a span, what is done again when it has run out.
    const pause = measure.action === 'limit' ? within * 500 : this.#threshold.for * 1000
    if (guesser.saidAt !== undefined && time - guesser.saidAt < pause) return undefined
    guesser.saidAt = time
    const failures = tries.events(time)
    return {
      time,
      name: 'slow-guessing',
      address: ended.source.address,
      port: null,
      action: measure.action,
      scope: measure.scope,
      grade: isPath ? 'path' : 'packet',
      reason:
        `${failures} failed registrations over ${sayNames(tries.names(time))} accounts within ` +
        `${sayPace(time - guesser.firstFailure, { failures, within })}${measure.why}`,
      evidence: {
        failures,
        accounts: tries.names(time),
        goodAccounts: about.goodAccounts,
        liveBinding: about.liveBinding,
        accountsGuessedByOthers: guessedByOthers,
      },
      duration: this.#threshold.for,
    }
  }

  /**
   * What the failures before it say of a success of a source that never had one. It is a guess only where they were
   * the source's own (grade path): what others forged takes nothing from a new customer, though it is told. And only
   * where this very account or port failed: the good phones of a new office beside a bad one are no guessers.
   */
  guessesBefore(
    prefix: Prefix,
    { account, source, time }: ExchangeEnded,
  ): { readonly isGuess: boolean; readonly verdict?: Verdict } {
    const guesser = this.#sources.get(prefix)
    if (!guesser || time - guesser.lastFailure > SUSPECT_FOR) return { isGuess: false }
    const tries = isGuessing(guesser.path, account, time) ? guesser.path : guesser.packet
    if (!tries || !isGuessing(tries, account, time)) return { isGuess: false }
    const hasFailed = tries.has(account, time) || guesser.ports.has(portKey(source), time)
    const isGuess = tries === guesser.path && hasFailed
    if (guesser.rightSaidAt !== undefined && time - guesser.rightSaidAt < SUSPECT_FOR) return { isGuess }
    guesser.rightSaidAt = time
    const failures = tries.events(time)
    const accounts = tries.names(time)
    const verdict: Verdict = {
      time,
      name: 'guessed-right',
      address: source.address,
      port: source.port,
      action: 'alert',
      scope: 'register',
      grade: isGuess ? 'account' : 'packet',
      reason:
        `${account.slice(0, LONGEST_NAME)} registered after ${failures} failures over ${sayNames(accounts)} ` +
        `account${accounts === 1 ? '' : 's'} from an address that never registered before: change its password, unless ` +
        'its owner had only mistyped it',
      evidence: { account: account.slice(0, LONGEST_NAME), failures, accounts, proven: !isGuess },
      duration: SUSPECT_FOR / 1000,
    }
    return { isGuess, verdict }
  }

  pardon(prefix: Prefix): void {
    this.#sources.delete(prefix)
  }

  #note({ source, time }: ExchangeEnded): Guesser {
    const prefix = sourcePrefixOf(source.address)
    const { within } = this.#threshold
    const guesser = this.#sources.get(prefix) ?? new Guesser(within, time)
    if (time - guesser.lastFailure > (within * 1_000) / 2) guesser.firstFailure = time
    guesser.lastFailure = time
    this.#sources.set(prefix, guesser)
    return guesser
  }
}

/** Several accounts, whichever of them came true; or one alone, and that one. */
function isGuessing(tries: RecentNames, account: string, now: EpochMilliseconds): boolean {
  if (tries.names(now) >= FEWEST_ACCOUNTS) return tries.events(now) >= GUESSES.overSeveral
  return tries.events(now) >= GUESSES.ofOne && tries.has(account, now)
}

/** A few ports that each stick to their account: whatever they fail, each is suspended by itself. */
function isOfPhones(
  { path, packet, allPorts, places }: Guesser,
  { goodAccounts: good, stranger }: FailingSource,
  now: EpochMilliseconds,
): boolean {
  const ports = allPorts.names(now)
  const severalFromPort = places.names(now) > ACCOUNTS_A_PORT * ports
  const accounts = Math.max(path.names(now), packet?.names(now) ?? 0)
  return looksLikePhones({ accounts, ports, severalFromPort, good, stranger })
}

/** How long it took; only what took long is under the limits of ports. */
function sayPace(
  took: Milliseconds,
  { failures, within }: { readonly failures: number; readonly within: Seconds },
): string {
  if (took >= failures * FAST) return `${showDuration(within)}, under every faster limit`
  return `${showDuration(Math.max(1, Math.ceil(took / 1_000)))}, too few from each port to suspend it`
}

/** The harder the measure, the more is proven and the fewer good phones are behind the address. */
function measureFor(
  { liveBinding, restored, stranger, goodAccounts: good, seenGood }: FailingSource,
  { isPath, accounts, phones }: { isPath: boolean; accounts: number; phones: boolean },
): Pick<Verdict, 'action' | 'scope'> & { readonly why: string } {
  const informs = (why: string) => ({ action: 'limit', scope: 'register', why: `: ${why}` }) as const
  if (good >= OFFICE || (good >= 2 && good >= accounts) || (restored > 0 && seenGood === 0 && liveBinding)) {
    return informs(
      `look for a guesser among the phones of this address, ${good} accounts are registered here`,
    )
  }
  if (phones) return informs('a few ports with an account each, as of phones with wrong passwords')
  if (!isPath) {
    if (good > 0 || liveBinding || !stranger) {
      return informs('the softswitch gives everybody the same nonces, so nobody knows who it was')
    }
    return { action: 'suspend', scope: 'register', why: '' }
  }
  if (good > 0 || liveBinding) {
    const why = '; registered ports of this address stay served, the others are suspended'
    return { action: 'suspend', scope: 'register', why }
  }
  return { action: 'block', scope: 'sip', why: ', none led to a success' }
}
