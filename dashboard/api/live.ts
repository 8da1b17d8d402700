import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { Milliseconds } from '../../registrar/net/time.ts'
import type { ControlPlane } from './control-plane.ts'
import type { DecisionView } from './decisions.ts'
import { DoorRefused } from './errors.ts'
import type { LiveSnapshot, StatusSnapshot } from './status.ts'

/** Rows of blocked addresses in one live update; `blockedTotal` says how many there are. */
const LIVE_ROWS = 200

/** The status without its history: what changes slowly, sent every few seconds. */
export type HealthSnapshot = Omit<StatusSnapshot, 'history'>

export interface LivePace {
  readonly viewers: number
  readonly update: Milliseconds
  readonly health: Milliseconds
  readonly heartbeat: Milliseconds
  /** How long a viewer may leave an update unread before it is dropped. */
  readonly patience: Milliseconds
}

export const LIVE_PACE: LivePace = {
  viewers: 50,
  update: 500,
  health: 5000,
  heartbeat: 15_000,
  patience: 20_000,
}

/**
 * The live streams of one door (server-sent events). A viewer first gets `status` (a StatusSnapshot) and `live` (a
 * LiveSnapshot); then `live` at most twice a second, `health` (a HealthSnapshot) every five seconds and
 * `heartbeat` every fifteen. Each update is written as text once for all viewers. Every one is the whole picture,
 * so a viewer that has not yet read the last is skipped, and dropped when it stays that way: nothing piles up.
 */
export interface LiveHub {
  /** Turns the request into a stream. `isWelcome` is asked before each update, so that a logout ends it. */
  join(reply: FastifyReply, isWelcome: () => boolean): Promise<void>
  /** Sends the health now, as after an order. */
  refresh(): void
  /** Ends the streams that are no longer welcome. */
  sweep(): void
  close(): void
  counts(): { readonly viewers: number; readonly dropped: number; readonly refused: number }
}

interface Viewer {
  readonly out: ServerResponse
  readonly isWelcome: () => boolean
  ready: boolean
  unreadSince: number | null
}

export function openLiveHub(plane: ControlPlane, pace: LivePace = LIVE_PACE): LiveHub {
  const viewers = new Set<Viewer>()
  let dropped = 0
  let refused = 0
  let latest: LiveSnapshot | undefined
  let lastSent = 0
  let updateTimer: NodeJS.Timeout | undefined
  let stopAll: (() => void) | undefined
  let refreshing = false

  function start(): void {
    const stopWatching = plane.watch((snapshot) => {
      latest = snapshot
      updateTimer ??= setTimeout(sendLatest, Math.max(0, lastSent + pace.update - Date.now()))
    })
    const health = setInterval(refresh, pace.health)
    const heartbeat = setInterval(() => {
      // The comment keeps proxies awake; the event lets a page notice a connection that died without a word.
      send(`: heartbeat\n${eventText('heartbeat', { time: Date.now() })}`)
    }, pace.heartbeat)
    stopAll = () => {
      stopWatching()
      clearInterval(health)
      clearInterval(heartbeat)
      clearTimeout(updateTimer)
      updateTimer = undefined
      latest = undefined
    }
  }

  function leave(viewer: Viewer): void {
    if (!viewers.delete(viewer) || viewers.size > 0) return
    stopAll?.()
    stopAll = undefined
  }

  function drop(viewer: Viewer): void {
    leave(viewer)
    // Who has read everything gets a proper end; what is left unread for another is not waited for.
    if (viewer.ready && viewer.out.writableLength === 0) viewer.out.end()
    else viewer.out.destroy()
  }

  function sendLatest(): void {
    updateTimer = undefined
    if (!latest) return
    lastSent = Date.now()
    send(eventText('live', withBoundedRows(latest)))
  }

  function send(text: string): void {
    for (const viewer of viewers) {
      if (!viewer.ready) continue
      if (!viewer.isWelcome()) {
        drop(viewer)
      } else if (viewer.out.writableLength === 0) {
        viewer.unreadSince = null
        viewer.out.write(text)
      } else {
        viewer.unreadSince ??= Date.now()
        if (Date.now() - viewer.unreadSince < pace.patience) continue
        dropped++
        drop(viewer)
      }
    }
  }

  function refresh(): void {
    if (viewers.size === 0 || refreshing) return
    refreshing = true
    plane
      .status()
      .then(({ history: _, ...health }) => send(eventText('health', health satisfies HealthSnapshot)))
      // A control plane that cannot answer right now is shown by the updates that stay away.
      .catch(() => undefined)
      .finally(() => {
        refreshing = false
      })
  }

  return {
    async join(reply, isWelcome) {
      if (viewers.size >= pace.viewers) {
        refused++
        throw new DoorRefused(
          'unavailable',
          `${pace.viewers} live pages are open already; close one of them.`,
        )
      }
      const viewer: Viewer = { out: reply.raw, isWelcome, ready: false, unreadSince: null }
      viewers.add(viewer)
      reply.raw.once('close', () => leave(viewer))
      if (viewers.size === 1) start()
      let first: string
      try {
        const [status, blocked] = await Promise.all([plane.status(), plane.blocked()])
        first = eventText('status', status) + eventText('live', liveOf(status, blocked))
      } catch (error) {
        leave(viewer)
        throw error
      }
      if (!viewers.has(viewer)) return
      reply.hijack()
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      reply.raw.write(`retry: 2000\n\n${first}`)
      viewer.ready = true
    },
    refresh,
    sweep() {
      for (const viewer of viewers) if (viewer.ready && !viewer.isWelcome()) drop(viewer)
    },
    close() {
      for (const viewer of viewers) drop(viewer)
    },
    counts: () => ({ viewers: viewers.size, dropped, refused }),
  }
}

// JSON never holds a raw line break, so one data line is always enough.
function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function withBoundedRows(snapshot: LiveSnapshot): LiveSnapshot {
  if (snapshot.blocked.length <= LIVE_ROWS) return snapshot
  return { ...snapshot, blocked: snapshot.blocked.slice(0, LIVE_ROWS) }
}

function liveOf(status: StatusSnapshot, blocked: readonly DecisionView[]): LiveSnapshot {
  return withBoundedRows({
    time: status.time,
    state: status.state,
    sentence: status.sentence,
    rates: status.rates,
    blocked,
    blockedTotal: blocked.length,
    trial: status.trial,
  })
}
