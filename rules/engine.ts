import type { Clock } from '../registrar/net/time.ts'
import type { DesiredState } from './desired-state.ts'
import type { Kernel } from './kernel.ts'
import type { KernelCounters, RulesStatus } from './status.ts'

/** Where the engine says what it does: one short sentence, and plain fields. */
export interface RulesLog {
  info(fields: Readonly<Record<string, unknown>>, sentence: string): void
  warn(fields: Readonly<Record<string, unknown>>, sentence: string): void
}

export interface RulesEngineOptions {
  readonly kernel: Kernel
  readonly clock: Clock
  readonly log?: RulesLog
  /** Called after the status changed. */
  readonly onChange?: () => void
}

/** The one writer of the kernel's rules. */
export class RulesEngine {
  constructor(_options: RulesEngineOptions) {
    throw new Error('being written')
  }

  /** Throws `DesiredStateError` (nothing changes then) for a state that must not or cannot reach the kernel, as a block of 0.0.0.0/0. */
  setDesired(_state: DesiredState): void {}
  /** Resolves when nothing is pending any more, or when an attempt failed: `status()` says which. */
  async settled(): Promise<void> {}
  declare status: () => RulesStatus
  declare counters: () => Promise<KernelCounters>
  /** Removes everything of ours and stays off until `on()`; `setDesired` only remembers meanwhile. Gives the names removed. */
  declare off: () => Promise<readonly string[]>
  /** Applies the remembered desired state again. */
  on(): void {}
  /** Observes and repairs at once what happens every 5 s anyway. Gives what was found wrong. */
  declare check: () => Promise<readonly string[]>
  /** Stops observing. Rules and sets stay in the kernel. */
  async close(): Promise<void> {}
}
