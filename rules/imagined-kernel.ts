import type { Family } from '../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../registrar/net/time.ts'
import type { Kernel, ObservedState, RefusedLine } from './kernel.ts'

/** One thing that would have been done, readable: `add rf-sip4 198.51.100.7 timeout 3600`. */
export interface ImaginedAction {
  readonly at: EpochMilliseconds
  readonly text: string
}

/** A kernel in memory, as strict as the real one: for `mode: observe` and for tests. */
export class ImaginedKernel implements Kernel {
  readonly backend = 'imagined'
  constructor(_options: { readonly clock: Clock; readonly maxActions?: number }) {}
  /** The last actions (1,000 at most), oldest first. */
  actions(): readonly ImaginedAction[] {
    return []
  }
  async observe(_options: { readonly elements: boolean }): Promise<ObservedState> {
    throw new Error('being written')
  }
  async applySets(_commands: readonly string[]): Promise<readonly RefusedLine[]> {
    return []
  }
  async applyChains(_family: Family, _text: string): Promise<void> {}
  async close(): Promise<void> {}
}
