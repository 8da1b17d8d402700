import { type Address, type Prefix, type Source, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type {
  ExchangeEnded,
  ExchangeOutcome,
  MalformedSeen,
  Observation,
  RegisterSeen,
} from '../observe/observation.ts'
import { DistinctCount } from './distinct-count.ts'
import { FailureLadder } from './failures.ts'
import { judgeFlood } from './flood.ts'
import type { LaneEvidence } from './lane-evidence.ts'
import { EXPIRY_GRACE, LaneWitness, type LaneWitnessOptions } from './lane-witness.ts'
import { PrefixSet } from './prefix-set.ts'
import { NEVER, remember, type SourceRecord, SourceTable } from './source-table.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

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
  readonly lanes: LaneWitness
  readonly #ladder: FailureLadder
  readonly #policy: DetectionPolicy
  readonly #options: DetectorOptions

  constructor(options: DetectorOptions) {
    this.#options = options
    this.#policy = options.policy
    this.sources = new SourceTable({
      capacity: options.maxSources ?? 100_000,
      windowSeconds: options.policy.flood.within,
    })
    this.#ladder = new FailureLadder(options.policy)
    this.lanes = new LaneWitness(options.lanes ?? NO_LANES, options.onLane ?? (() => {}))
  }

  observe(observation: Observation): void {
    switch (observation.kind) {
      case 'register':
        this.totals.sipMessages++
        this.totals.registers++
        this.#register(observation)
        return
      case 'exchange':
        this.#exchange(observation)
        return
      case 'sip':
        this.totals.sipMessages++
        return
      case 'malformed':
        this.totals.malformed++
        if (observation.what !== 'observed') this.totals.sipMessages++
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

  /** Forgets what counts against a source, so that lifting its block is not undone by packets of before. */
  pardon(address: Address): void {
    const record = this.sources.find(address)
    if (record) {
      record.window.clear()
      record.overSince = 0
      record.lastVerdictAt = NEVER
      record.lastFloodBlockAt = NEVER
    }
    this.#ladder.pardon(sourcePrefixOf(address))
  }

  #register(seen: RegisterSeen): void {
    const record = this.sources.seen(seen.source.address, seen.time)
    record.registers++
    if (seen.answersOwnNonce) record.lastOwnNonce = seen.time
    if (seen.answersChallenge || seen.answersSentNonce) record.lastChallengeAnswered = seen.time
    this.lanes.register(record, seen)
    // Most sources of a flood are seen once, and the others say the same again and again.
    if (record.registers > 1 && (record.registers < 64 || record.registers % 64 === 0)) remember(record, seen)
    this.#count(record, seen)
  }

  /** A REGISTER that cannot be read costs the softswitch as much as one that can. */
  #malformed(seen: MalformedSeen): void {
    if (seen.what !== 'register') {
      const known = this.sources.find(seen.source.address)
      if (known) known.malformed++
      return
    }
    this.totals.registers++
    const record = this.sources.seen(seen.source.address, seen.time)
    record.malformed++
    record.registers++
    this.lanes.unknown(record, seen.source.address, seen.time)
    this.#count(record, { time: seen.time, account: '' })
  }

  #count(record: SourceRecord, seen: { readonly time: EpochMilliseconds; readonly account: string }): void {
    const at = seen.time
    record.window.add(at)
    if (record.window.total(at) < BUSY) record.phones = undefined
    else {
      record.phones ??= new DistinctCount()
      record.phones.add(seen.account)
    }
    const verdict = judgeFlood(record, at, this.#policy)
    if (verdict) this.#options.onVerdict(verdict)
  }

  #exchange(ended: ExchangeEnded): void {
    const record = this.sources.seen(ended.source.address, ended.time)
    remember(record, { account: ended.account, userAgent: '' })
    // A softswitch that is overloaded gave nobody a chance to register.
    if (record.overSince !== 0 && GAVE_A_CHANCE.has(ended.outcome)) record.answersWhileOver++
    switch (ended.outcome) {
      case 'challenge':
        this.totals.challenges++
        record.challenges++
        this.lanes.challenged(record, ended)
        return
      case 'success': {
        this.totals.successes++
        record.successes++
        record.lastSuccess = ended.time
        this.lanes.succeeded(record, ended)
        const { time, grantedExpires } = ended
        const until = grantedExpires > 0 ? time + grantedExpires * 1000 + EXPIRY_GRACE : undefined
        if (until !== undefined) {
          this.sources.prove(record, until)
          this.#options.onSuccess?.(record.source, until)
        }
        this.#ladder.succeeded(ended, until)
        return
      }
      case 'failure':
      case 'refused': {
        this.totals.failures++
        record.failures++
        if (this.#options.judgedElsewhere?.(ended.serverPort)) return
        const liveBinding = record.provenUntil > ended.time
        const verdict = this.#ladder.failed(ended, { liveBinding })
        if (verdict) this.#options.onVerdict(verdict)
        return
      }
      case 'stale':
      case 'redirect':
      case 'overload':
      case 'other':
        return
    }
  }
}
