import { parseAddress, type Source } from '../../registrar/net/address.ts'
import type { Seconds } from '../../registrar/net/time.ts'
import type { SipResponse } from '../../registrar/sip/message.ts'
import { readContacts } from '../../registrar/sip/read-address.ts'
import { readExpires } from '../../registrar/sip/read-expires.ts'
import { readUri } from '../../registrar/sip/read-uri.ts'
import type { LearntBinding } from './observation.ts'
import { ownCopy } from './own-copy.ts'

/** What is kept of the bindings that a 200 lists. */
const MOST_BINDINGS = 16
const LONGEST_URI = 256
/** Where the answer grants a registration and says no time (RFC 3261 section 10.2.1.1 leaves it to the registrar). */
export const USUAL_EXPIRES: Seconds = 3600
const USUAL_PORT = 5060

/** What a 200 grants. */
export interface Granted {
  /**
   * For how long the REGISTER's own contact is bound; where nobody can say which one that is, the longest of all that
   * are listed, so that no phone is taken for gone before it is. 0 where none is, as after a removal.
   */
  readonly expires: Seconds
  /** The REGISTER named no contact, and none that is listed is where it came from: it asked, and bound nothing. */
  readonly isQuery: boolean
  /** A bounded few of the bindings that it lists, the REGISTER's own among them. */
  readonly bindings: readonly LearntBinding[]
}

/**
 * The bindings that a 200 lists (RFC 3261 section 10.3). `own`: the Contact of the REGISTER itself as written; empty
 * where it named several or is not known, undefined where it named none. `source`: where it came from, which is what a
 * softswitch writes in place of a contact that it mended for a NAT.
 */
export function readGranted(
  response: SipResponse,
  of: { readonly own: string | undefined; readonly source: Source },
): Granted {
  const isQuestion = of.own === undefined
  const contacts = readContacts(response.all('contact'))
  const general = response.first('expires')
  const read = readExpires(general)
  const otherwise = read.ok ? read.value : USUAL_EXPIRES
  if (!contacts.ok || contacts.value.kind === 'all')
    return { expires: otherwise, isQuery: isQuestion, bindings: [] }
  const own = uriOf(of.own ?? '')
  const listed = contacts.value.contacts
  // It has to list what it binds; one that says a time alone binds all the same.
  if (listed.length === 0 && !isQuestion)
    return { expires: read.ok ? read.value : 0, isQuery: false, bindings: [] }
  const expiresOf = (contact: (typeof listed)[number]) => contact.expires ?? otherwise
  const bindings: LearntBinding[] = []
  for (const contact of listed) {
    const isOwn = own !== '' && contact.uri.slice(0, LONGEST_URI) === own
    if (bindings.length < MOST_BINDINGS) bindings.push(learnt(contact.uri, expiresOf(contact), { isOwn }))
    else if (isOwn) bindings[MOST_BINDINGS - 1] = learnt(contact.uri, expiresOf(contact), { isOwn })
  }
  const named = own === '' ? [] : listed.filter(({ uri }) => uri.slice(0, LONGEST_URI) === own)
  // With one contact alone there is nothing to tell apart.
  const isAlone = !isQuestion && listed.length === 1
  const there = named.length > 0 || isAlone ? named : listed.filter(({ uri }) => isAt(uri, of.source))
  const meant = there.length > 0 ? there : listed
  return {
    expires: Math.max(0, ...meant.map(expiresOf)),
    isQuery: isQuestion && there.length === 0,
    bindings,
  }
}

function learnt(uri: string, expires: Seconds, { isOwn }: { readonly isOwn: boolean }): LearntBinding {
  const contact = ownCopy(uri, LONGEST_URI)
  return isOwn ? { contact, expires, own: true } : { contact, expires }
}

function uriOf(writtenContact: string): string {
  if (writtenContact === '') return ''
  const contacts = readContacts([writtenContact])
  if (!contacts.ok || contacts.value.kind === 'all' || contacts.value.contacts.length !== 1) return ''
  return contacts.value.contacts[0]!.uri.slice(0, LONGEST_URI)
}

/** Whether a contact names this very address and port. */
function isAt(contact: string, { address, port }: Source): boolean {
  const uri = readUri(contact)
  if (!uri.ok || uri.value.scheme === 'tel') return false
  return parseAddress(uri.value.host) === address && (uri.value.port ?? USUAL_PORT) === port
}
