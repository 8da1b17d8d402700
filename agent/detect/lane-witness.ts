import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded, RegisterSeen } from '../observe/observation.ts'
import { RETURNING_FOR } from './flood.ts'
import type { LaneEvidence } from './lane-evidence.ts'
import type { PrefixSet } from './prefix-set.ts'
import { NEVER, type SourceRecord } from './source-table.ts'

/** Phones refresh late; a registration counts as live a little beyond what was granted. */
export const EXPIRY_GRACE: Milliseconds = 60_000
/** So many challenges, the first of them so long ago, and no answer: it ignores them. Others may be on their way. */
const CHALLENGES_IGNORED = 5
const IGNORED_FOR: Milliseconds = 10_000
/** Challenges with a longer pause between them are not of one row. */
const LONGEST_PAUSE: Milliseconds = 180_000
const LONGEST_NAME = 128

export interface LaneWitnessOptions {
  /** REGISTERs a second of one unknown source that the kernel lets through. */
  readonly unknownPerSecond: number
  /** Sources that are in a lane by the configuration: the allowlist, gateways. */
  readonly trusted: PrefixSet
}

/** Says what puts a source in a lane, and counts the REGISTERs of sources that are in none. */
export class LaneWitness {
  /** REGISTERs of unknown sources so far, each source counted up to its own limit. */
  unknownRegisters = 0
  #standsFor = 1
  #options: LaneWitnessOptions
  readonly #onEvidence: (evidence: LaneEvidence) => void

  constructor(options: LaneWitnessOptions, onEvidence: (evidence: LaneEvidence) => void) {
    this.#options = options
    this.#onEvidence = onEvidence
  }

  configure(options: LaneWitnessOptions): void {
    this.#options = options
  }

  /** `logged`: whether its source is unknown is counted elsewhere. */
  register(record: SourceRecord, seen: RegisterSeen, sighting: 'whole' | 'logged' = 'whole'): void {
    const { transport, time: at, source } = seen
    if (seen.answersChallenge || seen.answersSentNonce) record.unanswered = 0
    if (transport !== 'udp') return
    if (seen.answersOwnNonce || seen.answersSentNonce) {
      this.#onEvidence({ kind: 'answered', at, source, own: seen.answersOwnNonce })
    } else if (sighting === 'whole') this.unknown(record, source.address, at)
  }

  /**
   * What the kernel takes for a REGISTER of an unknown source. What is over the source's own limit does not count: it
   * takes nothing from others.
   */
  unknown(record: SourceRecord, address: Address, at: EpochMilliseconds): void {
    if (this.#standsFor > 1) {
      this.#unknownOfSample(record, address, at)
      return
    }
    if (at - record.lastSuccess < RETURNING_FOR) return
    const second = Math.floor(at / 1_000)
    if (record.unknownSecond !== second) {
      record.unknownSecond = second
      record.unknownInSecond = 0
    }
    if (record.unknownInSecond >= this.#options.unknownPerSecond || this.#options.trusted.holds(address))
      return
    record.unknownInSecond++
    this.unknownRegisters++
  }

  /** From now on each of them stands for so many; 1: for itself. */
  sampleOf(packets: number): void {
    this.#standsFor = Math.max(1, packets)
  }

  /**
   * Of a source that sends faster than its own limit only so much counts. How fast it sends the sample tells better
   * the longer it lasts; from a source that is seen for the first time little of what it stands for counts. Nobody is
   * punished by this figure: it decides between the limits of peace and the strict ones.
   */
  #unknownOfSample(record: SourceRecord, address: Address, at: EpochMilliseconds): void {
    if (at - record.lastSuccess < RETURNING_FOR || this.#options.trusted.holds(address)) return
    const seen = Math.max(1, record.window.total(at))
    const allowed = (this.#options.unknownPerSecond * record.window.seconds) / seen
    this.unknownRegisters += Math.min(this.#standsFor, allowed)
  }

  succeeded(record: SourceRecord, ended: ExchangeEnded): void {
    record.unanswered = 0
    // Whoever is let in without a password has proven nothing: anybody can write any address.
    if (!ended.withCredentials) return
    // The same goes for a softswitch that lets in with any credentials. After a restart a phone may use a nonce on that
    // nobody here saw being sent: one that was known before keeps its lane, another waits for its next challenge.
    if (ended.answersItsChallenge) record.vouched = true
    // Whoever only asks is registered no longer than before, and no shorter.
    if (!record.vouched || ended.isQuery) return
    const { source, transport, time: at, grantedExpires } = ended
    const account = ended.account.slice(0, LONGEST_NAME)
    if (grantedExpires === 0) {
      this.#onEvidence({ kind: 'unregistered', at, account, source, transport })
      return
    }
    const until = at + grantedExpires * 1_000 + EXPIRY_GRACE
    this.#onEvidence({ kind: 'registered', at, account, source, transport, until })
  }

  challenged(record: SourceRecord, { transport, time: at }: ExchangeEnded): void {
    if (transport !== 'udp' || record.lastSuccess !== NEVER || record.lastChallengeAnswered !== NEVER) return
    if (record.unanswered === 0 || at - record.lastUnanswered > LONGEST_PAUSE) {
      record.unanswered = 0
      record.unansweredSince = at
    }
    record.unanswered++
    record.lastUnanswered = at
    if (record.unanswered >= CHALLENGES_IGNORED && at - record.unansweredSince >= IGNORED_FOR)
      this.#onEvidence({ kind: 'ignoring', at, source: record.source })
  }
}
