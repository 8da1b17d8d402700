import type { Milliseconds } from '../../registrar/net/time.ts'
import { devicesToWatch } from '../discover/devices-to-watch.ts'
import { growHeapBy } from '../small-heap.ts'
import type { FromSensor, SensorSettings, ToSensor } from './messages.ts'
import { Sensor } from './sensor.ts'

growHeapBy(30)

/** The sensor's process: told by the daemon what to watch, it reports until the daemon goes away. */
const send = (message: FromSensor) => {
  if (!process.connected) return
  lastSent = new Promise((resolve) => process.send?.(message, undefined, {}, () => resolve()))
}
/** Resolves when the message sent last is on its way, and all before it. */
let lastSent: Promise<void> = Promise.resolve()
let sensor: Sensor | undefined
let isEnding = false
const LAST_WORDS: Milliseconds = 1_000

process.on('message', (message: ToSensor) => {
  switch (message.type) {
    case 'start':
      void start(message.settings)
      return
    case 'explain':
      send({ type: 'explained', id: message.id, knowledge: sensor?.explain(message.address) ?? null })
      return
    case 'bindings':
      send({ type: 'bindings', id: message.id, bindings: sensor?.bindings() ?? [] })
      return
    case 'pardon':
      sensor?.pardon(message.address)
      return
    case 'lanes':
      sensor?.configureLanes(message.lanes)
      return
    case 'arrivals':
      sensor?.arrivals(message.perSecond)
      return
    case 'policy':
      sensor?.configurePolicy(message.policy)
      return
  }
})

/** A VLAN and its parent are both protected, but listened on once: a packet of the VLAN is seen on either. */
async function start(settings: SensorSettings): Promise<void> {
  const devices = await devicesToWatch(settings.interfaces, { listed: settings.destinations !== 'local' })
  sensor ??= new Sensor({ settings, devices, send })
  sensor.start()
}

/** What was seen last is told, or it would be forgotten by the restart. */
async function end(): Promise<void> {
  if (isEnding) return
  isEnding = true
  await sensor?.stop()
  setTimeout(() => process.exit(0), LAST_WORDS)
  await lastSent
  process.exit(0)
}
process.on('disconnect', end)
process.on('SIGTERM', end)
// Ctrl-C reaches the whole group: the daemon decides when the sensor ends.
process.on('SIGINT', () => {})
