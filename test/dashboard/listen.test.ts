import { linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { buildApi } from '../../dashboard/api/app.ts'
import { ListenError, listenOnSocket, listenOnWeb } from '../../dashboard/api/listen.ts'
import { imagineControlPlane } from './imagined-control-plane.ts'

let folder: string
const opened: FastifyInstance[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ringfence-listen-'))
})
afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()))
  rmSync(folder, { recursive: true })
})

async function newApp(): Promise<FastifyInstance> {
  const app = await buildApi({ plane: imagineControlPlane(), door: { kind: 'socket' }, version: '0.1.0' })
  opened.push(app)
  return app
}

function askSocket(path: string, options: { method?: string; url: string; body?: string }) {
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: path,
        path: options.url,
        method: options.method ?? 'GET',
        headers: { 'content-type': 'application/json', 'x-ringfence-by': 'root@cli' },
      },
      (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (part) => {
          text += part
        })
        incoming.on('end', () => resolve({ status: incoming.statusCode!, body: JSON.parse(text) }))
      },
    )
    outgoing.once('error', reject).end(options.body)
  })
}

test('orders go over the socket, which goes away with the app', async () => {
  const path = join(folder, 'run', 'control.sock')
  const app = await newApp()
  expect(await listenOnSocket(app, { path })).toEqual({ path, group: null, inode: statSync(path).ino })
  expect(statSync(join(folder, 'run')).mode & 0o777).toBe(0o755)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const order = { method: 'POST', url: '/api/v1/blocks', body: '{"target":"203.0.113.7","seconds":60}' }
  expect(await askSocket(path, order)).toMatchObject({
    status: 201,
    body: { target: '203.0.113.7', evidence: { by: 'root@cli' } },
  })
  await app.close()
  expect(() => statSync(path)).toThrow('ENOENT')
})

test.skipIf(process.getuid?.() !== 0)('a group that exists may open it', async () => {
  const gid = Number(/^daemon:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8'))![1])
  const path = join(folder, 'control.sock')
  expect(await listenOnSocket(await newApp(), { path, group: 'daemon' })).toEqual({
    path,
    group: 'daemon',
    inode: statSync(path).ino,
  })
  const stats = statSync(path)
  expect([stats.mode & 0o777, stats.gid, stats.uid]).toEqual([0o660, gid, 0])
})

test('a group that does not exist opens it to nobody', async () => {
  const path = join(folder, 'control.sock')
  expect(await listenOnSocket(await newApp(), { path, group: 'no-such-group' })).toEqual({
    path,
    group: null,
    inode: statSync(path).ino,
  })
  expect(statSync(path).mode & 0o777).toBe(0o600)
})

test('a second daemon is refused and does not harm the first', async () => {
  const path = join(folder, 'control.sock')
  await listenOnSocket(await newApp(), { path })
  const second = listenOnSocket(await newApp(), { path })
  await expect(second).rejects.toMatchObject({ name: 'ListenError', code: 'daemon-running' })
  expect(await askSocket(path, { url: '/api/v1/blocked' })).toEqual({ status: 200, body: [] })
})

test('a socket that a killed daemon left behind is replaced', async () => {
  const path = join(folder, 'control.sock')
  // Closing would unlink the name it was bound to; the second name stays, as after a kill.
  const dead = createServer().listen(join(folder, 'born.sock'))
  await new Promise((resolve) => dead.once('listening', resolve))
  linkSync(join(folder, 'born.sock'), path)
  await new Promise((resolve) => dead.close(resolve))
  await listenOnSocket(await newApp(), { path })
  expect(await askSocket(path, { url: '/api/v1/blocked' })).toEqual({ status: 200, body: [] })
})

test('what is no socket is left alone', async () => {
  const path = join(folder, 'control.sock')
  writeFileSync(path, 'mine')
  const attempt = listenOnSocket(await newApp(), { path })
  await expect(attempt).rejects.toMatchObject({ name: 'ListenError', code: 'not-a-socket' })
  expect(readFileSync(path, 'utf8')).toBe('mine')
})

test('a path too long for a socket is said, not cut off', async () => {
  const path = join(folder, 'x'.repeat(100))
  await expect(listenOnSocket(await newApp(), { path })).rejects.toThrow('too long for a Unix socket')
})

test('a taken port is said with what to do', async () => {
  const first = await listenOnWeb(await newApp(), { host: '127.0.0.1', port: 0 })
  const second = listenOnWeb(await newApp(), { host: '127.0.0.1', port: first.port })
  await expect(second).rejects.toThrow(
    new ListenError(
      'port-taken',
      `cannot open the dashboard on 127.0.0.1:${first.port}: the port is taken; "ss -ltnp sport = :${first.port}" shows by whom, or choose another in dashboard.listen`,
    ),
  )
})

test('an address that this host does not have is said', async () => {
  const attempt = listenOnWeb(await newApp(), { host: '203.0.113.1', port: 8560 })
  await expect(attempt).rejects.toMatchObject({ name: 'ListenError', code: 'no-such-address' })
})
