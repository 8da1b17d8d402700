import { effect } from '@preact/signals'
import type { HealthSnapshot } from '../api/live.ts'
import type { LiveSnapshot, StatusSnapshot } from '../api/status.ts'
import { isLoggedIn } from './ask.ts'
import { connection, forget, receiveHealth, receiveLive, receiveStatus, view } from './state.ts'

/** The host sends something at least every 15 s; a line silent for longer is dead, whatever the browser believes. */
const SILENCE = 25_000
const FIRST_RETRY = 1000
const LAST_RETRY = 10_000

let stream: EventSource | undefined
let watchdog: ReturnType<typeof setTimeout> | undefined
let retry: ReturnType<typeof setTimeout> | undefined
let wait = FIRST_RETRY

/** Keeps one live stream open as long as the main view is shown, and says when it is lost. */
export function keepConnected(): void {
  effect(() => {
    disconnect()
    connection.value = 'connecting'
    if (view.value === 'main') connect()
    else forget()
  })
  // A phone that was in the pocket should not wait for the next attempt.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && retry !== undefined) connect()
  })
  addEventListener('online', () => {
    if (retry !== undefined) connect()
  })
}

function connect(): void {
  disconnect()
  const opened = new EventSource('/api/v1/live')
  stream = opened
  expectWord()
  const on = (event: string, receive: (data: never) => void) =>
    opened.addEventListener(event, (message) => {
      expectWord()
      wait = FIRST_RETRY
      connection.value = 'live'
      receive(JSON.parse(message.data) as never)
    })
  on('status', (status: StatusSnapshot) => receiveStatus(status))
  on('live', (snapshot: LiveSnapshot) => receiveLive(snapshot))
  on('health', (snapshot: HealthSnapshot) => receiveHealth(snapshot))
  on('heartbeat', () => undefined)
  // The browser's own reconnecting gives up on the first answer that is no stream, so it is done here.
  opened.addEventListener('error', lose)
}

function disconnect(): void {
  stream?.close()
  stream = undefined
  clearTimeout(watchdog)
  clearTimeout(retry)
  retry = undefined
}

function expectWord(): void {
  clearTimeout(watchdog)
  watchdog = setTimeout(lose, SILENCE)
}

function lose(): void {
  disconnect()
  connection.value = 'lost'
  retry = setTimeout(async () => {
    const loggedIn = await isLoggedIn()
    if (view.value !== 'main' || retry === undefined) return
    if (loggedIn === false) view.value = 'login'
    else connect()
  }, wait)
  wait = Math.min(LAST_RETRY, wait * 2)
}
