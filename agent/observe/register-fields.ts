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
import type { LearntBinding } from './observation.ts'
import { ownCopy } from './own-copy.ts'

/** What is kept of the bindings that a 200 lists. */
const MOST_BINDINGS = 16
const LONGEST_URI = 256
const LONGEST_CONTACT = 512
/** More Authorization headers than anybody has realms; a softswitch looks for its own among all of them. */
const MOST_CREDENTIALS = 16
/** Where the answer grants a registration and says no time (RFC 3261 section 10.2.1.1 leaves it to the registrar). */
const USUAL_EXPIRES: Seconds = 3600

export interface TransactionFields {
  readonly callId: string
  /** The number as it is written, where it is none that can be read: Kamailio answers those too. */
  readonly cseq: number | string
  readonly method: string
  /** Empty where the client sent none (RFC 2543). */
  readonly branch: string
}

/** What tells one transaction of a client from another; undefined where Call-ID or CSeq are missing. */
export function readTransaction(message: SipMessage): TransactionFields | undefined {
  const callId = message.first('call-id')
  const written = message.first('cseq')
  if (callId === undefined || written === undefined) return undefined
  const cseq = readCSeq(written)
  const branch = branchOf(message.first('via') ?? '')
  if (cseq.ok) return { callId, cseq: cseq.value.number, method: cseq.value.method, branch }
  const blank = written.lastIndexOf(' ')
  return { callId, cseq: written.slice(0, blank), method: written.slice(blank + 1), branch }
}

/**
 * The branch of the top Via. An answer carries it as it was sent, so it need not be understood to be compared, and
 * reading all of a Via costs more than the rest of a REGISTER.
 */
function branchOf(via: string): string {
  const start = via.indexOf('branch=')
  if (start < 0) return ''
  let end = start + 7
  while (end < via.length && !ENDS_BRANCH.has(via.charCodeAt(end))) end++
  return via.slice(start + 7, end)
}

const ENDS_BRANCH: ReadonlySet<number> = new Set([...';, \t'].map((char) => char.charCodeAt(0)))

/** Whom a REGISTER with this To header speaks for: `user@host`; empty where it cannot be read. */
export function readAccount(toHeader: string): string {
  const to = readAddress(toHeader)
  if (!to.ok) return ''
  const uri = readUri(to.value.uri)
  return uri.ok ? aorOf(uri.value) : ''
}

/** What a request says to prove who it is. */
export interface Answer {
  /** Empty where it cannot be read: an attempt all the same. */
  readonly nonce: string
  readonly username: string
  readonly realm: string
  /** The header as written, to tell one attempt from a retransmission of another. */
  readonly written: string
}

/**
 * The credentials of a request. Those that cannot be read count too: softswitches read some of them, so a guesser
 * must not hide behind a parameter that comes twice. An empty nonce (as IMS phones send first) answers nothing.
 */
export function readAnswers(request: SipRequest): Answer[] {
  const answers: Answer[] = []
  for (const written of headersOf(request, 'authorization', 'proxy-authorization')) {
    const credentials = readDigestCredentials(written)
    if (!credentials.ok)
      answers.push({
        nonce: quotedAfter(written, 'nonce="'),
        username: quotedAfter(written, 'username="'),
        realm: quotedAfter(written, 'realm="'),
        written,
      })
    else if (credentials.value.kind === 'digest' && credentials.value.nonce !== '') {
      const { nonce, username, realm } = credentials.value
      answers.push({ nonce, username, realm, written })
    }
  }
  return answers
}

function quotedAfter(text: string, start: string): string {
  const at = text.indexOf(start)
  if (at < 0) return ''
  const end = text.indexOf('"', at + start.length)
  return end < 0 ? '' : text.slice(at + start.length, end)
}

/** A challenge of an answer. */
export interface Issued {
  readonly nonce: string
  readonly stale: boolean
  readonly realm: string
}

