import type { Config } from '../config/config.ts'

/** What the daemon reads once, at its start. */
const FIXED = ['mode', 'dashboard', 'control', 'data'] as const

/** The keys that differ and take effect only after a restart, like `dashboard.listen`. */
export function keysThatNeedRestart(before: Config, after: Config): readonly string[] {
  return FIXED.flatMap((key) => differing(key, before[key], after[key]))
}

/** The same configuration with what needs a restart as it was. */
export function withFixedOf<C extends Config>(before: Config, after: C): C {
  const { mode, dashboard, control, data } = before
  return { ...after, mode, dashboard, control, data }
}

function differing(key: string, before: unknown, after: unknown): readonly string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  // An endpoint is one value to whoever writes the file.
  if (!isMapping(before) || !isMapping(after) || 'port' in before) return [key]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.flatMap((name) => differing(`${key}.${name}`, before[name], after[name]))
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
