import { BoundedMap } from '../../registrar/bounded-map.ts'
import { showSource, splitPrefix } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'
import { RETURNING_FOR } from './flood.ts'
import { NEVER, type SourceRecord } from './source-table.ts'
import { DEFAULT_MALFORMED, type DetectionPolicy, type Verdict } from './verdict.ts'

const MOST_SOURCES = 4_096
/** So many challenges in a row to nothing that was seen, none longer after the other, and no success between them. */
const UNSEEN = 20
const LONGEST_PAUSE: Milliseconds = 120_000
const SAID_AGAIN: Milliseconds = 600_000

interface Unread {
  count: number
  last: EpochMilliseconds
  saidAt: EpochMilliseconds
}

/**
 * Challenges to REGISTERs that nobody saw. The softswitch put something together that the sensor could not: fragments,
 * segments and checksums have odd corners, and who finds one guesses unseen. What the softswitch sends nobody can hide.
 *
 * Where requests do not pass here at all the challenges of everybody are such; then it says nothing.
 */
export class UnreadRequests {
  readonly #sources: BoundedMap<string, Unread>
  #policy: DetectionPolicy

  constructor(policy: DetectionPolicy, { capacity = Number.POSITIVE_INFINITY }: { capacity?: number } = {}) {
    this.#policy = policy
    this.#sources = new BoundedMap({ capacity: Math.min(capacity, MOST_SOURCES) })
  }

  configure(policy: DetectionPolicy): void {
    this.#policy = policy
  }

  get size(): number {
    return this.#sources.size
  }

  /** A success: what came before it was a phone's. */
  succeeded(ended: ExchangeEnded): void {
    if (this.#sources.size > 0) this.#sources.delete(keyOf(ended))
  }

  /** A challenge. `totals`: REGISTERs and challenges of everybody. */
  challenged(
    ended: ExchangeEnded,
    record: SourceRecord,
    totals: { readonly registers: number; readonly challenges: number },
  ): Verdict | undefined {
    // Nearly all of a flood's challenges end here.
    if (record.challenges <= record.registers) return undefined
    // Of the others more than half at least has to be seen, or it is the path and not this source.
    const others = {
      registers: totals.registers - record.registers,
      challenges: totals.challenges - record.challenges,
    }
    if (others.registers === 0 || others.challenges > 2 * others.registers) return undefined
    const { time } = ended
    const key = keyOf(ended)
    const known = this.#sources.get(key)
    const unread =
      known && time - known.last <= LONGEST_PAUSE ? known : { count: 0, last: time, saidAt: NEVER }
    unread.count++
    unread.last = time
    this.#sources.set(key, unread)
    if (unread.count < UNSEEN || time - unread.saidAt < SAID_AGAIN) return undefined
    unread.saidAt = time
    return this.#verdict(ended, record, unread.count)
  }

  #verdict(ended: ExchangeEnded, record: SourceRecord, count: number): Verdict {
    const { time, source, transport } = ended
    const reason = `${count} challenges to REGISTERs that were not seen to come`
    const evidence = { challenges: record.challenges, registers: record.registers, unseen: count }
    const base = { time, name: 'malformed', grade: 'packet', evidence } as const
    if (transport === 'tcp') {
      // The softswitch would not talk to anybody who is not there.
      return {
        ...base,
        address: source.address,
        port: source.port,
        action: 'block',
        scope: 'sip',
        grade: 'path',
        reason: `${reason} over this connection; it is cut off`,
        duration: this.#policy.registerSuspendTime,
      }
    }
    const isReturning = record.provenUntil > time || time - record.lastSuccess < RETURNING_FOR
    return {
      ...base,
      address: splitPrefix(record.source).address,
      port: null,
      action: isReturning ? 'alert' : 'block',
      scope: 'register',
      reason: isReturning
        ? `${reason}, from an address where somebody registered within the last days: look what it sends`
        : reason,
      duration: (this.#policy.malformed ?? DEFAULT_MALFORMED).for,
    }
  }
}

/** Over TCP a connection, over UDP the source: a guesser may change his port for each try. */
function keyOf({ transport, source }: ExchangeEnded): string {
  return transport === 'tcp' ? `tcp ${showSource(source)}` : source.address
}
