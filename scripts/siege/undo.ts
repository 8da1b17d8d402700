const EXIT_INTERRUPTED = 130

/** What has to be taken back, last first, whether a program comes to its end or is broken off by Ctrl-C. */
export class Undo {
  readonly #steps: (() => Promise<void>)[] = []
  #undoing: Promise<void> | undefined
  isInterrupted = false

  /** `says` is for who broke it off. */
  constructor(says: string) {
    const interrupt = () => {
      // A second Ctrl-C must not leave half of it behind.
      if (this.isInterrupted) return
      this.isInterrupted = true
      console.error(says)
      void this.all().finally(() => process.exit(EXIT_INTERRUPTED))
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt)
    process.on('uncaughtException', (error) => {
      console.error(error)
      interrupt()
    })
  }

  later(step: () => Promise<void>): void {
    this.#steps.push(step)
  }

  /** Once; whoever calls it again waits for the same. A step that fails does not keep the others. */
  all(): Promise<void> {
    this.#undoing ??= this.#all()
    return this.#undoing
  }

  async #all(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      await step().catch((error) => console.error(error instanceof Error ? error.message : error))
    }
  }
}
