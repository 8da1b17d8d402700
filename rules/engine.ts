import type { Clock, EpochMilliseconds, Milliseconds } from '../registrar/net/time.ts'
import { checkDesiredState, DesiredStateError } from './check-desired-state.ts'
import { DropTotals, readCounters } from './count.ts'
import type { DesiredState } from './desired-state.ts'
import { type Kernel, KernelError, type ObservedState } from './kernel.ts'
import { Reconciliation } from './reconciliation.ts'
import { removeEverything } from './remove-everything.ts'
import type { KernelCounters, RulesFailure, RulesStatus } from './status.ts'

/** Where the engine says what it does: one short sentence, and plain fields. */
export interface RulesLog {
  info(fields: Readonly<Record<string, unknown>>, sentence: string): void
  warn(fields: Readonly<Record<string, unknown>>, sentence: string): void
}

export interface RulesEngineOptions {
  readonly kernel: Kernel
  readonly clock: Clock
  readonly log?: RulesLog
  /** Called after the status changed. Must not throw. */
  readonly onChange?: () => void
}

const CHECK_EVERY: Milliseconds = 5_000
/** Every so many checks read all elements, however many there are. */
const THOROUGH_EVERY = 12
const FIRST_RETRY: Milliseconds = 250
/** A change may have an attempt made before its time, but not more often than this. */
const EAGER_RETRY: Milliseconds = 2_000
const LAST_RETRY: Milliseconds = 30_000

/**
 * The one writer of the kernel's rules: it holds the kernel to the desired state, whatever happens around it.
 * There may be one engine a kernel. The engine does nothing to the kernel before something is desired.
 */
export class RulesEngine {
  readonly #kernel: Kernel
  readonly #clock: Clock
  readonly #log: RulesLog | undefined
  readonly #onChange: () => void
  readonly #reconciliation: Reconciliation
  readonly #drops = new DropTotals()
  #desired: DesiredState | undefined
  #observation: Promise<unknown> = Promise.resolve()
  #isOff = false
  #isClosed = false
  #running: Promise<void> | undefined
  #checking: Promise<readonly string[]> | undefined
  #removing: Promise<readonly string[]> | undefined
  #checkTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #checks = 0
  #failure: RulesFailure | undefined
  #lastAppliedAt: EpochMilliseconds | null = null
  #repairs: RulesStatus['repairs'] = { count: 0, lastAt: null, last: null }

