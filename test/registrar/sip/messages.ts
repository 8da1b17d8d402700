import type { SipMessage, SipReading, SipRequest } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'

/** The bytes of a message given as lines: one character a byte, CRLF behind each line, an empty line at the end. */
export function bytesOf(lines: readonly string[], body = ''): Buffer {
  return Buffer.from([...lines, '', body].join('\r\n'), 'latin1')
}

const VIA = 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1'

/** A REGISTER with the headers that a test is about added. */
export function registerBytes(...headers: readonly string[]): Buffer {
  return bytesOf([
    'REGISTER sip:example.com SIP/2.0',
    VIA,
    'From: <sip:a@example.com>;tag=1',
    'To: <sip:a@example.com>',
    'Call-ID: c1',
    'CSeq: 1 REGISTER',
    ...headers,
  ])
}

export function messageIn(bytes: Buffer): SipMessage {
  const reading = readSipMessage(bytes)
  if (reading.kind !== 'message') throw new Error(`not read: ${JSON.stringify(reading)}`)
  return reading.message
}

export function requestIn(bytes: Buffer): SipRequest {
  const message = messageIn(bytes)
  if (message.kind !== 'request') throw new Error('a response')
  return message
}

/** A message as a plain value, everything in it decoded. */
export function plain(message: SipMessage) {
  const { kind, headers, body } = message
  return message.kind === 'request'
    ? { kind, method: message.method, uri: message.uri, headers, body: body.toString('latin1') }
    : {
        kind,
        status: message.status,
        reasonPhrase: message.reasonPhrase,
        headers,
        body: body.toString('latin1'),
      }
}

/** A reading as a plain value. */
export function plainReading(reading: SipReading) {
  return 'message' in reading && reading.message
    ? { ...reading, message: plain(reading.message) }
    : { ...reading }
}
