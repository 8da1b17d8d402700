/** A span of time in milliseconds. */
export type Milliseconds = number
/** A span of time in seconds. */
export type Seconds = number
/** A moment: milliseconds since 1970, fractions allowed (captures carry microseconds). */
export type EpochMilliseconds = number

/** The present, as a parameter, so that tests and replays can have another one. */
export type Clock = () => EpochMilliseconds

const UNITS: Readonly<Record<string, Seconds>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

/** Reads a duration like `90`, `90s`, `10m`, `1h30m` or `7d` as seconds; undefined where it is none. */
export function parseDuration(text: string): Seconds | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  if (!/^(\d{1,10}[smhdw])+$/.test(text)) return undefined
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)([smhdw])/g)) total += Number(amount) * UNITS[unit!]!
  return total
}

/** Shows a duration for people, in its two largest units: `1h 30m`, `9m 59s`. */
export function showDuration(seconds: Seconds): string {
  let rest = Math.max(0, Math.round(seconds))
  const parts: string[] = []
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = UNITS[unit]!
    const amount = Math.floor(rest / size)
    if (amount > 0) parts.push(`${amount}${unit}`)
    rest -= amount * size
  }
  return parts.slice(0, 2).join(' ') || '0s'
}
