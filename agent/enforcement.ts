import type { Logger } from 'pino'
import type { Source } from '../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../registrar/net/time.ts'
import { DesiredStateError } from '../rules/check-desired-state.ts'
import type { DesiredState } from '../rules/desired-state.ts'
import { RulesEngine } from '../rules/engine.ts'
import { ImaginedKernel } from '../rules/imagined-kernel.ts'
import { IptablesKernel } from '../rules/iptables-kernel.ts'
import { KernelError } from '../rules/kernel.ts'
import { removeFromEveryBackend, removeFromOtherBackend } from '../rules/remove-everything.ts'
import type { HeldByKernel } from '../rules/trace/trace.ts'
import type { Config } from './config/config.ts'
import { heldByKernel } from './control/held-by-kernel.ts'
import { HELD_SETS, type HeldLanes, heldLanes, NOTHING_HELD } from './decide/held-lanes.ts'
import type { LogGate } from './host/log.ts'
import { OtherBackend } from './other-backend.ts'

export interface EnforcementOptions {
  readonly mode: Config['mode']
  readonly clock: Clock
  readonly log: Logger
  /** What an attacker can make us write. */
  readonly gate: LogGate
  /** The engine's state has changed. */
  readonly onChange: () => void
}

/**
 * What holds the desired state: this host's kernel, or in `mode: observe` an imagined one that only writes down what
 * it would have done.
 */
export class Enforcement {
  readonly engine: RulesEngine
  readonly #log: Logger
  readonly #gate: LogGate
  /** None where this daemon leaves the kernel alone. */
  readonly #kernel: IptablesKernel | undefined
  /** None where this daemon enforces. */
  readonly #imagined: ImaginedKernel | undefined
  /** None where this daemon leaves the kernel alone. */
  readonly #otherBackend: OtherBackend | undefined

  constructor({ mode, clock, log, gate, onChange }: EnforcementOptions) {
    this.#log = log
    this.#gate = gate
    this.#imagined = mode === 'observe' ? new ImaginedKernel({ clock }) : undefined
    this.#kernel = this.#imagined ? undefined : new IptablesKernel()
    const kernel = this.#imagined ?? this.#kernel!
    this.engine = new RulesEngine({
      kernel,
      clock,
      log,
      onChange: () => {
        onChange()
        void this.#otherBackend?.clear()
      },
    })
    if (!this.#imagined)
      this.#otherBackend = new OtherBackend({ engine: this.engine, remove: removeFromOtherBackend, log })
  }

  /** A state that the rules cannot express is said, and what stood before still stands in the kernel. */
  hand(state: DesiredState): void {
    try {
      this.engine.setDesired(state)
    } catch (error) {
      if (!(error instanceof DesiredStateError)) throw error
      if (this.#gate.ask().write) this.#log.error(`the rules cannot be changed: ${error.message}`)
    }
  }

  /** Resolves when the kernel holds what it should, or refused it once. */
  settled(): Promise<void> {
    return this.engine.settled()
  }

  /** Takes every rule and set out of the kernel; gives their names. Throws `KernelError` where something had to stay. */
  async remove(): Promise<readonly string[]> {
    // An observing daemon has nothing in the kernel, but one before it may have left something.
    if (this.#imagined) {
      await this.engine.off()
      return removeFromEveryBackend()
    }
    // Sets that chains of the other kind of iptables hold would not go. What it refuses is said by the second look,
    // when the engine has taken out what it can.
    const others = await removeFromOtherBackend().catch(() => [])
    const removed = await this.engine.off().catch(() => [])
    return [...new Set([...others, ...removed, ...(await removeFromEveryBackend())])]
  }

  /** Which of the sets that the kernel fills by itself hold a source; null where the kernel is not asked. */
  async heldByKernel(source: Source): Promise<HeldByKernel | null> {
    return this.#imagined ? null : heldByKernel(source)
  }

  /**
   * Who is in a lane in the kernel since before this daemon; to be asked before anything is desired. A kernel that does
   * not answer has nobody: what the engine then does with it will say why.
   */
  async heldLanes(now: EpochMilliseconds): Promise<HeldLanes> {
    try {
      const observed = await this.#kernel?.observe({ elements: HELD_SETS })
      return observed ? heldLanes(observed.sets, now) : NOTHING_HELD
    } catch (error) {
      if (!(error instanceof KernelError)) throw error
      return NOTHING_HELD
    }
  }

  /** What an observing daemon would have done, newest last, as lines; none where it enforces. */
  wouldHaveDone(): readonly string[] {
    return this.#imagined?.actions().map(({ at, text }) => `${new Date(at).toISOString()} ${text}`) ?? []
  }

  /** To be called now and then: what the kernel refused to have removed is tried again. */
  tidy(): void {
    void this.#otherBackend?.retry()
  }

  close(): Promise<void> {
    return this.engine.close()
  }
}
