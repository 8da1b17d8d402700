import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askDaemon } from '../../../agent/cli/client.ts'
import { CliFailure } from '../../../agent/cli/outcome.ts'
import { answering, listen, newPlace, type Place, type Reply, run } from './command-line.ts'

let place: Place
const closers: (() => Promise<void>)[] = []

beforeEach(() => {
  place = newPlace()
})

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  place.remove()
})

async function serve(reply: Reply, socket = place.socket) {
  const server = await listen(socket, reply)
  closers.push(server.close)
  return server.heard
}

describe('no daemon', () => {
  const sentence = (socket: string) =>
    `ringfence: the daemon is not running (nothing answers on ${socket}); start it with \`systemctl start ringfence\`, or in the foreground with \`ringfence run\`\n`

  test('no socket is 3', async () => {
    expect(await run(place, ['blocked'])).toEqual({ code: 3, out: '', err: sentence(place.socket) })
  })

  test('a socket that a dead daemon left is 3', async () => {
    writeFileSync(place.socket, '')
    expect(await run(place, ['on'])).toEqual({ code: 3, out: '', err: sentence(place.socket) })
  })

  test('`off` takes the rules away itself', async () => {
    const removeEverything = async () => ['RINGFENCE (IPv4)', 'rf-block4']
    expect(await run(place, ['off'], { removeEverything })).toEqual({
      code: 0,
      out: 'removed from the kernel: 1 chain and 1 set (`--json` names them)\nno daemon is running\n',
      err: '',
    })
    expect(await run(place, ['off', '--json'], { removeEverything: async () => [] })).toEqual({
      code: 0,
      out: '{"removed":[]}\n',
      err: '',
    })
    expect(await run(place, ['off'], { removeEverything: async () => [] })).toEqual({
      code: 0,
      out: 'nothing of Ringfence was in the kernel\nno daemon is running\n',
      err: '',
    })
  })

  test('`off` passes on why that failed', async () => {
    const removeEverything = () => Promise.reject(new CliFailure(5, 'not-permitted', 'only root may do that'))
    expect(await run(place, ['off'], { removeEverything })).toEqual({
      code: 5,
      out: '',
      err: 'ringfence: only root may do that\n',
    })
  })
})

describe('a refusal of the daemon', () => {
  test.each([
    { status: 400, error: 'bad-input', code: 2 },
    { status: 403, error: 'forbidden', code: 5 },
    { status: 404, error: 'not-found', code: 4 },
    { status: 409, error: 'conflict', code: 1 },
    { status: 500, error: 'internal', code: 1 },
    { status: 503, error: 'unavailable', code: 1 },
  ])('$status $error is $code', async ({ status, error, code }) => {
    await serve(answering(status, { error, message: `because of \u001b]0;${error}` }))
    expect(await run(place, ['block', '203.0.113.7', '--json'])).toEqual({
      code,
      out: `{"error":"${error}","message":"because of \\u001b]0;${error}"}\n`,
      err: `ringfence: because of \\u001b]0;${error}\n`,
    })
  })

  test('something else on the socket is 1', async () => {
    await serve((_heard, response) => response.writeHead(200).end('<html>'))
    expect(await run(place, ['status'])).toEqual({
      code: 1,
      out: '',
      err: `ringfence: what listens on ${place.socket} does not answer like the Ringfence daemon (status 200)\n`,
    })
  })

  test('a daemon that breaks off is 3', async () => {
    await serve((_heard, _response, request) => request.socket.destroy())
    expect(await run(place, ['status'])).toEqual({
      code: 3,
      out: '',
      err: `ringfence: the daemon broke off on ${place.socket} (ECONNRESET); its log says why (journalctl -u ringfence)\n`,
    })
  })

  test.each([
    { kind: 'says nothing', prelude: '' },
    { kind: 'stops in the middle of an answer', prelude: 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[' },
  ])('a daemon that $kind is 3', async ({ prelude }) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.write(prelude)
      closers.push(async () => {
        socket.destroy()
      })
    })
    await new Promise<void>((resolve) => server.listen(place.socket, resolve))
    closers.push(() => new Promise((resolve) => server.close(() => resolve())))
    const asked = askDaemon(
      { socket: place.socket, caller: 'alice@cli', patience: 100 },
      { method: 'GET', path: 'status' },
    )
    await expect(asked).rejects.toMatchObject({
      exitCode: 3,
      code: 'no-answer',
      message: `the daemon did not answer on ${place.socket} within 0.1 s; its log says what it does (journalctl -u ringfence)`,
    })
  })
})

describe('the socket is found', () => {
  const elsewhere = () => join(place.folder, 'elsewhere.sock')

  test.each([
    { how: 'by --socket', args: () => ['--socket', elsewhere()], config: undefined },
    {
      how: 'by --socket before the command',
      args: () => ['--socket', elsewhere()],
      config: undefined,
      before: true,
    },
    { how: 'by --config', args: () => ['--config', join(place.folder, 'other.yaml')], config: 'other.yaml' },
    { how: 'by the usual configuration file', args: () => [], config: 'ringfence.yaml' },
  ])('$how', async ({ args, config, before }) => {
    if (config)
      writeFileSync(join(place.folder, config), `control: { socket: ${elsewhere()} }\nmode: [broken`)
    const heard = await serve(answering(200, []), elsewhere())
    const words = before ? [...args(), 'blocked'] : ['blocked', ...args()]
    expect(await run(place, words)).toEqual({ code: 0, out: 'nothing is blocked or suspended\n', err: '' })
    expect(heard).toHaveLength(1)
  })

  test('a usual file that cannot be read does not matter, a named one does', async () => {
    mkdirSync(place.configFile)
    await serve(answering(200, []))
    expect((await run(place, ['blocked'])).code).toBe(0)
    expect(await run(place, ['blocked', '--config', '/nonexistent.yaml'])).toEqual({
      code: 1,
      out: '',
      err: 'ringfence: /nonexistent.yaml cannot be read (ENOENT)\n',
    })
  })
})
