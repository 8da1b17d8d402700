import { BoundedMap } from '../../registrar/bounded-map.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Transaction } from './transaction.ts'

/** Attempts under one key that are told apart; of more only the number is known. */
const MOST_ATTEMPTS = 16

/**
 * What is waited for under one key. Nearly always that is one request. A guesser who sends other credentials under the
 * same Call-ID, CSeq and branch, one request behind the other over TCP, is answered for each of them.
 */
class Waiting {
  readonly attempts: Transaction[] = []
  /** More attempts than are kept, that wait for their answers as well. */
  unkept = 0

  /** The oldest that has no answer yet. */
  get open(): Transaction | undefined {
    return this.attempts.find(({ ended }) => !ended)
  }

  get newest(): Transaction {
    return this.attempts.at(-1)!
  }
}

/** Requests that wait for an answer, and those that had one lately, so that what is sent again counts once. */
export class Transactions {
  readonly #waiting: BoundedMap<string, Waiting>
  /** Answers to requests that were not kept, which in a flood are nearly all: when each came, and no more. */
  readonly #answered: BoundedMap<string, EpochMilliseconds>

  constructor({ capacity }: { readonly capacity: number }) {
    this.#waiting = new BoundedMap({ capacity })
    this.#answered = new BoundedMap({ capacity })
  }

  get size(): number {
    return this.#waiting.size + this.#answered.size
  }

  get letGo(): number {
    return this.#waiting.letGo + this.#answered.letGo
  }

  has(key: string): boolean {
    return this.#waiting.has(key)
  }

  /** Whether this very request was seen under the key; `attempt` tells its credentials from others. */
  hasAttempt(key: string, attempt: string): boolean {
    return this.#waiting.get(key)?.attempts.some((known) => known.attempt === attempt) ?? false
  }

  /** `alias`: another key that its answer may come under. */
  begin(key: string, transaction: Transaction, alias?: string): void {
    const waiting = this.#waiting.get(key) ?? new Waiting()
    if (waiting.attempts.length < MOST_ATTEMPTS) waiting.attempts.push(transaction)
    else waiting.unkept++
    this.#waiting.set(key, waiting)
    if (alias !== undefined && alias !== key) this.#waiting.set(alias, waiting)
  }

  /**
   * The request that a final answer is of, oldest first. `answered`: each of them had one, so this one was sent again.
   * `undefined`: no request was seen.
   */
  answer(key: string): Transaction | 'answered' | undefined {
    const waiting = this.#waiting.get(key)
    if (!waiting) return this.#answered.has(key) ? 'answered' : undefined
    const open = waiting.open
    if (open) return open
    if (waiting.unkept === 0) return 'answered'
    waiting.unkept--
    return { ...waiting.newest, ended: false }
  }

  /** A final answer came to a request that is not kept. */
  noteAnswer(key: string, at: EpochMilliseconds): void {
    this.#answered.set(key, at)
  }

  /** Lets what began longer ago than `lifetime` go, and gives of it what had no answer. */
  takeOver(now: EpochMilliseconds, lifetime: Milliseconds): readonly Transaction[] {
    this.#answered.sweep((at) => now - at > lifetime)
    const silent: Transaction[] = []
    this.#waiting.sweep(({ attempts, newest }) => {
      if (now - newest.startedAt <= lifetime) return false
      for (const attempt of attempts) {
        if (attempt.ended) continue
        // It may stand here under another key as well.
        attempt.ended = true
        silent.push(attempt)
      }
      return true
    })
    return silent
  }
}
