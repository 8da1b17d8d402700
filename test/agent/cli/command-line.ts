import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CliDeps } from '../../../agent/cli/deps.ts'
import { runCommandLine } from '../../../agent/cli/program.ts'

export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** A folder of its own, with a configuration file and a socket that do not exist yet. */
export interface Place {
  readonly folder: string
  readonly socket: string
  readonly configFile: string
  remove(): void
}

export function newPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-cli-'))
  return {
    folder,
    socket: join(folder, 'control.sock'),
    configFile: join(folder, 'ringfence.yaml'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Runs one command line with everything it writes caught. */
export async function run(
  place: Place,
  args: readonly string[],
  changes: Partial<CliDeps> = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const unexpected = (what: string) => () => Promise.reject(new Error(`${what} was not expected`))
  const code = await runCommandLine(args, {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    colours: false,
    now: () => NOW,
    caller: 'alice@cli',
    defaults: { configFile: place.configFile, socket: place.socket },
    version: () => '1.2.3',
    askSecret: undefined,
    askLine: undefined,
    readInput: unexpected('reading standard input'),
    runDaemon: unexpected('the daemon'),
    replayCaptures: unexpected('a replay'),
    removeEverything: unexpected('touching the kernel'),
    restoreRules: unexpected('restoring the rules'),
    runBeside: unexpected('another program'),
    ...changes,
  })
  return { code, out, err }
}

/** One request as it came over the socket. */
export interface Heard {
  readonly method: string
  readonly url: string
  readonly by: string | undefined
  readonly body: unknown
}

export type Reply = (heard: Heard, response: ServerResponse, request: IncomingMessage) => void

/** A real HTTP server on a Unix socket that answers as it is told, and remembers what it heard. */
export async function listen(
  socket: string,
  reply: Reply,
): Promise<{ heard: Heard[]; close(): Promise<void> }> {
  const heard: Heard[] = []
  const server: Server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += String(part)
    const entry: Heard = {
      method: request.method ?? '',
      url: request.url ?? '',
      by: request.headers['x-ringfence-by'] as string | undefined,
      body: text === '' ? undefined : JSON.parse(text),
    }
    heard.push(entry)
    reply(entry, response, request)
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    heard,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

export function answering(status: number, body: unknown): Reply {
  return (_heard, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}
