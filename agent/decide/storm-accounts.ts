import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** As many as the kernel's smallest sets hold phones; more than that is a storm anyway. */
const MOST = 65_536

/** How many different accounts registered within the last `window`. One account counts once, however often it does. */
export class StormAccounts {
  readonly #window: Milliseconds
  /** The hash of each account's name and when it last registered, the one longest ago first. */
  readonly #last = new Map<number, EpochMilliseconds>()

  constructor(window: Milliseconds) {
    this.#window = window
  }

  registered(account: string, now: EpochMilliseconds): void {
    const name = hash(account)
    if (!this.#last.delete(name) && this.#last.size >= MOST) return
    this.#last.set(name, now)
  }

  count(now: EpochMilliseconds): number {
    for (const [name, at] of this.#last) {
      if (now - at < this.#window) break
      this.#last.delete(name)
    }
    return this.#last.size
  }
}

/** FNV-1a. Two names of one hash count as one account. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value
}
