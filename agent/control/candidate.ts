import { realpathSync } from 'node:fs'
import { OrderRefused } from '../../dashboard/api/control-plane.ts'
import type { AppliedView, ApplyOrder, CandidateText, TrialView } from '../../dashboard/api/what-if.ts'
import type { Clock, EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import { showDuration } from '../../registrar/net/time.ts'
import type { RulesLog } from '../../rules/engine.ts'
import type { Config } from '../config/config.ts'
import { showProblem } from '../config/problem.ts'
import { readConfig } from '../config/read-config.ts'
import { keysThatNeedRestart } from './needs-restart.ts'
import { replaceFile } from './replace-file.ts'

export interface CandidateOptions {
  readonly clock: Clock
  readonly log: RulesLog
  /** The file that a confirmed configuration is written over. */
  readonly configFile: string
  /** The configuration in force. */
  readonly config: () => Config
  /** Puts another one in force, in memory alone. */
  readonly reconfigure: (config: Config) => void
  /** What a person should know of a configuration that is taken all the same. */
  readonly warnings?: (config: Config) => readonly string[]
  /** Why the kernel must not be given what a configuration asks for; none where it may. */
  readonly refusals: (config: Config) => readonly string[]
  /** Waits until the kernel took what it should, or refused it. */
  readonly settled: () => Promise<void>
  /** Why the kernel does not hold what it should, in a sentence; null where it does. */
  readonly failure: () => string | null
  readonly onChange: () => void
}

interface Trial {
  readonly candidate: CandidateText
  readonly config: Config
  readonly before: Config
  readonly by: string
  readonly until: EpochMilliseconds
  readonly timer: NodeJS.Timeout
}

/** What a candidate was read as. */
export interface ReadCandidate {
  readonly config: Config
  readonly warnings: readonly string[]
}

/**
 * A configuration that is brought in on trial, and taken back unless somebody confirms it in time. Until then it
 * is in force in memory alone: whatever ends the daemon meanwhile leaves the configuration of before in the file.
 */
export class CandidateConfiguration {
  readonly #o: CandidateOptions
  #trial: Trial | undefined
  #isBusy = false

  constructor(options: CandidateOptions) {
    this.#o = options
  }

  /** Null where none is on trial. */
  view(now: EpochMilliseconds): TrialView | null {
    if (!this.#trial) return null
    const { candidate, by, until } = this.#trial
    return { file: candidate.file, by, until, secondsLeft: secondsTo(until, now) }
  }

  /** Why no other configuration may be brought in now, in one sentence; null where one may. */
  refusal(): string | null {
    if (this.#isBusy)
      return 'Another configuration is being brought in at this moment; try again in a moment.'
    if (!this.#trial) return null
    const { candidate, by, until } = this.#trial
    const left = showDuration(secondsTo(until, this.#o.clock()))
    return `The configuration ${candidate.file} of ${by} is on trial for another ${left}: first \`ringfence confirm\` or \`ringfence revert\` it.`
  }

  async apply(order: ApplyOrder): Promise<AppliedView> {
    this.#refuseWhileBusy()
    const { config, warnings: ofText } = readCandidate(order)
    const warnings = [...ofText, ...(this.#o.warnings?.(config) ?? [])]
    const before = this.#o.config()
    const fixed = keysThatNeedRestart(before, config)
    if (fixed.length > 0) {
      throw new OrderRefused(
        'conflict',
        `${order.file} changes ${fixed.join(', ')}, which the daemon reads at its start alone: write it into ${this.#o.configFile} and restart the daemon, or leave ${fixed.length === 1 ? 'it' : 'them'} as before.`,
      )
    }
    if (order.confirmWithin !== undefined && isSameFile(order.file, this.#o.configFile)) {
      throw new OrderRefused(
        'conflict',
        `${order.file} is the configuration file itself, so that a crash during the trial would leave the new one: put the old text back and bring in a copy with the changes.`,
      )
    }
    const refusals = this.#o.refusals(config)
    if (refusals.length > 0) throw new OrderRefused('bad-config', refusals.join('\n'))

    return this.#busily(async () => {
      const trial = order.confirmWithin === undefined ? undefined : this.#begin(order, { config, before })
      // Before the kernel is waited for: the clock of a trial runs also where that takes long.
      this.#trial = trial
      const wasBroken = this.#o.failure() !== null
      this.#o.reconfigure(config)
      this.#o.onChange()
      await this.#o.settled()
      const failure = this.#o.failure()
      // A kernel that was broken before says nothing about this configuration.
      if (failure !== null && !wasBroken) {
        await this.#takeBack(before)
        throw new OrderRefused('unavailable', `${order.file} was taken back: ${failure}`)
      }
      if (trial) {
        const view = this.view(this.#o.clock())
        // A kernel that took longer than the trial lasts.
        if (view === null)
          throw new OrderRefused(
            'unavailable',
            `${order.file} was taken back: its time was over before the kernel had it.`,
          )
        this.#o.log.info(
          { file: order.file, by: order.by, seconds: order.confirmWithin },
          'a configuration is on trial',
        )
        return { ...NOTHING_WRITTEN, state: 'trial', trial: view, file: this.#o.configFile, warnings }
      }
      return { ...(await this.#keep(order, before)), warnings }
    })
  }

  async confirm(by: string): Promise<AppliedView> {
    const trial = this.#standingTrial()
    this.#refuseWhileWorking()
    return this.#busily(async () => {
      const previous = this.#write(trial.candidate, `it stays on trial`)
      this.#end()
      this.#o.log.info(
        { file: trial.candidate.file, by, previous },
        'the configuration on trial is confirmed',
      )
      return { state: 'kept', trial: null, file: this.#o.configFile, previous, warnings: [], notice: null }
    })
  }

  async revert(by: string): Promise<{ readonly reverted: string }> {
    const trial = this.#standingTrial()
    this.#refuseWhileWorking()
    return this.#busily(async () => {
      await this.#takeBack(trial.before)
      this.#o.log.info({ file: trial.candidate.file, by }, 'the configuration on trial is taken back')
      return { reverted: trial.candidate.file }
    })
  }

  /** The daemon ends: what nobody confirmed does not stay in the kernel. */
  async close(): Promise<void> {
    if (!this.#trial) return
    const { before, candidate } = this.#trial
    await this.#takeBack(before)
    this.#o.log.warn(
      { file: candidate.file },
      'the configuration on trial is taken back, since the daemon stops',
    )
  }

  #begin(order: ApplyOrder, { config, before }: { config: Config; before: Config }): Trial {
    const lasts: Milliseconds = (order.confirmWithin ?? 0) * 1_000
    const timer = setTimeout(() => void this.#expire(), lasts)
    return {
      candidate: { text: order.text, file: order.file },
      config,
      before,
      by: order.by,
      until: this.#o.clock() + lasts,
      timer,
    }
  }

  async #expire(): Promise<void> {
    if (!this.#trial) return
    const { candidate, before } = this.#trial
    await this.#takeBack(before)
    this.#o.log.warn(
      { file: candidate.file },
      'nobody confirmed the configuration on trial in time: it is taken back',
    )
  }

  async #keep(candidate: CandidateText & { readonly by: string }, before: Config): Promise<AppliedView> {
    try {
      const previous = this.#write(candidate, 'it is taken back')
      this.#o.log.info({ file: candidate.file, by: candidate.by, previous }, 'a configuration is brought in')
      return { state: 'kept', trial: null, file: this.#o.configFile, previous, warnings: [], notice: null }
    } catch (error) {
      await this.#takeBack(before)
      throw error
    }
  }

  #write({ text, file }: CandidateText, otherwise: string): string {
    try {
      return replaceFile(this.#o.configFile, text).previous
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? String(error)
      throw new OrderRefused(
        'unavailable',
        `${file} cannot be written to ${this.#o.configFile} (${code}); ${otherwise}.`,
      )
    }
  }

  async #takeBack(before: Config): Promise<void> {
    this.#end()
    this.#o.reconfigure(before)
    await this.#o.settled()
    this.#o.onChange()
  }

  #end(): void {
    clearTimeout(this.#trial?.timer)
    this.#trial = undefined
    this.#o.onChange()
  }

  #standingTrial(): Trial {
    if (this.#trial) return this.#trial
    throw new OrderRefused(
      'not-found',
      'No configuration is on trial: there is nothing to confirm or to take back.',
    )
  }

  #refuseWhileBusy(): void {
    const refusal = this.refusal()
    if (refusal !== null) throw new OrderRefused('conflict', refusal)
  }

  #refuseWhileWorking(): void {
    if (this.#isBusy) this.#refuseWhileBusy()
  }

  async #busily<T>(work: () => Promise<T>): Promise<T> {
    this.#isBusy = true
    try {
      return await work()
    } finally {
      this.#isBusy = false
    }
  }
}

/** Reads a candidate as the daemon reads its own file. Refuses with a line for each problem. */
export function readCandidate({ text, file }: CandidateText): ReadCandidate {
  const reading = readConfig(text, { file })
  if (reading.kind === 'ok') return { config: reading.config, warnings: reading.warnings.map(showProblem) }
  throw new OrderRefused('bad-config', reading.problems.map(showProblem).join('\n'))
}

function isSameFile(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b)
  } catch {
    // What the daemon cannot see is not its file.
    return false
  }
}

const NOTHING_WRITTEN = { previous: null, notice: null }

function secondsTo(until: EpochMilliseconds, now: EpochMilliseconds): number {
  return Math.max(0, Math.ceil((until - now) / 1_000))
}
