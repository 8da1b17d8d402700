import { CR, HT, LF, NUL, SP } from './characters.ts'
import { LazyRequest, LazyResponse } from './lazy-message.ts'
import {
  DEFAULT_SIP_LIMITS,
  type SipFault,
  type SipLimits,
  type SipMessage,
  type SipReading,
} from './message.ts'
import { type Head, type Malformed, malformed, readHead } from './read-head.ts'

export interface ReadOptions {
  readonly limits?: SipLimits
  /**
   * A datagram is one message: Content-Length may be absent, and bytes behind the body are ignored. On a stream
   * Content-Length must be there (RFC 3261 section 18.3), and bytes behind the body are the next message's.
   */
  readonly transport?: 'datagram' | 'stream'
}

const KEEPALIVE: SipReading = { kind: 'keepalive' }
const NOT_SIP: SipReading = { kind: 'not-sip' }
const STUN_MAGIC_COOKIE = 0x2112a442
const JUNK = new Uint8Array(256)
for (const code of [CR, LF, SP, HT, NUL]) JUNK[code] = 1

/**
 * Reads one SIP message. It checks framing, start line, limits and Content-Length; what a header says is for the
 * field readers to check. Linear in the bytes, never throws, keeps a view of `bytes` and decodes headers when asked:
 * copy the bytes first if they are going to be overwritten.
 *
 * Line breaks, blanks and NULs before the start line are skipped, since softswitches skip them (Kamailio reads a
 * REGISTER behind 200 CRLFs).
 */
export function readSipMessage(bytes: Buffer, options?: ReadOptions): SipReading {
  const limits = options?.limits ?? DEFAULT_SIP_LIMITS
  const isStream = options?.transport === 'stream'
  const start = skipJunk(bytes)
  if (start === bytes.length) return KEEPALIVE
  if (isStun(bytes)) return KEEPALIVE

  const head = readHead(bytes, start, limits)
  if (head.kind === 'not-sip') return NOT_SIP
  if (head.kind === 'malformed') return head

  const bodyLength = head.contentLength ?? (isStream ? 'missing-header' : bytes.length - head.end)
  if (typeof bodyLength === 'string') return malformedBody(bodyLength, bytes, head)
  const end = head.end + bodyLength
  if (end - start > limits.messageBytes) return malformedBody('message-too-long', bytes, head)
  if (end > bytes.length) return malformedBody('truncated-body', bytes, head)
  return { kind: 'message', message: messageOf(bytes, head, end), bytesRead: end }
}

/** A message whose headers are good and whose body cannot be told. */
export function malformedBody(fault: SipFault, bytes: Buffer, head: Head): Malformed {
  return { ...malformed(fault, head.startLine), message: messageOf(bytes, head, head.end) }
}

/** The message of a head that was found in `bytes`, its body ending at `end`. */
export function messageOf(bytes: Buffer, head: Head, end: number): SipMessage {
  return head.startLine.kind === 'request'
    ? new LazyRequest(bytes, head.startLine, head.fields, head.end, end)
    : new LazyResponse(bytes, head.startLine, head.fields, head.end, end)
}

/** Whether a byte before a start line means nothing. */
export function isJunk(code: number): boolean {
  return JUNK[code] === 1
}

function skipJunk(bytes: Buffer): number {
  let at = 0
  while (at < bytes.length && JUNK[bytes[at]!] === 1) at++
  return at
}

/** RFC 8489 section 5: two zero bits first, and the magic cookie at offset 4. */
function isStun(bytes: Buffer): boolean {
  return bytes.length >= 20 && bytes[0]! < 0x40 && bytes.readUInt32BE(4) === STUN_MAGIC_COOKIE
}
