import { batch, computed, signal } from '@preact/signals'
import type { HealthSnapshot } from '../api/live.ts'
import type { LiveSnapshot, RatePoint, StatusSnapshot } from '../api/status.ts'

/*
 * What the page knows. Filled by the live stream alone, so that two sources never disagree; components only read.
 */

/** What the charts show: five minutes, one point a second. */
export const CHART_SECONDS = 300

export type View = 'opening' | 'login' | 'main'
export type Connection = 'connecting' | 'live' | 'lost'

export const view = signal<View>('opening')
export const connection = signal<Connection>('connecting')
export const live = signal<LiveSnapshot | null>(null)
export const health = signal<HealthSnapshot | null>(null)
export const history = signal<readonly RatePoint[]>([])

/** This page's clock, each second; and how far the host's clock is ahead of it. */
const localTime = signal(Date.now())
const hostAhead = signal(0)
export const hostTime = computed(() => localTime.value + hostAhead.value)
setInterval(() => {
  localTime.value = Date.now()
}, 1000)

/** Blocks and suspensions, told apart also where not all rows are here. */
export const counts = computed(() => {
  const rows = live.value?.blocked ?? []
  const total = live.value?.blockedTotal ?? 0
  const suspensions =
    rows.length >= total
      ? rows.filter(({ kind }) => kind === 'suspend').length
      : Math.min(total, health.value?.counts.suspensions ?? 0)
  return { blocks: total - suspensions, suspensions, total }
})

export function receiveStatus(status: StatusSnapshot): void {
  batch(() => {
    setHostTime(status.time)
    history.value = status.history.slice(-CHART_SECONDS)
    health.value = status
  })
}

export function receiveHealth(snapshot: HealthSnapshot): void {
  batch(() => {
    setHostTime(snapshot.time)
    health.value = snapshot
  })
}

export function receiveLive(snapshot: LiveSnapshot): void {
  batch(() => {
    setHostTime(snapshot.time)
    live.value = snapshot
    const last = history.value.at(-1)
    if (snapshot.rates.time > (last?.time ?? 0)) {
      history.value = [...history.value.slice(1 - CHART_SECONDS), snapshot.rates]
    }
  })
}

export function forget(): void {
  batch(() => {
    live.value = null
    health.value = null
    history.value = []
  })
}

function setHostTime(time: number): void {
  const now = Date.now()
  localTime.value = now
  // The way takes some milliseconds each time; following that would make the countdowns tremble.
  if (Math.abs(time - now - hostAhead.value) > 500) hostAhead.value = time - now
}
