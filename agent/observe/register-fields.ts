import type { Seconds } from '../../registrar/net/time.ts'
import type { SipMessage, SipRequest, SipResponse } from '../../registrar/sip/message.ts'
import { readAddress, readContacts } from '../../registrar/sip/read-address.ts'
import {
  readChallenge,
  readCredentials as readDigestCredentials,
} from '../../registrar/sip/read-authorization.ts'
import { readCSeq } from '../../registrar/sip/read-cseq.ts'
import { readExpires } from '../../registrar/sip/read-expires.ts'
import { aorOf, readUri } from '../../registrar/sip/read-uri.ts'
import { readVia } from '../../registrar/sip/read-via.ts'

/** More Authorization headers than realms that a phone could have are passed over. */
const MOST_CREDENTIALS = 4
/** Where the answer grants a registration and says no time (RFC 3261 section 10.2.1.1 leaves it to the registrar). */
const USUAL_EXPIRES: Seconds = 3600

export interface TransactionFields {
  readonly callId: string
  readonly cseq: number
  readonly method: string
  /** Empty where the client sent none (RFC 2543). */
  readonly branch: string
}

/** What tells one transaction of a client from another; undefined where Call-ID or CSeq cannot be read. */
export function readTransaction(message: SipMessage): TransactionFields | undefined {
  const callId = message.first('call-id')
  const cseq = readCSeq(message.first('cseq'))
  if (callId === undefined || !cseq.ok) return undefined
  const via = readVia(message.first('via'))
  return {
    callId,
    cseq: cseq.value.number,
    method: cseq.value.method,
    branch: (via.ok && via.value.branch) || '',
  }
}

/** Whom a REGISTER speaks for: `user@host` of To; empty where it cannot be read. */
export function readAccount(request: SipRequest): string {
  const to = readAddress(request.first('to'))
  if (!to.ok) return ''
  const uri = readUri(to.value.uri)
  return uri.ok ? aorOf(uri.value) : ''
}

/** The nonces that a request answers to; an empty one (as IMS phones send first) answers nothing. */
export function readAnsweredNonces(request: SipRequest): string[] {
  const nonces: string[] = []
  for (const value of headersOf(request, 'authorization', 'proxy-authorization')) {
    const credentials = readDigestCredentials(value)
    if (credentials.ok && credentials.value.kind === 'digest' && credentials.value.nonce !== '') {
      nonces.push(credentials.value.nonce)
    }
  }
  return nonces
}

/** The challenges that an answer carries. */
export function readIssued(response: SipResponse): { readonly nonce: string; readonly stale: boolean }[] {
  const issued: { nonce: string; stale: boolean }[] = []
  for (const value of headersOf(response, 'www-authenticate', 'proxy-authenticate')) {
    const challenge = readChallenge(value)
    if (challenge.ok && challenge.value.kind === 'digest' && challenge.value.nonce !== '') {
      issued.push({ nonce: challenge.value.nonce, stale: challenge.value.stale })
    }
  }
  return issued
}

/** The longest lifetime that a 200 grants any binding; 0 where it lists none, as after a removal. */
export function readGrantedExpires(response: SipResponse): Seconds {
  const contacts = readContacts(response.all('contact'))
  const general = response.first('expires')
  const read = readExpires(general)
  const otherwise = read.ok ? read.value : USUAL_EXPIRES
  if (!contacts.ok || contacts.value.kind === 'all') return otherwise
  let longest = 0
  for (const contact of contacts.value.contacts) longest = Math.max(longest, contact.expires ?? otherwise)
  return longest
}

function headersOf(message: SipMessage, ...names: readonly [string, string]): readonly string[] {
  return names.flatMap((name) => message.all(name)).slice(0, MOST_CREDENTIALS)
}
