import { defaultConfig } from '../../agent/config/read-config.ts'
import { buildConfiguredState, type ConfiguredState } from '../../agent/decide/desired.ts'
import type { DesiredState } from '../../rules/desired-state.ts'

/** What the default configuration asks of the kernel, with connection tracking off. */
export const DEFAULTS: ConfiguredState = buildConfiguredState({
  config: defaultConfig(),
  host: { memoryBytes: 4 * 1024 ** 3, tracksConnections: false },
  sipEnforced: false,
})

/** The desired state of the default configuration, but for what a benchmark is about; nobody is listed in it. */
export function desired(parts: Partial<DesiredState> = {}): DesiredState {
  return {
    ...DEFAULTS,
    strictUntil: null,
    allow: [],
    blocks: [],
    suspensions: [],
    members: [],
    ...parts,
  }
}
