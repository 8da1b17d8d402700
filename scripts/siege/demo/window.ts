import { connect, createServer, type Socket } from 'node:net'
import { until } from '../program.ts'
import { builtProgram } from '../root.ts'
import type { SiegeStage } from '../stage.ts'

/** Where the daemon opens its page, on the loopback of the softswitch's own namespace. */
export const DASHBOARD = { host: '127.0.0.1', port: 8_560 } as const

/**
 * The dashboard, which listens inside the softswitch's namespace, on a loopback port of this host: through a Unix socket
 * and a relay inside, so that no address and no route of this host is touched. Gives what closes it.
 */
export async function openWindow(stage: SiegeStage, port: number): Promise<() => Promise<void>> {
  const path = stage.path('dashboard.sock')
  const args = [builtProgram('demo/relay.js'), path, DASHBOARD.host, String(DASHBOARD.port)]
  const relay = stage.start('switch', process.execPath, args)
  await until(() => relay.output.includes('ready'), { within: 10_000, what: 'the way to the dashboard' })
  const open = new Set<Socket>()
  const server = createServer((arriving) => {
    const leaving = connect(path)
    for (const [one, other] of [
      [arriving, leaving],
      [leaving, arriving],
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const says = `127.0.0.1:${port} cannot be opened (${error.code}): choose another port with --port`
      reject(new Error(says))
    })
    server.listen(port, '127.0.0.1', resolve)
  })
  return async () => {
    for (const socket of open) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}
