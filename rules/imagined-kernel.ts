import type { Family } from '../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../registrar/net/time.ts'
import { ImaginedSets } from './imagined-sets.ts'
import { ImaginedTable } from './imagined-table.ts'
import { type Kernel, KernelError, type ObservedState, type RefusedLine } from './kernel.ts'
import type { SetPurpose } from './names.ts'

/** One thing that would have been done, readable: `add rf-sip4 198.51.100.7 timeout 3600`. */
export interface ImaginedAction {
  readonly at: EpochMilliseconds
  readonly text: string
}

const MAX_ACTIONS = 1_000

/**
 * A kernel in memory, for `mode: observe` and for tests. It reads the same text as the real one and refuses what
 * that refuses: dangling references in both directions, a /0, timeouts that are too long, unknown chains and sets.
 */
export class ImaginedKernel implements Kernel {
  readonly backend = 'imagined'
  /** Older actions that were let go, since only so many are kept. */
  forgottenActions = 0
  readonly #clock: Clock
  readonly #maxActions: number
  readonly #actions: ImaginedAction[] = []
  readonly #sets: ImaginedSets
  readonly #tables: { readonly 4: ImaginedTable; readonly 6: ImaginedTable }

  constructor(options: { readonly clock: Clock; readonly maxActions?: number }) {
    this.#clock = options.clock
    this.#maxActions = options.maxActions ?? MAX_ACTIONS
    this.#sets = new ImaginedSets(options.clock)
    const hasSet = (name: string) => this.#sets.has(name)
    this.#tables = { 4: new ImaginedTable(hasSet), 6: new ImaginedTable(hasSet) }
  }

  /** What would have been done lately (the last 1,000 things), oldest first. */
  actions(): readonly ImaginedAction[] {
    return [...this.#actions]
  }

  async observe({ elements }: { readonly elements: readonly SetPurpose[] }): Promise<ObservedState> {
    return {
      chains: { 4: this.#tables[4].observe(), 6: this.#tables[6].observe() },
      ...this.#sets.observe(elements),
    }
  }

  async usersOfOurs(family: Family): Promise<readonly string[]> {
    return this.#tables[family]
      .usersOfOurs()
      .map((rule) => `${family === 4 ? 'iptables' : 'ip6tables'} -t raw ${rule}`)
  }

  /** Nothing passes its rules, so nobody reads of it. */
  async isLogRead(): Promise<boolean> {
    return false
  }

  async applySets(commands: readonly string[]): Promise<readonly RefusedLine[]> {
    const refused: RefusedLine[] = []
    for (const line of commands) {
      const isHeld = (name: string) => this.#tables[4].mentionsSet(name) || this.#tables[6].mentionsSet(name)
      const message = this.#sets.run(line, isHeld)
      if (message === undefined) this.#record(line.replace(/ -exist$/, ''))
      else refused.push({ line, message })
    }
    return refused
  }

  async applyChains(family: Family, text: string): Promise<void> {
    const refusal = this.#tables[family].restore(text)
    if (refusal) {
      throw new KernelError(
        'refused',
        `iptables-restore refused what it was given: ${refusal.message}`,
        refusal.line,
      )
    }
    for (const line of text.split('\n')) {
      if (line.startsWith('-')) this.#record(`IPv${family}: ${line}`)
    }
  }

  async close(): Promise<void> {}

  #record(text: string): void {
    this.#actions.push({ at: this.#clock(), text })
    if (this.#actions.length > this.#maxActions) {
      this.#actions.shift()
      this.forgottenActions++
    }
  }
}