/** The challenges that an answer carries. */
export function readIssued(response: SipResponse): Issued[] {
  const issued: Issued[] = []
  for (const value of headersOf(response, 'www-authenticate', 'proxy-authenticate')) {
    const challenge = readChallenge(value)
    if (challenge.ok && challenge.value.kind === 'digest' && challenge.value.nonce !== '') {
      const { nonce, stale, realm } = challenge.value
      issued.push({ nonce, stale, realm })
    }
  }
  return issued
}

/** What a 200 grants. */
export interface Granted {
  /** The longest lifetime that it grants any binding; 0 where it lists none, as after a removal. */
  readonly longest: Seconds
  /** A bounded few of the bindings that it lists, the REGISTER's own among them. */
  readonly bindings: readonly LearntBinding[]
}

/** The bindings that a 200 lists (RFC 3261 section 10.3). `own`: the Contact of the REGISTER itself, as written. */
export function readGranted(response: SipResponse, of: { readonly own: string }): Granted {
  const contacts = readContacts(response.all('contact'))
  const general = response.first('expires')
  const read = readExpires(general)
  const otherwise = read.ok ? read.value : USUAL_EXPIRES
  if (!contacts.ok || contacts.value.kind === 'all') return { longest: otherwise, bindings: [] }
  const own = uriOf(of.own)
  let longest = 0
  const bindings: LearntBinding[] = []
  for (const contact of contacts.value.contacts) {
    const expires = contact.expires ?? otherwise
    longest = Math.max(longest, expires)
    const isOwn = own !== '' && contact.uri.slice(0, LONGEST_URI) === own
    if (bindings.length < MOST_BINDINGS) bindings.push(learnt(contact.uri, expires, { isOwn }))
    else if (isOwn) bindings[MOST_BINDINGS - 1] = learnt(contact.uri, expires, { isOwn })
  }
  return { longest, bindings }
}

function learnt(uri: string, expires: Seconds, { isOwn }: { readonly isOwn: boolean }): LearntBinding {
  const contact = ownCopy(uri, LONGEST_URI)
  return isOwn ? { contact, expires, own: true } : { contact, expires }
}

/**
 * The Contact of a REGISTER as it is written, kept to be read when an answer comes; empty where there is none, or
 * several, or one longer than any phone's.
 */
export function readWrittenContact(request: SipRequest): string {
  const written = request.all('contact')
  const only = written.length === 1 ? written[0]! : ''
  return only.length > LONGEST_CONTACT ? '' : ownCopy(only, LONGEST_CONTACT)
}

function uriOf(writtenContact: string): string {
  if (writtenContact === '') return ''
  const contacts = readContacts([writtenContact])
  if (!contacts.ok || contacts.value.kind === 'all' || contacts.value.contacts.length !== 1) return ''
  return contacts.value.contacts[0]!.uri.slice(0, LONGEST_URI)
}

/** Whether a REGISTER removes bindings and makes none (RFC 3261 section 10.2.2). */
export function removesBindings(request: SipRequest): boolean {
  const written = request.all('contact')
  if (written.length === 0) return false
  const general = readExpires(request.first('expires'))
  const isZero = general.ok && general.value === 0
  // Reading contacts costs more than the rest; most REGISTERs show at a glance that they remove none.
  if (!isZero && !written.some((contact) => contact === '*' || /expires\s{0,4}=\s{0,4}0/i.test(contact)))
    return false
  const contacts = readContacts(written)
  if (!contacts.ok) return isZero
  if (contacts.value.kind === 'all') return true
  return contacts.value.contacts.every(({ expires }) => (expires ?? (isZero ? 0 : USUAL_EXPIRES)) === 0)
}

function headersOf(message: SipMessage, ...names: readonly [string, string]): readonly string[] {
  const [own, proxy] = names
  const values = message.all(own)
  const others = message.all(proxy)
  return (others.length === 0 ? values : [...values, ...others]).slice(0, MOST_CREDENTIALS)
}
