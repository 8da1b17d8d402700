import { readAddress, readContacts } from '../../registrar/sip/read-address.ts'
import { readChallenge, readCredentials } from '../../registrar/sip/read-authorization.ts'
import { readCSeq } from '../../registrar/sip/read-cseq.ts'
import { readSipMessage } from '../../registrar/sip/read-message.ts'
import { aorOf, readUri } from '../../registrar/sip/read-uri.ts'
import { readVias } from '../../registrar/sip/read-via.ts'
import { respond } from '../../registrar/sip/respond.ts'
import { SipFramer } from '../../registrar/sip/stream-framer.ts'
import { type Report, showCount } from './figures.ts'
import { hostileMessages } from './hostile-messages.ts'

const VIA = 'Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---7a3c;rport\r\n'
const ADDRESSES =
  'From: "1001" <sip:1001@sip.example.com>;tag=8a3f0c55\r\nTo: "1001" <sip:1001@sip.example.com>\r\n' +
  'Call-ID: 98765-Mzk0ZjE2YjY4@192.0.2.17\r\nCSeq: 2 REGISTER\r\n'
const CONTACT = 'Contact: <sip:1001@192.0.2.17:5060;transport=UDP>;expires=300\r\n'

/** What phones and softswitches send all day. */
export const TYPICAL_MESSAGES = {
  register: Buffer.from(
    `REGISTER sip:sip.example.com SIP/2.0\r\n${VIA}Max-Forwards: 70\r\n${ADDRESSES}${CONTACT}` +
      'Authorization: Digest username="1001", realm="sip.example.com", nonce="ZbX2d2W19ku1d8Vm", ' +
      'uri="sip:sip.example.com", response="6629fae49393a05397450978507c4ef1", algorithm=MD5, ' +
      'cnonce="0a4f113b", qop=auth, nc=00000001\r\nAllow: INVITE, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS\r\n' +
      'User-Agent: Example Phone 2.1.9\r\nContent-Length: 0\r\n\r\n',
  ),
  401: Buffer.from(
    `SIP/2.0 401 Unauthorized\r\n${VIA}${ADDRESSES}WWW-Authenticate: Digest realm="sip.example.com", ` +
      'nonce="ZbX2d2W19ku1d8Vm", qop="auth"\r\nServer: example (5.6.3)\r\nContent-Length: 0\r\n\r\n',
  ),
  200: Buffer.from(
    `SIP/2.0 200 OK\r\n${VIA}${ADDRESSES}${CONTACT}Server: example (5.6.3)\r\nContent-Length: 0\r\n\r\n`,
  ),
}

/** Everything that the sensor and the registrar ever ask of one message. */
export function readEverything(bytes: Buffer): void {
  const reading = readSipMessage(bytes)
  if (reading.kind !== 'message') return
  const { message } = reading
  for (const value of [message.first('from'), message.first('to')]) {
    const address = readAddress(value)
    const uri = address.ok ? readUri(address.value.uri) : undefined
    if (uri?.ok) aorOf(uri.value)
  }
  readVias(message.all('via'))
  readCSeq(message.first('cseq'))
  readContacts(message.all('contact'))
  for (const value of message.all('authorization')) readCredentials(value)
  for (const value of message.all('www-authenticate')) readChallenge(value)
  message.first('call-id')
  message.first('user-agent')
}

/** How many messages a second are read, and what hostile datagrams cost. */
export async function benchSipReader(report: Report): Promise<void> {
  for (const [name, bytes] of Object.entries(TYPICAL_MESSAGES)) {
    const short = perSecond(() => {
      const reading = readSipMessage(bytes)
      if (reading.kind !== 'message') throw new Error(`${name} was not read`)
      reading.message.first('call-id')
      reading.message.first('cseq')
    })
    const full = perSecond(() => readEverything(bytes))
    const message = name === 'register' ? 'REGISTER with credentials' : name
    report(`${message}, ${bytes.length} B: Call-ID and CSeq taken`, `${showCount(short)} messages/s`)
    report(`${message}, ${bytes.length} B: every field read`, `${showCount(full)} messages/s`)
  }
  const reading = readSipMessage(TYPICAL_MESSAGES.register)
  if (reading.kind === 'message' && reading.message.kind === 'request') {
    const request = reading.message
    report(
      'REGISTER answered with 401, reading not included',
      `${showCount(perSecond(() => respond(request, { status: 401 })))} messages/s`,
    )
  }

  const size = 65_507
  const costs = hostileMessages(size).map(({ name, bytes }) => ({
    name,
    read: best(() => readSipMessage(bytes)),
    all: best(() => readEverything(bytes)),
  }))
  costs.sort((a, b) => b.all - a.all)
  for (const { name, read, all } of costs.slice(0, 5)) {
    report(
      `64 kB of ${name}, one of the five worst of ${costs.length} hostile shapes`,
      `${read.toFixed(3)} ms to read, ${all.toFixed(3)} ms with every field`,
    )
  }
  const bytes = Buffer.alloc(65_000, TYPICAL_MESSAGES.register)
  const single = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
  const oneByOne = best(() => {
    const framer = new SipFramer()
    for (const byte of single) framer.push(byte)
  })
  report('64 kB of REGISTERs in TCP segments of one byte', `${oneByOne.toFixed(2)} ms`)
}

/** From the best of many short samples: what the work costs when nothing disturbs it. */
function perSecond(run: () => void): number {
  times(50_000, run)
  const rounds = 500
  let fastest = Number.POSITIVE_INFINITY
  for (let sample = 0; sample < 400; sample++) {
    fastest = Math.min(
      fastest,
      milliseconds(() => times(rounds, run)),
    )
  }
  return (rounds / fastest) * 1000
}

/** The best of several runs in milliseconds: what the work costs when nothing disturbs it. */
function best(run: () => void): number {
  let fastest = Number.POSITIVE_INFINITY
  for (let sample = 0; sample < 200; sample++) fastest = Math.min(fastest, milliseconds(run))
  return fastest
}

function times(rounds: number, run: () => void): void {
  for (let i = 0; i < rounds; i++) run()
}

function milliseconds(run: () => void): number {
  const start = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - start) / 1e6
}
