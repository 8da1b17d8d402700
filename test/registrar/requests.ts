import { digestResponse, hashPassword } from '../../registrar/digest.ts'
import type { SipMessage, SipRequest } from '../../registrar/sip/message.ts'
import { readChallenge } from '../../registrar/sip/read-authorization.ts'
import { readSipMessage } from '../../registrar/sip/read-message.ts'

/** What a REGISTER in a test says; whatever is left out is as a plain phone says it. */
export interface RegisterParts {
  readonly method?: string
  readonly uri?: string
  readonly user?: string
  readonly callId?: string
  readonly cseq?: number
  readonly branch?: string
  readonly via?: string
  readonly contact?: string | null
  readonly expires?: string
  readonly authorization?: string
  readonly headers?: readonly string[]
}

let count = 0

export function requestText(parts: RegisterParts = {}): string {
  const { method = 'REGISTER', user = '1001', cseq = 1, contact = `<sip:${user}@192.0.2.1:5060>` } = parts
  const branch = parts.branch ?? `z9hG4bK${++count}`
  const lines = [
    `${method} ${parts.uri ?? 'sip:ringfence.example'} SIP/2.0`,
    parts.via ?? `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=${branch};rport`,
    `From: <sip:${user}@ringfence.example>;tag=f`,
    `To: <sip:${user}@ringfence.example>`,
    `Call-ID: ${parts.callId ?? 'call@192.0.2.1'}`,
    `CSeq: ${cseq} ${method}`,
    'Max-Forwards: 70',
    ...(contact === null ? [] : [`Contact: ${contact}`]),
    ...(parts.expires === undefined ? [] : [`Expires: ${parts.expires}`]),
    ...(parts.authorization === undefined ? [] : [`Authorization: ${parts.authorization}`]),
    ...(parts.headers ?? []),
    'User-Agent: test phone',
    'Content-Length: 0',
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

export function readText(text: string | Buffer): SipMessage {
  const reading = readSipMessage(Buffer.from(text as string))
  if (reading.kind !== 'message') throw new Error(`no SIP message but ${JSON.stringify(reading)}`)
  return reading.message
}

export function requestOf(parts: RegisterParts = {}): SipRequest {
  const message = readText(requestText(parts))
  if (message.kind !== 'request') throw new Error('not a request')
  return message
}

export interface Answering {
  readonly user?: string
  readonly password?: string
  readonly algorithm?: 'MD5' | 'SHA-256'
  readonly nc?: string
  /** Leaves qop, nc and cnonce out (RFC 2069). */
  readonly legacy?: boolean
  readonly uri?: string
  readonly method?: string
  readonly realm?: string
}

/** The Authorization value that answers the challenge of a response (or a bare nonce). */
export function answerTo(challenge: SipMessage | string, how: Answering = {}): string {
  const { user = '1001', password = 'secret', algorithm = 'MD5', nc = '00000001', method = 'REGISTER' } = how
  const uri = how.uri ?? 'sip:ringfence.example'
  let nonce: string
  let realm = how.realm ?? 'ringfence'
  if (typeof challenge === 'string') {
    nonce = challenge
  } else {
    const read = readChallenge(challenge.first('www-authenticate'))
    if (!read.ok || read.value.kind !== 'digest') throw new Error('no challenge in the response')
    nonce = read.value.nonce
    realm = how.realm ?? read.value.realm
  }
  const hashes = hashPassword({ user, realm, password })
  const ha1 = algorithm === 'MD5' ? hashes.md5 : hashes.sha256
  const protection = how.legacy ? {} : { protection: { cnonce: 'abc', nonceCount: nc } }
  const response = digestResponse(ha1, method, { algorithm, nonce, uri, ...protection })
  const base = `Digest username="${user}",realm="${realm}",nonce="${nonce}",uri="${uri}",response="${response}"`
  return `${base},algorithm=${algorithm}${how.legacy ? '' : `,qop=auth,nc=${nc},cnonce="abc"`}`
}
