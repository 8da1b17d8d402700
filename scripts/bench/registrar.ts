import { fork } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { fileURLToPath } from 'node:url'
import { digestResponse, hashPassword } from '../../registrar/digest.ts'
import { handleRegister } from '../../registrar/handle-register.ts'
import type { FromRegistrar } from '../../registrar/messages.ts'
import { type Address, parseAddress, type Source } from '../../registrar/net/address.ts'
import { openRegistrar, type RegistrarSettings } from '../../registrar/open-registrar.ts'
import { DEFAULT_POLICY } from '../../registrar/policy.ts'
import { readSipMessage } from '../../registrar/sip/read-message.ts'
import { type Report, showCount, showTimes } from './figures.ts'

const PHONES = 2_000
const SECONDS = 3
const LOOPBACK = parseAddress('127.0.0.1') as Address
const REALM = 'bench'
const NONCE = /nonce="([^"]+)"/

const SETTINGS: RegistrarSettings = {
  realm: REALM,
  listen: [{ host: LOOPBACK, port: 0 }],
  minExpires: 60,
  maxExpires: 3_600,
  maxBindings: 10,
  registerReplace: true,
  accounts: Array.from({ length: PHONES }, (_, i) => ({ user: String(i), password: 'secret' })),
  policy: DEFAULT_POLICY,
  directory: null,
}

/** How many REGISTERs a second are handled in process, and answered over UDP on the loopback. */
export async function benchRegistrar(report: Report): Promise<void> {
  const phones = `${showCount(PHONES)} phones, MD5 with qop=auth`
  report(
    `${phones}: read and handled in process`,
    `${showCount(inProcess())} successful REGISTERs a second of processor time`,
  )
  for (const inFlight of [1, 32]) {
    const { perSecond, latencies } = await overLoopback(inFlight)
    report(
      `${phones}: over UDP, ${inFlight} in flight`,
      `${showCount(perSecond)} successful REGISTERs a second, ${showTimes(latencies)}`,
    )
  }
}

/** A phone that keeps its nonce and counts it up until it is told that it is stale. */
class BenchPhone {
  readonly #user: string
  readonly #ha1: string
  #nonce = ''
  #count = 0
  #cseq = 0

  constructor(user: string) {
    this.#user = user
    this.#ha1 = hashPassword({ user, realm: REALM, password: 'secret' }).md5
  }

  challenged(nonce: string): void {
    this.#nonce = nonce
    this.#count = 0
  }

  /** The next REGISTER; its branch begins with `tag`, so that the answer finds its asker. */
  next(tag: number): Buffer {
    const [user, cseq] = [this.#user, ++this.#cseq]
    const head =
      `REGISTER sip:bench SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK${tag}.${cseq};rport\r\n` +
      `Max-Forwards: 70\r\nFrom: <sip:${user}@bench>;tag=a\r\nTo: <sip:${user}@bench>\r\n` +
      `Call-ID: ${user}@127.0.0.1\r\nCSeq: ${cseq} REGISTER\r\nContact: <sip:${user}@127.0.0.1>;expires=300\r\n` +
      'User-Agent: bench\r\n'
    return Buffer.from(`${head}${this.#authorization()}Content-Length: 0\r\n\r\n`)
  }

  #authorization(): string {
    if (this.#nonce === '') return ''
    const nonceCount = (++this.#count).toString(16).padStart(8, '0')
    const answer = {
      algorithm: 'MD5',
      nonce: this.#nonce,
      uri: 'sip:bench',
      protection: { cnonce: 'abcd', nonceCount },
    } as const
    const response = digestResponse(this.#ha1, 'REGISTER', answer)
    return (
      `Authorization: Digest username="${this.#user}",realm="${REALM}",nonce="${this.#nonce}",uri="sip:bench",` +
      `response="${response}",algorithm=MD5,qop=auth,nc=${nonceCount},cnonce="abcd"\r\n`
    )
  }
}

function inProcess(): number {
  const { state } = openRegistrar(SETTINGS, Date.now())
  const phones = SETTINGS.accounts.map(({ user }) => new BenchPhone(user))
  const source: Source = { address: LOOPBACK, port: 5060 }
  const handle = (bytes: Buffer) => {
    const reading = readSipMessage(bytes)
    if (reading.kind !== 'message' || reading.message.kind !== 'request') throw new Error('not read')
    return handleRegister(reading.message, source, 'udp', Date.now(), state)
  }
  for (const phone of phones) phone.challenged(NONCE.exec(handle(phone.next(0)).response!.toString())![1]!)
  // The phones' own work is done beforehand and not measured.
  const rounds = 20
  let spentMicroseconds = 0
  let handled = 0
  for (let round = 0; round < rounds; round++) {
    const datagrams = phones.map((phone) => phone.next(0))
    const start = process.cpuUsage()
    for (const datagram of datagrams) {
      if (handle(datagram).outcome.kind !== 'success') throw new Error('not registered')
    }
    const { user, system } = process.cpuUsage(start)
    spentMicroseconds += user + system
    handled += datagrams.length
  }
  return (handled / spentMicroseconds) * 1_000_000
}

async function overLoopback(inFlight: number) {
  const server = fork(fileURLToPath(new URL('../../registrar/main.js', import.meta.url)))
  const port = await new Promise<number>((resolve, reject) => {
    server.on('message', (message: FromRegistrar) => {
      if (message.type === 'ready') resolve(message.listening[0]!.port)
      if (message.type === 'failed') reject(new Error(message.message))
    })
    server.send({ type: 'start', settings: SETTINGS })
  })
  const phones = SETTINGS.accounts.map(({ user }) => new BenchPhone(user))
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 })
  const latencies: number[] = []
  const sentAt = new Float64Array(phones.length)
  let next = 0
  const send = (index: number) => {
    sentAt[index] = performance.now()
    socket.send(phones[index]!.next(index), port, '127.0.0.1')
  }
  socket.on('message', (bytes) => {
    const text = bytes.toString('latin1')
    const index = Number(/branch=z9hG4bK(\d+)\./.exec(text)?.[1])
    if (text.startsWith('SIP/2.0 401')) {
      phones[index]!.challenged(NONCE.exec(text)![1]!)
      send(index)
      return
    }
    if (!text.startsWith('SIP/2.0 200')) throw new Error(text)
    latencies.push(performance.now() - sentAt[index]!)
    send(next++ % phones.length)
  })
  const start = performance.now()
  for (; next < inFlight; ) send(next++)
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1_000))
  const spent = performance.now() - start
  await new Promise<void>((resolve) => socket.close(resolve))
  server.disconnect()
  return { perSecond: (latencies.length / spent) * 1000, latencies }
}
