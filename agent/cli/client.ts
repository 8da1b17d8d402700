import { request } from 'node:http'
import type { Milliseconds } from '../../registrar/net/time.ts'
import { CliFailure, EXIT } from './outcome.ts'

/** How the running daemon is reached. */
export interface Door {
  readonly socket: string
  /** Who gives the order, for the audit trail. */
  readonly caller: string
  /** How long an answer may take; 10 s where it is not said. */
  readonly patience?: Milliseconds
}

export interface Order {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Below `/api/v1`, parts already encoded. */
  readonly path: string
  readonly body?: unknown
}

const PATIENCE: Milliseconds = 10_000
const LARGEST_ANSWER = 64 * 1024 * 1024

/** Asks the daemon over its Unix socket. Throws a `CliFailure` for everything but an answer of 2xx. */
export async function askDaemon(door: Door, order: Order): Promise<unknown> {
  const { status, text } = await exchange(door, order)
  const answer = readJson(text)
  if (answer === undefined) {
    const message = `what listens on ${door.socket} does not answer like the Ringfence daemon (status ${status})`
    throw new CliFailure(EXIT.failed, 'strange-answer', message)
  }
  if (status >= 200 && status < 300) return answer.value
  throw refusalOf(status, answer.value)
}

function exchange(
  { socket, caller, patience = PATIENCE }: Door,
  order: Order,
): Promise<{ status: number; text: string }> {
  const body = order.body === undefined ? undefined : Buffer.from(JSON.stringify(order.body))
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => reject(unreachable(error, { socket, patience }))
    const sent = request(
      {
        socketPath: socket,
        path: `/api/v1/${order.path}`,
        method: order.method,
        agent: false,
        signal: AbortSignal.timeout(patience),
        headers: {
          host: 'ringfence',
          'x-ringfence-by': caller,
          ...(body ? { 'content-type': 'application/json', 'content-length': body.length } : {}),
        },
      },
      (response) => {
        const parts: Buffer[] = []
        let length = 0
        response.on('error', fail)
        response.on('data', (part: Buffer) => {
          parts.push(part)
          length += part.length
          if (length > LARGEST_ANSWER) response.destroy(new Error('the answer is too long'))
        })
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') })
        })
      },
    )
    sent.on('error', fail)
    sent.end(body)
  })
}

function readJson(text: string): { readonly value: unknown } | undefined {
  if (text === '') return { value: null }
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

function refusalOf(status: number, answer: unknown): CliFailure {
  const { error, message } = (answer ?? {}) as { readonly error?: unknown; readonly message?: unknown }
  const code = typeof error === 'string' ? error : `status-${status}`
  const sentence = typeof message === 'string' ? message : `the daemon refused with status ${status}`
  switch (status) {
    case 400:
    case 413:
    case 415:
      return new CliFailure(EXIT.usage, code, sentence)
    case 401:
    case 403:
      return new CliFailure(EXIT.permission, code, sentence)
    case 404:
      return new CliFailure(EXIT.notFound, code, sentence)
    default:
      return new CliFailure(EXIT.failed, code, sentence)
  }
}

function unreachable(
  error: unknown,
  { socket, patience }: { readonly socket: string; readonly patience: Milliseconds },
): CliFailure {
  const { code = '', name = '', message = '' } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    const sentence = `the daemon is not running (nothing answers on ${socket}); start it with \`systemctl start ringfence\`, or in the foreground with \`ringfence run\``
    return new CliFailure(EXIT.unreachable, 'not-running', sentence)
  }
  if (code === 'EACCES' || code === 'EPERM') {
    const sentence = `only root and members of the group ringfence may use ${socket}; try again with sudo`
    return new CliFailure(EXIT.permission, 'not-permitted', sentence)
  }
  if (name === 'AbortError' || name === 'TimeoutError' || code === 'ABORT_ERR') {
    const sentence = `the daemon did not answer on ${socket} within ${patience / 1_000} s; its log says what it does (journalctl -u ringfence)`
    return new CliFailure(EXIT.unreachable, 'no-answer', sentence)
  }
  const sentence = `the daemon broke off on ${socket} (${code || message}); its log says why (journalctl -u ringfence)`
  return new CliFailure(EXIT.unreachable, 'broken-off', sentence)
}
