import type { RulesEngine, RulesLog } from '../rules/engine.ts'

export interface OtherBackendOptions {
  readonly engine: Pick<RulesEngine, 'status'>
  /** Takes our chains out of the other kind of iptables; gives their names. */
  readonly remove: () => Promise<readonly string[]>
  readonly log: RulesLog
}

/**
 * Our chains in the kind of iptables that this host used before: they would go on judging beside those of now, by what
 * was in force when they were written. They go once, when the engine's own are in place.
 */
export class OtherBackend {
  readonly #o: OtherBackendOptions
  #state: 'to-clear' | 'clearing' | 'refused' | 'clear' = 'to-clear'
  #hasWarned = false

  constructor(options: OtherBackendOptions) {
    this.#o = options
  }

  /** To be called whenever the engine's state changed. Tries once. */
  async clear(): Promise<void> {
    if (this.#state !== 'to-clear' || this.#o.engine.status().state !== 'applied') return
    this.#state = 'clearing'
    try {
      const removed = await this.#o.remove()
      this.#state = 'clear'
      if (removed.length > 0)
        this.#o.log.info({ removed }, 'our chains of the other kind of iptables, of before, were removed')
    } catch (error) {
      this.#state = 'refused'
      const why = error instanceof Error ? error.message : String(error)
      if (!this.#hasWarned)
        this.#o.log.warn(
          {},
          `our chains of the other kind of iptables, if there are any, cannot be removed: ${why}`,
        )
      this.#hasWarned = true
    }
  }

  /** To be called now and then: what was refused is tried again. */
  async retry(): Promise<void> {
    if (this.#state === 'refused') this.#state = 'to-clear'
    await this.clear()
  }
}
