import { parseAddress, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { Clock, EpochMilliseconds, Seconds } from '../../registrar/net/time.ts'

/** Wrong passwords are counted over this long. */
const WINDOW = 60_000

export interface LoginLimitOptions {
  readonly now: Clock
  /** Wrong passwords a minute from one IPv4 address or IPv6 /64. */
  readonly perAddress?: number
  /** Wrong passwords a minute from all addresses that never knew the right one. */
  readonly overall?: number
  /** Addresses remembered at once; the one that failed longest ago is forgotten first. */
  readonly addresses?: number
}

export type LoginChance = { readonly kind: 'try' } | { readonly kind: 'wait'; readonly seconds: Seconds }

/**
 * How often a password may be tried. An address from which somebody has logged in does not stand in the overall
 * queue, so that strangers who fill it cannot lock the admin out.
 */
export interface LoginLimit {
  ask(address: string): LoginChance
  failed(address: string): void
  succeeded(address: string): void
}

interface Window {
  start: EpochMilliseconds
  failures: number
}

export function createLoginLimit(options: LoginLimitOptions): LoginLimit {
  const { now, perAddress = 5, overall = 60, addresses = 4096 } = options
  const windows = new Map<string, Window>()
  const trusted = new Set<string>()
  let everybody: Window = { start: now(), failures: 0 }

  const isOver = (window: Window, limit: number) =>
    window.failures >= limit && now() - window.start < WINDOW
      ? { kind: 'wait' as const, seconds: Math.ceil((window.start + WINDOW - now()) / 1000) }
      : undefined
  const counted = (window: Window | undefined): Window =>
    window && now() - window.start < WINDOW
      ? { start: window.start, failures: window.failures + 1 }
      : { start: now(), failures: 1 }

  return {
    ask(address) {
      const key = keyOf(address)
      const window = windows.get(key)
      return (
        (window && isOver(window, perAddress)) ??
        (trusted.has(key) ? undefined : isOver(everybody, overall)) ?? { kind: 'try' }
      )
    },
    failed(address) {
      const key = keyOf(address)
      const window = counted(windows.get(key))
      windows.delete(key)
      windows.set(key, window)
      dropOldest(windows, addresses)
      if (!trusted.has(key)) everybody = counted(everybody)
    },
    succeeded(address) {
      const key = keyOf(address)
      windows.delete(key)
      trusted.delete(key)
      trusted.add(key)
      dropOldest(trusted, 256)
    },
  }
}

function keyOf(address: string): string {
  const parsed = parseAddress(address.split('%')[0] ?? '')
  return parsed ? sourcePrefixOf(parsed) : address
}

function dropOldest(table: Map<string, unknown> | Set<string>, limit: number): void {
  if (table.size <= limit) return
  const oldest = table.keys().next().value
  if (oldest !== undefined) table.delete(oldest)
}
