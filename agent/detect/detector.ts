import { type Address, type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import { LearntBindings } from '../observe/bindings.ts'
import type {
  ExchangeEnded,
  ExchangeOutcome,
  MalformedSeen,
  Observation,
  RegisterSeen,
  Sighting,
} from '../observe/observation.ts'
import { DistinctCount } from './distinct-count.ts'
import { judgeFlood } from './flood.ts'
import { GuessWatch } from './guess-watch.ts'
import type { LaneEvidence } from './lane-evidence.ts'
import { EXPIRY_GRACE, LaneWitness, type LaneWitnessOptions } from './lane-witness.ts'
import { judgeMalformed } from './malformed.ts'
import { PrefixSet } from './prefix-set.ts'
import { NEVER, remember, type SourceRecord, SourceTable } from './source-table.ts'
import { Takeovers } from './takeovers.ts'
import { UnreadRequests } from './unread-requests.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

/**
 * Sources without a success, and as many with one. A flooder sends a hundred REGISTERs within ten seconds: to be pushed
 * out before, five thousand sources that are new would have to be read each second.
 */
const MOST_SOURCES = 50_000
/** From so many REGISTERs in a window on, accounts are counted. */
const BUSY = 20

const GAVE_A_CHANCE: ReadonlySet<ExchangeOutcome> = new Set(['challenge', 'refused', 'failure'])

export interface DetectorOptions {
  readonly policy: DetectionPolicy
  /** Ports whose failures somebody else judges, who knows more: Ringfence's own registrar. */
  readonly judgedElsewhere?: (serverPort: number) => boolean
  /** Sources kept at once. */
  readonly maxSources?: number
  readonly onVerdict: (verdict: Verdict) => void
  /** A source registered, and its registration lasts until then. */
  readonly onSuccess?: (source: Prefix, until: EpochMilliseconds) => void
  /** Something puts a source in a lane of its own, or takes it out of one. */
  readonly onLane?: (evidence: LaneEvidence) => void
  readonly lanes?: LaneWitnessOptions
}

const NO_LANES: LaneWitnessOptions = {
  unknownPerSecond: Number.POSITIVE_INFINITY,
  trusted: new PrefixSet([]),
}

export interface Totals {
  registers: number
  /** Everything that begins like SIP, malformed messages included. */
  sipMessages: number
  challenges: number
  successes: number
  failures: number
  malformed: number
}

/**
 * Turns observations into verdicts. Holds what is known of each source; the clock is the observations' own, so a
 * replay decides what a live run would have decided.
 */
export class Detector {
  readonly totals: Totals = {
    registers: 0,
    sipMessages: 0,
    challenges: 0,
    successes: 0,
    failures: 0,
    malformed: 0,
  }
  readonly sources: SourceTable
  /** Who is registered, learnt from the successes that put a source in the proven lane. */
  readonly bindings = new LearntBindings()
  readonly lanes: LaneWitness
  readonly #guesses: GuessWatch
  readonly #takeovers = new Takeovers()
  readonly #unread: UnreadRequests
  #policy: DetectionPolicy
  readonly #options: DetectorOptions

  constructor(options: DetectorOptions) {
    this.#options = options
    this.#policy = options.policy
    this.sources = new SourceTable({
      capacity: options.maxSources ?? MOST_SOURCES,
      windowSeconds: options.policy.flood.within,
    })
    this.#guesses = new GuessWatch({
      policy: options.policy,
      capacity: options.maxSources ?? Number.POSITIVE_INFINITY,
      onVerdict: options.onVerdict,
      ...(options.onLane ? { onLane: options.onLane } : {}),
    })
    this.#unread = new UnreadRequests(options.policy, {
      capacity: options.maxSources ?? Number.POSITIVE_INFINITY,
    })
    this.lanes = new LaneWitness(options.lanes ?? NO_LANES, options.onLane ?? (() => {}))
  }

  /** Other thresholds from now on, but for the window of `flood`. What stands stays for the time that it was told. */
  configure(policy: DetectionPolicy): void {
    this.#policy = policy
    this.#guesses.configure(policy)
    this.#unread.configure(policy)
  }

  observe(observation: Observation, sighting: Sighting = 'whole'): void {
    switch (observation.kind) {
      case 'register':
        if (sighting !== 'logged') {
          this.totals.sipMessages++
          this.totals.registers++
        }
        if (sighting === 'sampled') this.#sampled(observation)
        else this.#register(observation, sighting)
        return
      case 'exchange':
        this.#exchange(observation)
        return
      case 'sip':
        if (sighting !== 'logged') this.totals.sipMessages++
        this.#say(this.#takeovers.spoke(observation.source, observation.time))
        return
      case 'malformed':
        this.totals.malformed++
        if (observation.what !== 'observed' && observation.what !== 'oversized') this.totals.sipMessages++
        this.#malformed(observation)
        return
    }
  }

  /** Something on a SIP port that is no SIP: the kernel cannot tell it from a REGISTER. */
  stray({ address }: Source, time: EpochMilliseconds): void {
    this.lanes.unknown(this.sources.seen(address, time), address, time)
  }

  /**
   * Counts a REGISTER of a source whose flood was just found to deserve a block, without looking into it: the kernel
   * drops it anyway, and reading it would cost ten times as much. False where the source is none such.
   */
  countFlood(address: Address, time: EpochMilliseconds): boolean {
    const record = this.sources.find(address)
    if (!record || time - record.lastFloodBlockAt >= this.#policy.flood.within * 1000) return false
    record.registers++
    record.lastSeen = time
    record.window.add(time)
    this.totals.registers++
    this.totals.sipMessages++
    return true
  }

  /** Entries held about sources, accounts and ports: bounded, whatever comes. */
  get size(): number {
    return this.sources.size + this.#guesses.size + this.#takeovers.size + this.#unread.size
  }

  /** Accounts behind an address, and whether an SBC or proxy brings them. */
  behind(
    record: SourceRecord,
    now: EpochMilliseconds,
  ): { readonly aggregator: boolean; readonly accounts: number } {
    return this.#guesses.behind(record, now)
  }

  /** An endpoint answered the softswitch's own question: whoever is there still speaks. */
  answered(source: Source, time: EpochMilliseconds): void {
    this.#say(this.#takeovers.spoke(source, time))
  }

  /** Forgets what counts against a source, so that lifting its block is not undone by packets of before. */
  pardon(address: Address): void {
    const record = this.sources.find(address)
    if (record) {
      record.window.clear()
      record.overSince = 0
      record.lastVerdictAt = NEVER
      record.lastFloodBlockAt = NEVER
      record.malformedInWindow = 0
      record.malformedSaidAt = NEVER
    }
    this.#guesses.pardon(sourcePrefixOf(address))
  }

  /** The rules may have dropped it: it says how fast its source sends, and no more. */
  #sampled(seen: RegisterSeen): void {
    const { address } = seen.source
    const record = this.sources.seen(address, seen.time)
    if (seen.transport === 'udp') this.lanes.unknown(record, address, seen.time)
    this.#count(record, seen)
  }

  #register(seen: RegisterSeen, sighting: 'whole' | 'logged'): void {
    const record = this.sources.seen(seen.source.address, seen.time)
    record.registers++
    if (seen.answersOwnNonce) record.lastOwnNonce = seen.time
    if (seen.answersChallenge || seen.answersSentNonce) record.lastChallengeAnswered = seen.time
    this.lanes.register(record, seen, sighting)
    // Most sources of a flood are seen once, and the others say the same again and again.
    if (record.registers > 1 && (record.registers < 64 || record.registers % 64 === 0)) remember(record, seen)
    if (sighting === 'whole') this.#count(record, seen)
  }

  /** A REGISTER that cannot be read costs the softswitch as much as one that can. */
  #malformed(seen: MalformedSeen): void {
    if (seen.what === 'observed' || seen.what === 'other') {
      const known = this.sources.find(seen.source.address)
      if (known) known.malformed++
      return
    }
    const record = this.sources.seen(seen.source.address, seen.time)
    record.malformed++
    this.#say(judgeMalformed(record, { at: seen.time, fault: seen.fault }, this.#policy))
    if (seen.what === 'oversized') return
    this.totals.registers++
    record.registers++
    this.lanes.unknown(record, seen.source.address, seen.time)
    this.#count(record, { time: seen.time, account: '' })
  }

  #count(record: SourceRecord, seen: Pick<RegisterSeen, 'time' | 'account' | 'answersUnseen'>): void {
    const at = seen.time
    record.window.add(at)
    if (record.window.total(at) < BUSY) record.phones = undefined
    else {
      record.phones ??= new DistinctCount()
      record.phones.add(seen.account)
    }
    this.#say(judgeFlood(record, at, this.#policy, { answersUnseen: seen.answersUnseen === true }))
  }

  #say(verdict: Verdict | undefined): void {
    if (verdict) this.#options.onVerdict(verdict)
  }

  #exchange(ended: ExchangeEnded): void {
    const record = this.sources.seen(ended.source.address, ended.time)
    if (ended.method !== undefined) {
      this.#guesses.failedElsewhere(ended, record)
      return
    }
    remember(record, { account: ended.account, userAgent: ended.userAgent })
    this.#say(this.#takeovers.spoke(ended.source, ended.time, ended.account))
    // A softswitch that is overloaded gave nobody a chance to register.
    if (record.overSince !== 0 && GAVE_A_CHANCE.has(ended.outcome)) record.answersWhileOver++
    switch (ended.outcome) {
      case 'challenge':
        this.totals.challenges++
        record.challenges++
        this.#say(this.#unread.challenged(ended, record, this.totals))
        // Challenges whose REGISTERs are not seen (they come another way) may well be answered that way too.
        if (record.challenges <= 2 * record.registers) this.lanes.challenged(record, ended)
        return
      case 'success': {
        this.totals.successes++
        record.successes++
        this.#unread.succeeded(ended)
        const { time, grantedExpires } = ended
        const registers = grantedExpires > 0 && !ended.isQuery
        const until = registers ? time + grantedExpires * 1000 + EXPIRY_GRACE : undefined
        // Who guessed until one was right stays a stranger: no lane, no mercy for what he guesses next.
        if (this.#guesses.succeeded(ended, record, until) === 'guess') return
        record.lastSuccess = time
        this.lanes.succeeded(record, ended)
        if (ended.withCredentials && record.vouched) {
          this.#takeovers.learnt(this.bindings.learn(ended), ended)
        }
        if (until !== undefined) {
          this.sources.prove(record, until)
          this.#options.onSuccess?.(record.source, until)
        }
        return
      }
      case 'failure':
      case 'refused': {
        this.totals.failures++
        record.failures++
        if (this.#options.judgedElsewhere?.(ended.serverPort)) return
        const siteLastSuccess = this.sources.lastSuccessOfSite(ended.source.address)
        this.#guesses.failed(ended, record, { siteLastSuccess })
        return
      }
      case 'stale':
      case 'redirect':
      case 'overload':
      case 'silence':
      case 'other':
        return
    }
  }
}
