import { Buffer } from 'node:buffer'
import type { Milliseconds } from '../../registrar/net/time.ts'
import type { Frame } from './frame.ts'

/** Captures hand frames on in blocks of 10 ms; a busy machine takes a little longer. */
const HOLD: Milliseconds = 30
const RELEASE_EVERY: Milliseconds = 10
/** What is held at once: beyond, the oldest go on before their time. */
const MOST_FRAMES = 4_096
const MOST_BYTES = 8 * 1024 * 1024

/**
 * Puts the frames of several captures back into the order in which they passed: the answer to a request may be handed
 * over before the request is, where each was captured on a device of its own. Frames are held for some 30 ms.
 */
export class FrameMerge {
  /** Frames that went on before their time, since too many were held. */
  releasedEarly = 0
  readonly #onFrame: (frame: Frame) => void
  readonly #now: () => Milliseconds
  #held: { readonly frame: Frame; readonly since: Milliseconds }[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: { readonly onFrame: (frame: Frame) => void; readonly now?: () => Milliseconds }) {
    this.#onFrame = options.onFrame
    this.#now = options.now ?? (() => performance.now())
  }

  /** Takes a frame, whose bytes need to be valid only until this returns. */
  take(frame: Frame): void {
    this.#held.push({ frame: { ...frame, bytes: Buffer.from(frame.bytes) }, since: this.#now() })
    this.#bytes += frame.bytes.length
    if (this.#held.length > MOST_FRAMES || this.#bytes > MOST_BYTES) {
      this.releasedEarly += this.#release(Math.ceil(this.#held.length / 2))
    }
    this.#timer ??= setTimeout(() => this.#tick(), RELEASE_EVERY)
  }

  /** Hands on all that is held. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#release(this.#held.length)
  }

  #tick(): void {
    this.#timer = undefined
    const ripe = this.#now() - HOLD
    let until = Number.NEGATIVE_INFINITY
    for (const { frame, since } of this.#held) if (since <= ripe) until = Math.max(until, frame.time)
    this.#releaseUntil(until)
    if (this.#held.length > 0) this.#timer = setTimeout(() => this.#tick(), RELEASE_EVERY)
  }

  /** Also what was taken later but passed before: nothing that passed earlier still can be missing. */
  #releaseUntil(time: number): void {
    this.#sort()
    let amount = 0
    while (amount < this.#held.length && this.#held[amount]!.frame.time <= time) amount++
    this.#handOn(amount)
  }

  #release(amount: number): number {
    this.#sort()
    return this.#handOn(amount)
  }

  #handOn(amount: number): number {
    const frames = this.#held.slice(0, amount)
    this.#held = this.#held.slice(amount)
    for (const { frame } of frames) {
      this.#bytes -= frame.bytes.length
      this.#onFrame(frame)
    }
    return frames.length
  }

  /** Frames of one time stay in the order of their arrival. */
  #sort(): void {
    this.#held.sort((a, b) => a.frame.time - b.frame.time)
  }
}
