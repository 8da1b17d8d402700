import type { Noted } from '../api/control-plane.ts'
import type { DecisionView } from '../api/decisions.ts'

const grouped = new Intl.NumberFormat('en-US')

/** `20,114`; from ten million on `12.3 M`. */
export function showCount(value: number): string {
  if (value >= 1e10) return `${(value / 1e9).toFixed(1)} G`
  if (value >= 1e7) return `${(value / 1e6).toFixed(1)} M`
  return grouped.format(Math.round(value))
}

/** Per second or percent: a decimal only where it says something. */
export function showRate(value: number): string {
  return value > 0 && value < 9.95 && !Number.isInteger(value) ? value.toFixed(1) : showCount(value)
}

export function showGigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}

/** `1d 04h`, `1h 05m`, `9m 59s`, `12s`: equally wide while it counts down. */
export function showTimeLeft(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds))
  const pad = (value: number) => String(value).padStart(2, '0')
  if (whole >= 86_400) return `${Math.floor(whole / 86_400)}d ${pad(Math.floor((whole % 86_400) / 3600))}h`
  if (whole >= 3600) return `${Math.floor(whole / 3600)}h ${pad(Math.floor((whole % 3600) / 60))}m`
  if (whole >= 60) return `${Math.floor(whole / 60)}m ${pad(whole % 60)}s`
  return `${whole}s`
}

/** The time of day, with the date where it is not today's. */
export function showMoment(moment: number, now: number): string {
  const time = new Date(moment)
  const clock = time.toLocaleTimeString(undefined, { hour12: false })
  if (time.toDateString() === new Date(now).toDateString()) return clock
  return `${time.toLocaleDateString(undefined, { month: 'short', day: 'numeric' })} ${clock}`
}

export function showScope({ kind, scope }: Pick<DecisionView, 'kind' | 'scope'>): string {
  if (kind === 'suspend') return 'Suspended'
  return scope === 'register' ? 'REGISTER' : 'All SIP'
}

/** A key of the evidence as words: `registersInWindow` becomes `registers in window`. */
export function showKey(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll(/[-_]/g, ' ')
    .toLowerCase()
}

/** How much longer a block would have stood, in whole seconds; undefined where it had no end. */
export function secondsToGo({ until }: Pick<DecisionView, 'until'>, now: number): number | undefined {
  return until === null ? undefined : Math.max(1, Math.ceil((until - now) / 1000))
}

/** Nobody may believe that an attacker is kept out who is not. */
export function sayBlocked({ target, notice }: Pick<DecisionView, 'target'> & Noted, time: string): string {
  if (notice === null) return `All SIP of ${target} is blocked ${time}.`
  return `${target} is on the blocklist ${time}: ${notice}.`
}
