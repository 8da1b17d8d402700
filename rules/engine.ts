import type { Clock, EpochMilliseconds, Milliseconds } from '../registrar/net/time.ts'
import { checkDesiredState, DesiredStateError } from './check-desired-state.ts'
import { CONTEST, Contest, type ContestOptions } from './contest.ts'
import { readCounters } from './count.ts'
import type { DesiredState } from './desired-state.ts'
import { DropTotals } from './drop-totals.ts'
import { describeFull } from './full.ts'
import { type Kernel, KernelError, type ObservedState } from './kernel.ts'
import { COUNTED_SETS, type SetPurpose } from './names.ts'
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
  /** When repairs become an argument with another program. */
  readonly contest?: ContestOptions
}

/** What somebody else changed is put right within 5 s, the repair included. */
const CHECK_EVERY: Milliseconds = 4_000
/** How often it is asked whether the sensor has begun to read the kernel's log, or has ended: a file of one line. */
const LOOK_AT_LOG_EVERY: Milliseconds = 200
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
  readonly #contest: Contest
  readonly #drops = new DropTotals()
  /** What full tables had dropped at the last look. */
  #fullTables: ReadonlyMap<string, number> = new Map()
  /** First packets that were dropped unnoted up to then. */
  #unnoted: ReadonlyMap<string, number> = new Map()
  #setSizes: ReadonlyMap<string, number> = new Map()
  #full: readonly string[] = []
  #desired: DesiredState | undefined
  #observation: Promise<unknown> = Promise.resolve()
  #isOff = false
  #isClosed = false
  #running: Promise<void> | undefined
  #steps = 0
  #waiting: { readonly since: number; readonly resolve: () => void }[] = []
  #checking: Promise<readonly string[]> | undefined
  #removing: Promise<readonly string[]> | undefined
  #checkTimer: NodeJS.Timeout | undefined
  #retryTimer: NodeJS.Timeout | undefined
  #laterTimer: NodeJS.Timeout | undefined
  #logTimer: NodeJS.Timeout | undefined
  #isLogRead = false
  #checks = 0
  #failure: RulesFailure | undefined
  #lastAppliedAt: EpochMilliseconds | null = null

  constructor(options: RulesEngineOptions) {
    this.#kernel = options.kernel
    this.#clock = options.clock
    this.#log = options.log
    this.#onChange = options.onChange ?? (() => {})
    this.#contest = new Contest(options.clock, options.contest ?? CONTEST)
    this.#reconciliation = new Reconciliation({
      kernel: options.kernel,
      clock: options.clock,
      observe: (observeOptions) => this.#observe(observeOptions),
      mayRepair: (found) => this.#mayRepair(found),
    })
  }

  /**
   * Has the kernel brought to this state at once; an equal one does nothing. Keep the items of the lists (the same
   * objects, in the same order): what did not change costs next to nothing then. A limit that changes decides a second
   * later, when it has counted beside the old one; until then the state is `pending`. After `off()` all is only
   * remembered. Throws `DesiredStateError`, and changes nothing, for a state that must not or cannot reach the
   * kernel, as one with a block of 0.0.0.0/0.
   */
  setDesired(state: DesiredState): void {
    const refusals = checkDesiredState(state, this.#desired)
    if (refusals.length > 0) throw new DesiredStateError(refusals)
    this.#desired = state
    this.#watchLog()
    const { changesChains } = this.#want(state)
    if (changesChains) this.#tryNow()
    // A world that was broken a moment ago is not asked again at every change.
    const brokenAt = this.#reconciliation.isUnknown ? this.#failure?.at : undefined
    if (brokenAt !== undefined && this.#clock() - brokenAt < EAGER_RETRY) return
    this.#wake()
  }

  /**
   * Resolves when nothing that was to be done is left for now: all is applied, a new limit is still counting beside the
   * old one, or an attempt failed. `status()` says which.
   */
  async settled(): Promise<void> {
    if (!this.#running) return
    await new Promise<void>((resolve) => this.#waiting.push({ since: this.#steps, resolve }))
  }

  status(): RulesStatus {
    return {
      state: this.#state(),
      backend: this.#kernel.backend,
      lastAppliedAt: this.#lastAppliedAt,
      pendingChanges: this.#isOff ? 0 : this.#reconciliation.pendingChanges,
      lastError: this.#failure ?? null,
      full: this.#isOff ? [] : this.#full,
      repairs: this.#contest.repairs,
    }
  }

  /**
   * Reads the kernel's counters. Costs some spawns and a pass over all blocks and suspensions: once a second is plenty.
   * Throws `KernelError`.
   */
  async counters(): Promise<KernelCounters> {
    const observed = await this.#observe({ elements: COUNTED_SETS })
    const { dropped, judged } = this.#drops
    if (!this.#desired) return { blocks: [], suspensions: [], wouldLimit: [], judged, dropped }
    return { ...readCounters(this.#desired, observed, this.#clock()), judged, dropped }
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

  /** Applies the remembered desired state again. An argument with another program is over: the next one begins anew. */
  on(): void {
    this.#isOff = false
    if (this.#contest.isOn) this.#reconciliation.forget()
    this.#contest.startAnew()
    this.#wake()
  }

  /**
   * Looks for what somebody else changed and has it repaired, as happens by itself every 4 s. Gives what was found,
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
    clearInterval(this.#logTimer)
    clearTimeout(this.#laterTimer)
    this.#stopRetrying()
    await this.#checking?.catch(() => {})
    await this.#removing?.catch(() => {})
    await this.settled()
    await this.#kernel.close()
  }

  #want(state: DesiredState): { readonly changesChains: boolean } {
    return this.#reconciliation.want(this.#isLogRead ? { ...state, isLogRead: true } : state)
  }

  #watchLog(): void {
    if (this.#desired?.traffic.logGroup !== undefined) {
      this.#logTimer ??= setInterval(() => this.#lookAtLog(), LOOK_AT_LOG_EVERY).unref()
      return
    }
    clearInterval(this.#logTimer)
    this.#logTimer = undefined
    this.#isLogRead = false
  }

  async #lookAtLog(): Promise<void> {
    const group = this.#desired?.traffic.logGroup
    if (group === undefined || this.#isOff || this.#isClosed) return
    const isRead = await this.#kernel.isLogRead(group)
    // Something else may have been desired meanwhile.
    if (isRead === this.#isLogRead || this.#desired?.traffic.logGroup !== group) return
    this.#isLogRead = isRead
    this.#want(this.#desired)
    if (!this.#reconciliation.isUnknown || !this.#retryTimer) this.#wake()
  }

  /** One after the other: an older look that came in after a newer one would seem to be counters that began anew. */
  #observe(options: { readonly elements: readonly SetPurpose[] }): Promise<ObservedState> {
    const observation = this.#observation
      .catch(() => {})
      .then(async () => {
        const observed = await this.#kernel.observe(options)
        this.#drops.observe(observed)
        this.#setSizes = new Map([...observed.sets].map(([name, { size }]) => [name, size]))
        return observed
      })
    this.#observation = observation
    return observation
  }

  async #remove(): Promise<readonly string[]> {
    await this.#checking?.catch(() => {})
    await this.settled()
    clearTimeout(this.#laterTimer)
    this.#failure = undefined
    try {
      return await this.#removeAll()
    } finally {
      this.#reconciliation.wereRemoved()
    }
  }

  async #removeAll(): Promise<readonly string[]> {
    const removed = await removeEverything(this.#kernel)
    if (removed.length > 0) this.#log?.info({ removed }, 'All rules and sets were removed.')
    return removed
  }

  #state(): RulesStatus['state'] {
    if (this.#isOff || this.#desired === undefined) return 'off'
    if (this.#contest.isOn) return 'contested'
    if (this.#failure) return 'failing'
    return this.#reconciliation.pendingChanges > 0 ? 'pending' : 'applied'
  }

  #wake(): void {
    if (this.#running || this.#removing || this.#isOff || this.#isClosed || !this.#reconciliation.hasWork)
      return
    this.#checkTimer ??= setInterval(() => this.check().catch(() => {}), CHECK_EVERY).unref()
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      this.#release(this.#steps)
      this.#onChange()
      // Something may have been desired when the last step was done and this was not yet said.
      if (!this.#reconciliation.isUnknown || !this.#retryTimer) this.#wake()
    })
  }

  async #run(): Promise<void> {
    // What is desired within one turn of the event loop goes in one step.
    await Promise.resolve()
    try {
      while (this.#reconciliation.hasWork && !this.#isOff && !this.#isClosed) {
        await this.#reconciliation.step()
        this.#steps++
        this.#noteProblem()
        // Where decisions come in faster than all is done, those of before the last step are written all the same.
        if (this.#reconciliation.hasOnlyUrgentWork) this.#release(this.#steps - 2)
      }
    } catch (error) {
      this.#reconciliation.forget()
      this.#fail(error)
      return
    }
    if (!this.#noteProblem() && !this.#isOff && !this.#isClosed) {
      this.#stopRetrying()
      this.#failure = undefined
      this.#lastAppliedAt = this.#clock()
    }
    this.#comeBack()
  }

  /** Lets those go on who have waited since this step or longer. */
  #release(step: number): void {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ since }) => since > step)
    for (const { since, resolve } of waiting) if (since <= step) resolve()
  }

  /** Gives whether something was tried that the kernel did not take. */
  #noteProblem(): boolean {
    const { problem } = this.#reconciliation
    // What else is changed meanwhile does not put off the next attempt.
    if (problem && !this.#retryTimer) this.#fail(problem)
    return problem !== undefined
  }

  /** New limits decide when they have counted for a while. */
  #comeBack(): void {
    clearTimeout(this.#laterTimer)
    const at = this.#reconciliation.nextWorkAt
    if (at === null || this.#isOff || this.#isClosed) return
    this.#laterTimer = setTimeout(() => this.#wake(), Math.max(0, at - this.#clock())).unref()
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
      this.#reconciliation.retry()
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
      if (found?.length === 0 && this.#contest.sawNothing()) {
        this.#log?.info({}, 'Nothing else changes the rules any more.')
        this.#onChange()
      }
      this.#lookForFull()
      const wasFailing = this.#failure !== undefined
      if (this.#noteProblem() && !wasFailing) this.#onChange()
      // A broken world is asked again when its time has come.
      if (!this.#reconciliation.isUnknown || !this.#retryTimer) this.#wake()
      return found ?? []
    } catch (error) {
      if (!this.#failure) {
        this.#reconciliation.forget()
        this.#fail(error)
        this.#onChange()
      }
      throw error
    }
  }

  #mayRepair(found: readonly string[]): boolean {
    const wasContested = this.#contest.isOn
    const last = found.join('; ').slice(0, 500)
    const may = this.#contest.mayRepair(last)
    if (may) this.#log?.warn({ found: last }, 'Something else changed the rules; they are repaired.')
    else if (!wasContested) {
      const { contestedUntil } = this.#contest.repairs
      const fields = { found: last, nextAttemptAt: contestedUntil }
      this.#log?.warn(fields, 'Something else keeps changing the rules; they are repaired but seldom now.')
    }
    this.#onChange()
    return may
  }

  /** An argument with another program is taken up again at once. */
  #tryNow(): void {
    if (!this.#contest.isOn) return
    this.#contest.tryNow()
    this.#reconciliation.forget()
  }

  #lookForFull(): void {
    const before = this.#full.join()
    const { fullTables, unnoted } = this.#drops
    const [tables, shut] = [growth(this.#fullTables, fullTables), growth(this.#unnoted, unnoted)]
    this.#fullTables = fullTables
    this.#unnoted = unnoted
    this.#full = describeFull({
      definitions: this.#reconciliation.definitions,
      sizes: this.#setSizes,
      leftOut: this.#reconciliation.leftOut,
      tables,
      shut,
    })
    if (this.#full.join() !== before) this.#onChange()
  }
}

/** What grew, and by how much. */
function growth(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const grown = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const)
  return new Map(grown.filter(([, more]) => more > 0))
}
