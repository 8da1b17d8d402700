import type { ToRegistrar } from './messages.ts'
import type { Milliseconds } from './net/time.ts'
import { RegistrarProcess } from './registrar-process.ts'

/** The registrar's process: told by the daemon what to serve, it reports until the daemon goes away. */
const registrar = new RegistrarProcess({
  send: (message) => {
    if (process.connected) process.send?.(message, undefined, {}, () => {})
  },
})

const LAST_WORDS: Milliseconds = 1_000
let ending = false

async function end(code: number): Promise<void> {
  if (ending) return
  ending = true
  await registrar.stop()
  process.exitCode = code
  // With all sockets closed the process ends by itself once what was said last has gone through the channel.
  if (process.connected) process.disconnect()
  setTimeout(() => process.exit(code), LAST_WORDS).unref()
}

process.on('message', (message: ToRegistrar) => {
  registrar.take(message).then((goesOn) => {
    if (!goesOn) void end(message.type === 'stop' ? 0 : 1)
  })
})
process.on('disconnect', () => void end(0))
process.on('SIGTERM', () => void end(0))
// Ctrl-C reaches the whole group: the daemon decides when the registrar ends.
process.on('SIGINT', () => {})
