import { type Address, parseAddress } from '../../registrar/net/address.ts'
import { ownCopy } from '../observe/own-copy.ts'
import { DOUBTFUL, LONGEST_ACCOUNT, type LogEvent, type LogTransport, OTHER } from './log-event.ts'
import { isMadeOf, lettersDigitsAnd, readPort } from './scan.ts'

/**
 * Asterisk writes at most 8,191 bytes of a message (BUFSIZ in its logger.c) and lets the rest go. A Call-ID that is
 * long enough could push the true addresses out and leave forged ones, so a line near that length is not believed.
 */
const LONGEST_BELIEVED = 8_000
/** Date, level, process, call and file name, and what syslog puts before them. */
const LONGEST_HEAD = 300

const EVENT = 'SecurityEvent="'
const LEVEL = 'SECURITY['
const MODULE = 'res_security_log'
const LOCAL = '",LocalAddress="'
const REMOTE = '",RemoteAddress="'

/** What Asterisk and syslog write before the event: never a quote, which everything that a client wrote comes in. */
const isOfHead = lettersDigitsAnd(' :.,+-_/[]()')
/** The fields between the event's name and the account's; all of them Asterisk's own. */
const OWN_FIELDS = ['",EventTV="', '",Severity="', '",Service="', '",EventVersion="', '",AccountID="']
const isOfOwnField = lettersDigitsAnd(' :.,+-_/')

type Kind = 'failure' | 'success' | 'challenge' | 'unknown-account' | 'refused'

/**
 * The events that are read. `ownTail`: after the addresses comes nothing that a client wrote; of the others the nonce
 * and the response of his credentials.
 */
const EVENTS: ReadonlyMap<string, { readonly kind: Kind; readonly ownTail: boolean }> = new Map([
  ['InvalidPassword', { kind: 'failure', ownTail: false }],
  ['ChallengeResponseFailed', { kind: 'failure', ownTail: false }],
  ['SuccessfulAuth', { kind: 'success', ownTail: true }],
  ['ChallengeSent', { kind: 'challenge', ownTail: true }],
  ['InvalidAccountID', { kind: 'unknown-account', ownTail: true }],
  ['FailedACL', { kind: 'refused', ownTail: true }],
])

const TRANSPORTS: ReadonlySet<string> = new Set(['UDP', 'TCP', 'TLS', 'WS', 'WSS'])

/**
 * Reads a line of Asterisk's security log (`res_security_log`, the level `security` of logger.conf; the fields and
 * their order are those of main/security_events.c):
 *
 *     [2026-01-15 10:23:45] SECURITY[1234] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="…",
 *     Severity="Error",Service="PJSIP",EventVersion="2",AccountID="1001",SessionID="…",
 *     LocalAddress="IPV4/TLS/192.0.2.1/5061",RemoteAddress="IPV4/TLS/198.51.100.7/43210",…
 *
 * Asterisk does not escape quotes ("todo" in res_security_log.c), and the SessionID is the Call-ID as the client wrote
 * it, so a client can write fields. He cannot keep the true pair of addresses out of the line: where there is only one
 * pair, it is the true one; where there are more, the last is, unless his credentials are written behind it.
 */
export function readAsteriskLine(line: string): LogEvent {
  const event = line.indexOf(EVENT)
  if (event < 0) return OTHER
  const head = line.slice(0, Math.min(event, LONGEST_HEAD + 1))
  // Another level's line that quotes a client, who wrote an event into his name.
  if (!head.includes(LEVEL)) return OTHER
  if (head.length > LONGEST_HEAD || !head.includes(MODULE) || !isMadeOf(head, isOfHead)) return DOUBTFUL
  if (line.length >= LONGEST_BELIEVED) return DOUBTFUL

  const nameAt = event + EVENT.length
  const nameEnd = line.indexOf('"', nameAt)
  if (nameEnd < 0) return DOUBTFUL
  const known = EVENTS.get(line.slice(nameAt, nameEnd))
  if (!known) return OTHER

  let at = nameEnd
  let service = ''
  for (const [index, field] of OWN_FIELDS.entries()) {
    if (!line.startsWith(field, at)) return DOUBTFUL
    at += field.length
    if (index === OWN_FIELDS.length - 1) break
    const end = line.indexOf('"', at)
    const value = end < 0 ? '"' : line.slice(at, end)
    if (!isMadeOf(value, isOfOwnField)) return DOUBTFUL
    if (field === '",Service="') service = value
    at = end
  }
  // The manager interface and IAX2 have failures too, which are none of SIP's.
  if (service !== 'PJSIP' && service !== 'SIP') return OTHER

  const first = line.indexOf(LOCAL, at)
  const last = line.lastIndexOf(LOCAL)
  if (first < 0 || (first !== last && !known.ownTail)) return DOUBTFUL
  const localAt = last + LOCAL.length
  const remoteAt = line.indexOf(REMOTE, localAt)
  const remoteEnd = remoteAt < 0 ? -1 : line.indexOf('"', remoteAt + REMOTE.length)
  if (remoteEnd < 0) return DOUBTFUL
  const local = readEndpoint(line.slice(localAt, remoteAt))
  const remote = readEndpoint(line.slice(remoteAt + REMOTE.length, remoteEnd))
  if (!remote || !local) return DOUBTFUL
  // An endpoint without a password succeeds too, and proves nothing.
  if (known.kind === 'success' && !line.startsWith('",UsingPassword="1"', remoteEnd)) return OTHER
  const accountEnd = line.indexOf('",SessionID="', at)
  if (accountEnd < 0) return DOUBTFUL
  return {
    kind: known.kind,
    account: ownCopy(line.slice(at, accountEnd), LONGEST_ACCOUNT),
    address: remote.address,
    port: remote.port,
    transport: remote.transport,
    serverPort: local.port,
  }
}

interface AsteriskEndpoint {
  readonly address: Address
  readonly port: number
  readonly transport: LogTransport
}

/** `IPV4/TLS/198.51.100.7/43210`; a softswitch that listens everywhere says 0.0.0.0. */
function readEndpoint(text: string): AsteriskEndpoint | undefined {
  const [family, transport = '', host = '', portText = '', ...more] = text.slice(0, 100).split('/')
  if ((family !== 'IPV4' && family !== 'IPV6') || more.length > 0) return undefined
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  const address = parseAddress(bare)
  const port = readPort(portText)
  if (!address || !port) return undefined
  const known = TRANSPORTS.has(transport) ? (transport.toLowerCase() as LogTransport) : 'unknown'
  return { address, port, transport: known }
}
