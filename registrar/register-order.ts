import { contactKey, type RegisterOrder, type WantedContact } from './binding.ts'
import type { Seconds } from './net/time.ts'
import type { SipRequest } from './sip/message.ts'
import { type Contact, readAddress, readContacts } from './sip/read-address.ts'
import { readCSeq } from './sip/read-cseq.ts'
import { MALFORMED_EXPIRES, readExpires } from './sip/read-expires.ts'
import { aorOf, readUri } from './sip/read-uri.ts'
import { readVia } from './sip/read-via.ts'

/** What every request must say before anything is done about it (RFC 3261 section 8.1.1). */
export type Envelope =
  | { readonly kind: 'envelope'; readonly callId: string; readonly cseq: number; readonly target: string }
  /** Without a usable Via nobody can be answered. */
  | { readonly kind: 'unanswerable' }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Longest Call-ID, Contact and so on that is kept; what a table holds must have an end. */
const LONGEST_CALL_ID = 255
const LONGEST_CONTACT = 512
const LONGEST_INSTANCE = 128
const LONGEST_USER_AGENT = 128

/** Reads the headers that every request has. `target` is the user part of To, or '' where it has none. */
export function readEnvelope(request: SipRequest): Envelope {
  if (!readVia(request.first('via')).ok) return { kind: 'unanswerable' }
  const callId = request.first('call-id')
  if (!callId || callId.length > LONGEST_CALL_ID) return { kind: 'malformed', reason: 'Bad Call-ID' }
  const cseq = readCSeq(request.first('cseq'))
  if (!cseq.ok || cseq.value.method !== request.method) return { kind: 'malformed', reason: 'Bad CSeq' }
  if (!readAddress(request.first('from')).ok) return { kind: 'malformed', reason: 'Bad From' }
  const to = readAddress(request.first('to'))
  const uri = to.ok ? readUri(to.value.uri) : to
  if (!uri.ok) return { kind: 'malformed', reason: 'Bad To' }
  const aor = aorOf(uri.value)
  // The canonical text holds one @ at most, behind the user.
  const at = aor.indexOf('@')
  const target = uri.value.scheme === 'tel' ? aor : aor.slice(0, Math.max(at, 0))
  return { kind: 'envelope', callId, cseq: cseq.value.number, target }
}

/** The User-Agent for people to read: bounded, and nothing in it that is not printable. */
export function userAgentOf(request: SipRequest): string {
  const text = request.first('user-agent') ?? ''
  return text.slice(0, LONGEST_USER_AGENT).replace(/[^\x20-\x7e\u00a1-\uffff]/g, '?')
}

export type WishReading =
  | { readonly kind: 'wish'; readonly wish: RegisterOrder['wish'] }
  | { readonly kind: 'malformed'; readonly reason: string }

/** Reads what a REGISTER wants done (RFC 3261 section 10.3 steps 6 and 7). */
export function readWish(request: SipRequest): WishReading {
  const contacts = readContacts(request.all('contact'))
  if (!contacts.ok) return malformed('Bad Contact')
  const expires = expiresOf(request)
  if (contacts.value.kind === 'all') {
    return expires === 0
      ? { kind: 'wish', wish: { kind: 'remove-all' } }
      : malformed('Contact * Needs Expires 0')
  }
  if (contacts.value.contacts.length === 0) return { kind: 'wish', wish: { kind: 'fetch' } }
  const wanted: WantedContact[] = []
  for (const contact of contacts.value.contacts) {
    const read = wantedOf(contact, expires)
    if (typeof read === 'string') return malformed(read)
    wanted.push(read)
  }
  return { kind: 'wish', wish: { kind: 'set', contacts: wanted } }
}

function wantedOf(contact: Contact, expires: Seconds | undefined): WantedContact | string {
  if (contact.uri.length > LONGEST_CONTACT) return 'Contact Too Long'
  const uri = readUri(contact.uri)
  if (!uri.ok || uri.value.scheme === 'tel') return 'Bad Contact'
  const instance = contact.parameters.get('+sip.instance')
  return {
    uri: contact.uri,
    key: contactKey(uri.value),
    q: contact.q ?? 1,
    instance: instance && instance.length <= LONGEST_INSTANCE ? instance : null,
    expires: contact.expires ?? expires,
  }
}

function expiresOf(request: SipRequest): Seconds | undefined {
  const written = request.first('expires')
  if (written === undefined) return undefined
  const expires = readExpires(written)
  return expires.ok ? expires.value : MALFORMED_EXPIRES
}

function malformed(reason: string): WishReading {
  return { kind: 'malformed', reason }
}
