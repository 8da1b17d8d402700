import type { Config } from './config.ts'
import type { HostFacts } from './kernel-sizes.ts'

/** Where the configuration names none. */
const USUAL_GROUP = 5060

export type LogGroup = { readonly group: number } | { readonly group: null; readonly whyNot: string }

/** The group of the kernel's log that the rules write to and the sensor reads; or why there is none. */
export function logGroupOf(
  { mode, sensor }: Pick<Config, 'mode' | 'sensor'>,
  { logsPackets }: Pick<HostFacts, 'logsPackets'>,
): LogGroup {
  if (sensor.nflog === 'off') return { group: null, whyNot: 'sensor.nflog is off' }
  if (mode === 'observe') {
    return { group: null, whyNot: 'in observe mode there are no rules that could log requests' }
  }
  if (logsPackets !== true) {
    return { group: null, whyNot: 'this kernel or its iptables has no NFLOG with --nflog-size' }
  }
  return { group: sensor.nflog === 'auto' ? USUAL_GROUP : sensor.nflog }
}
