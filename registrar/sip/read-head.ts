import { COLON, CR, HT, isBlank, isDigit, LF, SP, TOKEN } from './characters.ts'
import { hashHeaderName, longFormHash } from './header-names.ts'
import { FLAG_BITS, FOLDED, isNamed, type RequestLine, SLOTS, type StatusLine } from './lazy-message.ts'
import type { SipFault, SipLimits, SipReading } from './message.ts'
import { readStartLine } from './start-line.ts'

/** Start line and header fields, found but not decoded. */
export interface Head {
  readonly kind: 'head'
  readonly startLine: RequestLine | StatusLine
  readonly fields: readonly number[]
  /** The first byte behind the empty line. */
  readonly end: number
  /** What Content-Length says, `undefined` where the header is absent, or what is wrong with it. */
  readonly contentLength: number | undefined | ContentLengthFault
}

export type HeadReading = Head | { readonly kind: 'not-sip' } | Malformed

export type Malformed = Extract<SipReading, { kind: 'malformed' }>

export type ContentLengthFault = Extract<SipFault, 'bad-content-length' | 'conflicting-content-length'>

const CONTENT_LENGTH = 'content-length'
const CONTENT_LENGTH_HASH = hashHeaderName(CONTENT_LENGTH)

/**
 * Finds start line and header fields in one pass over `bytes` from `start` (RFC 3261 section 7). Lines may end in a
 * bare LF. A line that is no header field (no colon, no token before it) is passed over, but counts as one: PJSIP
 * and so Asterisk do the same, and a flooder must not hide a REGISTER behind it. A missing empty line at the end of
 * the bytes is let pass for the same reason, as long as the last line is whole.
 */
export function readHead(bytes: Buffer, start: number, limits: SipLimits): HeadReading {
  const end = bytes.length
  const startEnd = bytes.indexOf(LF, start)
  const startLine = readStartLine(
    bytes,
    start,
    startEnd < 0 ? end : endOfLine(bytes, start, startEnd),
    limits,
  )
  if (startLine.kind === 'not-sip' || startLine.kind === 'malformed') return startLine
  if (startEnd < 0) return malformed('truncated-headers', startLine)

  const fields: number[] = []
  let at = startEnd + 1
  let count = 0
  let begin = at
  // The slot of the field under way, or -1 for a line that is no field.
  let slot = -1
  while (at < end) {
    const first = bytes[at]!
    if (first === LF) {
      at++
      break
    }
    if (first === CR && bytes[at + 1] === LF) {
      at += 2
      break
    }

    if (first === SP || first === HT) {
      if (count === 0) return malformed('bad-header', startLine)
      // Folded lines may be as short as two bytes and many, where a search that is called for each costs too much.
      while (at < end && bytes[at] !== LF) at++
      if (at - begin > limits.headerBytes) return malformed('header-too-long', startLine)
      if (at >= end) return malformed('truncated-headers', startLine)
      if (slot >= 0) {
        fields[slot] = fields[slot]! | FOLDED
        fields[slot + 3] = at
      }
      at++
      continue
    }

    if (++count > limits.headerCount) return malformed('too-many-headers', startLine)
    begin = at
    let hash = 0
    for (let lower = TOKEN[first]!; lower !== 0; ) {
      hash = (Math.imul(hash, 31) + lower) | 0
      if (++at >= end) return malformed('truncated-headers', startLine)
      lower = TOKEN[bytes[at]!]!
    }
    const nameLength = at - begin
    hash = (nameLength === 1 ? longFormHash(first) : undefined) ?? hash & 0x0fffffff
    while (at < end && isBlank(bytes[at]!)) at++
    slot = nameLength > 0 && bytes[at] === COLON ? fields.length : -1
    const colon = at + 1
    at = bytes.indexOf(LF, at)
    if ((at < 0 ? end : at) - begin > limits.headerBytes) return malformed('header-too-long', startLine)
    if (at < 0) return malformed('truncated-headers', startLine)
    if (slot >= 0) fields.push(hash << FLAG_BITS, begin, colon, endOfLine(bytes, colon, at))
    at++
  }

  return { kind: 'head', startLine, fields, end: at, contentLength: readContentLength(bytes, fields) }
}

/** Where a line ends that starts at `start` and whose line feed is known: before the CR, if there is one. */
export function endOfLine(bytes: Buffer, start: number, lineFeed: number): number {
  return lineFeed > start && bytes[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed
}

/** A fault with the method, where there is one. */
export function malformed(fault: SipFault, startLine: RequestLine | StatusLine): Malformed {
  return startLine.kind === 'request'
    ? { kind: 'malformed', fault, method: startLine.method }
    : { kind: 'malformed', fault }
}

/** Repeated headers that agree are one (RFC 4475 section 3.3.9 has two that do not). */
function readContentLength(
  bytes: Buffer,
  fields: readonly number[],
): number | undefined | ContentLengthFault {
  let found: number | undefined
  for (let at = 0; at < fields.length; at += SLOTS) {
    if (fields[at]! >> FLAG_BITS !== CONTENT_LENGTH_HASH) continue
    if (!isNamed(bytes, fields[at + 1]!, CONTENT_LENGTH)) continue
    const length = readLength(bytes, fields[at + 2]!, fields[at + 3]!)
    if (length === undefined) return 'bad-content-length'
    if (found !== undefined && found !== length) return 'conflicting-content-length'
    found = length
  }
  return found
}

function readLength(bytes: Buffer, start: number, end: number): number | undefined {
  while (start < end && isSpace(bytes[start]!)) start++
  while (start < end && isSpace(bytes[end - 1]!)) end--
  if (start === end) return undefined
  let length = 0
  for (let at = start; at < end; at++) {
    const code = bytes[at]!
    if (!isDigit(code)) return undefined
    // More than any message may have is all the same: it is never there.
    length = Math.min(length * 10 + code - 0x30, Number.MAX_SAFE_INTEGER / 16)
  }
  return Math.floor(length)
}

function isSpace(code: number): boolean {
  return isBlank(code) || code === CR || code === LF
}
