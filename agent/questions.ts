import type { Milliseconds } from '../registrar/net/time.ts'

const ANSWER_WITHIN: Milliseconds = 2_000

/** Questions to another process, by number, each answered within two seconds or not at all. */
export class Questions<Answer> {
  #next = 1
  readonly #open = new Map<number, (answer: Answer | undefined) => void>()

  /** Asks by `send`; undefined where no answer came in time. */
  ask(send: (id: number) => void): Promise<Answer | undefined> {
    const id = this.#next++
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, undefined), ANSWER_WITHIN)
      this.#open.set(id, (answer) => {
        clearTimeout(timer)
        resolve(answer)
      })
      send(id)
    })
  }

  answer(id: number, answer: Answer | undefined): void {
    const settle = this.#open.get(id)
    this.#open.delete(id)
    settle?.(answer)
  }

  /** Whoever waits learns that nobody answers. */
  giveUp(): void {
    for (const id of [...this.#open.keys()]) this.answer(id, undefined)
  }
}
