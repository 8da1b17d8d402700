import type { FromSensor, ToSensor } from './messages.ts'
import { Sensor } from './sensor.ts'

/** The sensor's process: told by the daemon what to watch, it reports until the daemon goes away. */
const send = (message: FromSensor) => {
  if (process.connected) process.send?.(message, undefined, {}, () => {})
}
let sensor: Sensor | undefined

process.on('message', (message: ToSensor) => {
  switch (message.type) {
    case 'start':
      sensor ??= new Sensor({ settings: message.settings, send })
      sensor.start()
      return
    case 'explain':
      send({ type: 'explained', id: message.id, knowledge: sensor?.explain(message.address) ?? null })
      return
    case 'pardon':
      sensor?.pardon(message.address)
      return
  }
})

async function end(): Promise<void> {
  await sensor?.stop()
  process.exit(0)
}
process.on('disconnect', end)
process.on('SIGTERM', end)
// Ctrl-C reaches the whole group: the daemon decides when the sensor ends.
process.on('SIGINT', () => {})
