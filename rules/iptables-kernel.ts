import type { Family } from '../registrar/net/address.ts'
import type { Kernel, ObservedState, RefusedLine } from './kernel.ts'

export interface IptablesKernelOptions {
  /** `iptables` (the default) is what the host uses; the others ask for one backend by its program names. */
  readonly iptables?: 'iptables' | 'iptables-nft' | 'iptables-legacy'
  /** Works inside a named network namespace. */
  readonly netns?: string
}

/** The real kernel, by iptables-restore, iptables-save and one `ipset -` kept open. Needs no start; `close` ends its ipset. */
export class IptablesKernel implements Kernel {
  backend = 'unknown'
  constructor(_options: IptablesKernelOptions = {}) {}
  async observe(_options: { readonly elements: boolean }): Promise<ObservedState> {
    throw new Error('being written')
  }
  async applySets(_commands: readonly string[]): Promise<readonly RefusedLine[]> {
    return []
  }
  async applyChains(_family: Family, _text: string): Promise<void> {}
  async close(): Promise<void> {}
}
