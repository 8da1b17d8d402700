import { createSocket, type Socket } from 'node:dgram'
import { createConnection, type Socket as Stream } from 'node:net'
import type { SipMessage, SipResponse } from '../../registrar/sip/message.ts'
import { SipFramer } from '../../registrar/sip/stream-framer.ts'
import { type Answering, answerTo, type RegisterParts, readText, requestText } from './requests.ts'

const DEADLINE = 5_000

/** Resolves when the condition holds; fails with `what` when it has not within the deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadline = DEADLINE,
): Promise<void> {
  const end = Date.now() + deadline
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${deadline} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A phone in a test: sends bytes, hears answers in order. */
export interface Phone {
  readonly port: number
  readonly heard: readonly SipMessage[]
  send(bytes: string | Buffer): void
  /** The next answer not yet taken. */
  next(): Promise<SipResponse>
  register(parts?: RegisterParts, how?: Answering): Promise<SipResponse>
  close(): void
}

let calls = 0

function phoneOf(
  port: number,
  transport: 'UDP' | 'TCP',
  host: string,
  send: (bytes: string | Buffer) => void,
  close: () => void,
) {
  const heard: SipMessage[] = []
  let taken = 0
  const shownHost = host.includes(':') ? `[${host}]` : host
  const phone = {
    port,
    heard,
    send,
    close,
    async next(): Promise<SipResponse> {
      await until(() => heard.length > taken, 'an answer')
      return heard[taken++] as SipResponse
    },
    async register(parts: RegisterParts = {}, how: Answering = {}): Promise<SipResponse> {
      const user = parts.user ?? how.user ?? '1001'
      const callId = parts.callId ?? `call${++calls}@${host}`
      const contact = parts.contact === undefined ? `<sip:${user}@${shownHost}:${port}>` : parts.contact
      const cseq = parts.cseq ?? 1
      const whole = (more: RegisterParts) => {
        const via = `Via: SIP/2.0/${transport} ${shownHost}:${port};branch=z9hG4bK${++calls};rport`
        return requestText({ via, ...parts, user, callId, contact, cseq, ...more })
      }
      send(whole({}))
      const challenge = await phone.next()
      if (challenge.status !== 401) return challenge
      send(whole({ cseq: cseq + 1, authorization: answerTo(challenge, { ...how, user }) }))
      return phone.next()
    },
  }
  return phone
}

export async function udpPhone(server: { host: string; port: number }): Promise<Phone> {
  const socket: Socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4')
  await new Promise<void>((resolve) => socket.bind({ address: server.host, port: 0 }, resolve))
  const phone = phoneOf(
    socket.address().port,
    'UDP',
    server.host,
    (bytes) => socket.send(bytes, server.port, server.host),
    () => socket.close(),
  )
  socket.on('message', (bytes) => phone.heard.push(readText(bytes)))
  return phone
}

export interface TcpPhone extends Phone {
  readonly stream: Stream
}

export async function tcpPhone(server: { host: string; port: number }): Promise<TcpPhone> {
  const stream = createConnection({ host: server.host, port: server.port })
  stream.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    stream.once('connect', resolve)
    stream.once('close', () => reject(new Error('closed before it was open')))
  })
  const phone = phoneOf(
    stream.localPort ?? 0,
    'TCP',
    server.host,
    (bytes) => stream.write(bytes),
    () => stream.destroy(),
  )
  const framer = new SipFramer()
  stream.on('data', (bytes: Buffer) => {
    for (const reading of framer.push(Buffer.from(bytes))) {
      if (reading.kind === 'message') phone.heard.push(reading.message)
    }
  })
  return Object.assign(phone, { stream })
}
