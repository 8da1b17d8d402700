import { hash } from 'node:crypto'
import { BoundedMap } from './bounded-map.ts'
import type { Source } from './net/address.ts'
import type { EpochMilliseconds, Milliseconds } from './net/time.ts'

/** How long a client repeats a request over UDP: 64 times T1 (RFC 3261 section 17.1.2.2). */
const LIFETIME: Milliseconds = 32_000
/** An answer longer than this is not kept: made anew, it says `stale`, and the phone goes on. */
const LONGEST = 4_096

/**
 * Answers to lately answered datagrams, so that a retransmission gets the same answer and is no second attempt (RFC
 * 3261 section 17.2.2). A retransmission is known by its bytes and its source: the transaction's own names are the
 * sender's to choose, and another password under the same branch must not find the first one's answer.
 */
export class AnswerCache {
  readonly #answers: BoundedMap<string, Answer>

  constructor({ capacity }: { capacity: number }) {
    this.#answers = new BoundedMap({ capacity })
  }

  get size(): number {
    return this.#answers.size
  }

  keyOf(datagram: Buffer, source: Source): string {
    return `${hash('sha1', datagram, 'base64')} ${source.port} ${source.address}`
  }

  find(key: string, now: EpochMilliseconds): Buffer | undefined {
    const answer = this.#answers.get(key)
    return answer && answer.until > now ? answer.bytes : undefined
  }

  keep(key: string, bytes: Buffer, now: EpochMilliseconds): void {
    this.#answers.sweep((answer) => answer.until <= now)
    if (bytes.length <= LONGEST) this.#answers.set(key, { bytes, until: now + LIFETIME })
  }
}

interface Answer {
  readonly bytes: Buffer
  readonly until: EpochMilliseconds
}
