import type { SipMessage, SipRequest } from '../../registrar/sip/message.ts'
import { readAddress, readContacts } from '../../registrar/sip/read-address.ts'
import { readCSeq } from '../../registrar/sip/read-cseq.ts'
import { readExpires } from '../../registrar/sip/read-expires.ts'
import { aorOf, readUri } from '../../registrar/sip/read-uri.ts'
import { USUAL_EXPIRES } from './granted.ts'
import { ownCopy } from './own-copy.ts'

const LONGEST_CONTACT = 512

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

/**
 * The Contact of a REGISTER as it is written, kept to be read when an answer comes; empty where there are several, or one
 * longer than any phone's; undefined where there is none, so that it only asks (RFC 3261 section 10.2.3).
 */
export function readWrittenContact(request: SipRequest): string | undefined {
  const written = request.all('contact')
  if (written.length === 0) return undefined
  const only = written.length === 1 ? written[0]! : ''
  return only.length > LONGEST_CONTACT ? '' : ownCopy(only, LONGEST_CONTACT)
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