  constructor(options: RulesEngineOptions) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#log = options.log
    this.#onChange = options.onChange ?? (() => {})
    this.#reconciliation = new Reconciliation({
      kernel: options.kernel,
      clock: options.clock,
      observe: (observeOptions) => this.#observe(observeOptions),
    })
  }

  /**
   * Has the kernel brought to this state at once; an equal one does nothing. Keep the items of the lists (the same
   * objects, in the same order): what did not change costs next to nothing then. After `off()` it is only
   * remembered. Throws `DesiredStateError`, and changes nothing, for a state that must not or cannot reach the
   * kernel, as one with a block of 0.0.0.0/0.
   */
  setDesired(state: DesiredState): void {
    const refusals = checkDesiredState(state, this.#desired)
    if (refusals.length > 0) throw new DesiredStateError(refusals)
    this.#desired = state
    this.#reconciliation.want(state)
    // A world that was broken a moment ago is not asked again at every change.
    const brokenAt = this.#reconciliation.isUnknown ? this.#failure?.at : undefined
    if (brokenAt !== undefined && this.#clock() - brokenAt < EAGER_RETRY) return
    this.#wake()
  }

  /** Resolves when nothing is pending any more, or when an attempt failed: `status()` says which. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  status(): RulesStatus {
    return {
      state: this.#state(),
      backend: this.#kernel.backend,
      lastAppliedAt: this.#lastAppliedAt,
      pendingChanges: this.#isOff ? 0 : this.#reconciliation.pendingChanges,
      lastError: this.#failure ?? null,
      repairs: this.#repairs,
    }
  }

  /** Reads the kernel's counters. Costs a spawn and a pass over all elements: once a second is plenty. Throws `KernelError`. */
  async counters(): Promise<KernelCounters> {
    const observed = await this.#observe({ elements: true })
    this.#drops.observe(observed)
    const dropped = this.#drops.total
    if (!this.#desired) return { blocks: [], suspensions: [], wouldLimit: [], dropped }
    return { ...readCounters(this.#desired, observed, this.#clock()), dropped }
  }

  /**
   * Removes everything of ours and stays off until `on()`. Gives the names removed; none the second time.
   * Throws `KernelError` where something could not be removed; it is off then all the same, and can be asked again.
   */
  off(): Promise<readonly string[]> {
    this.#isOff = true
    this.#stopRetrying()
    this.#removing ??= this.#remove().finally(() => {
      this.#removing = undefined
      this.#onChange()
      // Somebody may have said `on()` meanwhile.
      this.#wake()
    })
    return this.#removing
  }

  /** Applies the remembered desired state again. */
  on(): void {
    this.#isOff = false
    this.#wake()
  }

  /**
   * Looks for what somebody else changed and has it repaired, as happens by itself every 5 s. Gives what was found,
   * in words. Throws `KernelError` where the kernel cannot be read; that is retried as well.
   */
  check(): Promise<readonly string[]> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined
    })
    return this.#checking
  }

  /** Stops observing and ends what was spawned. Rules and sets stay in the kernel. */
  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#checkTimer)
    this.#stopRetrying()
    await this.#checking?.catch(() => {})
    await this.#removing?.catch(() => {})
    await this.settled()
    await this.#kernel.close()
  }

  /** One after the other: an older look that came in after a newer one would seem to be counters that began anew. */
  #observe(options: { readonly elements: boolean }): Promise<ObservedState> {
    const observation = this.#observation
      .catch(() => {})
      .then(async () => {
        const observed = await this.#kernel.observe(options)
        this.#drops.observe(observed)
        return observed
      })
    this.#observation = observation
    return observation
  }

  async #remove(): Promise<readonly string[]> {
    await this.#checking?.catch(() => {})
    await this.settled()
    this.#reconciliation.forget()
    this.#failure = undefined
    const removed = await removeEverything(this.#kernel)
    if (removed.length > 0) this.#log?.info({ removed }, 'All rules and sets were removed.')
    return removed
  }

  #state(): RulesStatus['state'] {
    if (this.#isOff || this.#desired === undefined) return 'off'
    if (this.#failure) return 'failing'
    return this.#reconciliation.pendingChanges > 0 ? 'pending' : 'applied'
  }

  #wake(): void {
    if (this.#running || this.#removing || this.#isOff || this.#isClosed || !this.#reconciliation.hasWork)
      return
    this.#checkTimer ??= setInterval(() => this.check().catch(() => {}), CHECK_EVERY).unref()
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#onChange()
    })
  }

  async #run(): Promise<void> {
    // What is desired within one turn of the event loop goes in one step.
    await Promise.resolve()
    try {
      while (this.#reconciliation.hasWork && !this.#isOff && !this.#isClosed)
        await this.#reconciliation.step()
    } catch (error) {
      this.#reconciliation.forget()
      this.#fail(error)
      return
    }
    const refused = this.#reconciliation.refused[0]
    if (refused) {
      // What else is changed meanwhile does not put off the next attempt.
      const message = `The kernel did not take a line: ${refused.message}.`
      if (!this.#retryTimer) this.#fail(new KernelError('refused', message, refused.line))
    } else if (!this.#isOff && !this.#isClosed) {
      this.#stopRetrying()
      this.#failure = undefined
      this.#lastAppliedAt = this.#clock()
    }
  }

  /** An error that is a bug of ours is retried like the others: the rules in the kernel stay as they are, and it is said. */
  #fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    const line = error instanceof KernelError ? error.line : null
    const attempts = (this.#failure?.attempts ?? 0) + 1
    const delay = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** (attempts - 1))
    const at = this.#clock()
    this.#failure = { at, message, line, attempts, nextAttemptAt: at + delay }
    this.#log?.warn({ line, attempts, retryIn: delay }, `The rules could not be applied: ${message}`)
    this.#stopRetrying()
    if (this.#isOff || this.#isClosed) return
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined
      this.#reconciliation.forget()
      this.#wake()
    }, delay).unref()
  }

  #stopRetrying(): void {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
  }

  async #check(): Promise<readonly string[]> {
    if (this.#isOff || this.#isClosed) return []
    const thorough = this.#checks++ % THOROUGH_EVERY === 0
    try {
      const found = await this.#reconciliation.compare({ thorough })
      if (found.length > 0) {
        const last = found.join('; ').slice(0, 500)
        this.#repairs = { count: this.#repairs.count + 1, lastAt: this.#clock(), last }
        this.#log?.warn({ found: last }, 'Something else changed the rules; they are repaired.')
      }
      // A broken world is asked again when its time has come.
      if (!this.#reconciliation.isUnknown || !this.#retryTimer) this.#wake()
      return found
    } catch (error) {
      if (!this.#failure) {
        this.#reconciliation.forget()
        this.#fail(error)
        this.#onChange()
      }
      throw error
    }
  }
}
