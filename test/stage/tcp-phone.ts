import { type ChildProcess, spawn } from 'node:child_process'
import type { SipResponse } from '../../registrar/sip/message.ts'
import { SipFramer } from '../../registrar/sip/stream-framer.ts'
import { answerTo, requestText } from '../registrar/requests.ts'
import { eventually } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** Joins standard input and output to a connection; says `connected` where the errors go. */
const LINE = `
const [host, port] = process.argv.slice(1)
const stream = require('node:net').connect(Number(port), host)
const giveUp = setTimeout(() => process.exit(1), 2500)
stream.on('error', () => process.exit(1))
stream.on('close', () => process.exit(0))
stream.on('connect', () => {
  clearTimeout(giveUp)
  process.stderr.write('connected')
  process.stdin.pipe(stream).pipe(process.stdout)
})`

/** A phone with one TCP connection, that does only what it is told to. */
export interface TcpPhone {
  /** Registers over its connection; rejects where that fails. */
  register(): Promise<void>
  end(): Promise<void>
}

/** Connects; rejects with `no connection` where the server does not take it within 2.5 s. */
export async function startTcpPhone(
  stage: Stage,
  host: StageHost,
  server: string,
  { user, port = 5060 }: { user: number; port?: number },
): Promise<TcpPhone> {
  const name = host.namespace.name
  const args = ['netns', 'exec', name, process.execPath, '-e', LINE, server, String(port)]
  const child = spawn('ip', args, { cwd: stage.folder, stdio: ['pipe', 'pipe', 'pipe'] })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const connected = new Promise<boolean>((resolve) => {
    child.stderr.once('data', (said) => resolve(String(said) === 'connected'))
    void closed.then(() => resolve(false))
  })
  if (!(await connected)) throw new Error(`no connection from ${host.address} to ${server}:${port}`)
  return {
    register: () => register(child, `sip:${user}@${host.address}`, { user, server }),
    end: async () => {
      child.stdin.end()
      child.kill()
      await closed
    },
  }
}

async function register(
  { stdin, stdout }: ChildProcess,
  aor: string,
  { user, server }: { user: number; server: string },
): Promise<void> {
  const framer = new SipFramer()
  const heard: SipResponse[] = []
  stdout?.on('data', (bytes: Buffer) => {
    for (const reading of framer.push(Buffer.from(bytes))) {
      if (reading.kind === 'message' && reading.message.kind === 'response') heard.push(reading.message)
    }
  })
  const ask = async (cseq: number, more: { authorization?: string }): Promise<SipResponse> => {
    const via = `Via: SIP/2.0/TCP ${aor.split('@')[1]}:5060;branch=z9hG4bKtcp${cseq}`
    const parts = { user: String(user), uri: `sip:${server}`, via, cseq, contact: `<${aor}:5060>` }
    stdin?.write(requestText({ ...parts, ...more }))
    return eventually(() => heard[cseq - 1], 5_000, `an answer to REGISTER ${cseq} over TCP`)
  }
  const challenge = await ask(1, {})
  if (challenge.status !== 401) throw new Error(`expected a challenge, heard ${challenge.status}`)
  const how = { user: String(user), password: `pw${user}`, uri: `sip:${server}` }
  const { status } = await ask(2, { authorization: answerTo(challenge, how) })
  if (status !== 200) throw new Error(`expected 200, heard ${status}`)
}
