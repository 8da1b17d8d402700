import { lstatSync, unlinkSync } from 'node:fs'
import { chmod, chown, link, lstat, mkdir, mkdtemp, readFile, rm, unlink } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'

/** Why a door could not be opened. The message says what to do. */
export class ListenError extends Error {
  readonly code:
    | 'daemon-running'
    | 'not-a-socket'
    | 'port-taken'
    | 'no-such-address'
    | 'not-permitted'
    | 'failed'
  constructor(code: ListenError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ListenError'
    this.code = code
  }
}

/**
 * Opens the control socket: mode 660 for `group` where that group exists, else 600. The socket is born in a folder
 * that only we may enter and linked to its place when its permissions are set, so there is no moment in which others
 * could connect. It goes away when the app closes.
 */
export async function listenOnSocket(
  app: FastifyInstance,
  options: { path: string; group?: string },
): Promise<{ path: string; group: string | null; inode: number }> {
  const { path } = options
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o755 })
  await clearStale(path)
  const nursery = await mkdtemp(join(folder, '.rf-'))
  const cradle = join(nursery, 's')
  try {
    if (Math.max(Buffer.byteLength(path), Buffer.byteLength(cradle)) > 107) {
      throw new ListenError(
        'failed',
        `${path} is too long for a Unix socket; choose a shorter control.socket`,
      )
    }
    await app.listen({ path: cradle })
    const group = await shareWith(cradle, options.group)
    await link(cradle, path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST' ? alreadyRunning(path, error) : error
    })
    const { ino } = await lstat(path)
    app.server.once('close', () => removeIfOurs(path, ino))
    return { path, group, inode: ino }
  } finally {
    await rm(nursery, { recursive: true, force: true })
  }
}

/** Opens the web door. Returns the address it really has: port 0 takes a free one. */
export async function listenOnWeb(
  app: FastifyInstance,
  options: { host: string; port: number },
): Promise<{ host: string; port: number }> {
  const where = `${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`
  try {
    await app.listen(options)
  } catch (error) {
    throw explainListen(error as NodeJS.ErrnoException, where, options.port)
  }
  const bound = app.server.address() as AddressInfo
  return { host: bound.address, port: bound.port }
}

function explainListen(error: NodeJS.ErrnoException, where: string, port: number): ListenError {
  const cause = { cause: error }
  const what = `cannot open the dashboard on ${where}:`
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(
        'port-taken',
        `${what} the port is taken; "ss -ltnp sport = :${port}" shows by whom, or choose another in dashboard.listen`,
        cause,
      )
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError(
        'no-such-address',
        `${what} this host has no such address; set dashboard.listen to one it has, such as 127.0.0.1:8560`,
        cause,
      )
    case 'EACCES':
      return new ListenError('not-permitted', `${what} not permitted; take a port from 1024 on`, cause)
    default:
      return new ListenError('failed', `${what} ${error.message}`, cause)
  }
}

/** Removes a socket that nobody answers on; refuses where somebody does, or where it is no socket at all. */
async function clearStale(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (!stats) return
  if (!stats.isSocket()) {
    throw new ListenError(
      'not-a-socket',
      `${path} is there and is no socket; remove it or change control.socket`,
    )
  }
  if (await isSocketAnswered(path)) throw alreadyRunning(path)
  await unlink(path)
}

/** Whether somebody answers on a Unix socket. */
export function isSocketAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    const settle = (answered: boolean) => {
      probe.destroy()
      resolve(answered)
    }
    probe.once('connect', () => settle(true))
    // A full accept queue (EAGAIN) is somebody's too; only a refusal says that nobody is there.
    probe.once('error', (error: NodeJS.ErrnoException) =>
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
    probe.setTimeout(1000, () => settle(true))
  })
}

function alreadyRunning(path: string, cause?: unknown): ListenError {
  return new ListenError(
    'daemon-running',
    `another Ringfence already answers on ${path}; stop it first, or change control.socket`,
    { cause },
  )
}

async function shareWith(path: string, group: string | undefined): Promise<string | null> {
  const gid = group === undefined ? undefined : await gidOf(group)
  try {
    if (gid !== undefined && group !== undefined) {
      await chown(path, process.getuid?.() ?? 0, gid)
      await chmod(path, 0o660)
      return group
    }
  } catch (error) {
    // Without root the group cannot be given; then the socket is ours alone.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error
  }
  await chmod(path, 0o600)
  return null
}

async function gidOf(group: string): Promise<number | undefined> {
  const lines = (await readFile('/etc/group', 'utf8').catch(() => '')).split('\n')
  for (const line of lines) {
    const [name, , gid] = line.split(':')
    if (name === group && gid !== undefined && /^\d+$/.test(gid)) return Number(gid)
  }
  return undefined
}

function removeIfOurs(path: string, ino: number): void {
  try {
    if (lstatSync(path).ino === ino) unlinkSync(path)
  } catch {
    // It is gone already.
  }
}
