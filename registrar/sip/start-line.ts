import { CR, HT, isDigit, NUL, SP, TOKEN } from './characters.ts'
import type { RequestLine, StatusLine } from './lazy-message.ts'
import type { SipFault, SipLimits } from './message.ts'

/** What the first line of a message says, or why it says nothing of use. */
export type StartLine =
  | RequestLine
  | StatusLine
  | { readonly kind: 'not-sip' }
  | { readonly kind: 'malformed'; readonly fault: SipFault; readonly method?: string }

/** Methods by length. */
const KNOWN_METHODS: readonly (readonly string[])[] = Array.from({ length: 10 }, (_, length) =>
  'REGISTER INVITE ACK BYE CANCEL OPTIONS SUBSCRIBE NOTIFY PUBLISH MESSAGE INFO PRACK UPDATE REFER'
    .split(' ')
    .filter((method) => method.length === length),
)

/** Longer methods than any in use; one that is longer still is refused as `bad-method`. */
const METHOD_BYTES = 128
const VERSION = 'SIP/2.0'
/** The last part of a line is looked at as a version only where it is no longer. */
const VERSION_BYTES = 64
const NOT_SIP = { kind: 'not-sip' } as const

/**
 * Reads a start line (RFC 3261 sections 7.1 and 7.2) in `bytes` from `start` to `end`, its line break not included.
 * Runs of blanks between its parts and behind it are taken as one, and a known method is read in any case and given
 * in capitals: Kamailio answers `register sip:a SIP/2.0` as a REGISTER, so a flood of them is one of REGISTERs.
 */
export function readStartLine(bytes: Buffer, start: number, end: number, limits: SipLimits): StartLine {
  while (end > start && isBlankAt(bytes, end - 1)) end--
  if (isSipSlash(bytes, start, end)) return readStatusLine(bytes, start, end, limits)
  return readRequestLine(bytes, start, end, limits)
}

/** A known method in capitals, any other as it is. */
export function normalMethod(method: string): string {
  if (isKnownMethod(method)) return method
  const capitals = method.length < KNOWN_METHODS.length ? method.toUpperCase() : method
  return isKnownMethod(capitals) ? capitals : method
}

function readRequestLine(bytes: Buffer, start: number, end: number, limits: SipLimits): StartLine {
  let methodEnd = start
  const methodMost = Math.min(end, start + METHOD_BYTES)
  while (methodEnd < methodMost && TOKEN[bytes[methodEnd]!] !== 0) methodEnd++
  let version = end
  const versionLeast = Math.max(start, end - VERSION_BYTES)
  while (version > versionLeast && !isBlankAt(bytes, version - 1)) version--
  const claimsSip = version > versionLeast && isSipSlash(bytes, version, end)
  const isToken = methodEnd > start && isBlankAt(bytes, methodEnd)
  if (!isToken) return claimsSip ? { kind: 'malformed', fault: 'bad-method' } : NOT_SIP

  const method = methodAt(bytes, start, methodEnd)
  let uriStart = methodEnd
  while (uriStart < end && isBlankAt(bytes, uriStart)) uriStart++
  if (!claimsSip) {
    const meantForSip = isKnownMethod(method) && startsWithScheme(bytes, uriStart, end)
    return meantForSip ? { kind: 'malformed', fault: 'bad-start-line', method } : NOT_SIP
  }
  if (!isVersion(bytes, version)) {
    return { kind: 'malformed', fault: 'bad-version', method }
  }
  if (uriStart >= version) return { kind: 'malformed', fault: 'bad-start-line', method }
  let uriEnd = version
  while (isBlankAt(bytes, uriEnd - 1)) uriEnd--
  if (uriEnd - uriStart > limits.uriBytes) return { kind: 'malformed', fault: 'uri-too-long', method }
  for (let at = uriStart; at < uriEnd; at++) {
    const code = bytes[at]!
    if (code === SP || code === HT || code === CR || code === NUL)
      return { kind: 'malformed', fault: 'bad-uri', method }
  }
  return { kind: 'request', method, uriStart, uriEnd }
}

function readStatusLine(bytes: Buffer, start: number, end: number, limits: SipLimits): StartLine {
  const versionEnd = start + VERSION.length
  if (versionEnd > end || !isVersion(bytes, start)) return { kind: 'malformed', fault: 'bad-version' }
  let at = versionEnd
  while (at < end && !isBlankAt(bytes, at)) at++
  while (at < end && isBlankAt(bytes, at)) at++
  let status = 0
  let digits = 0
  for (; at < end && digits < 4 && isDigit(bytes[at]!); at++, digits++) {
    status = status * 10 + bytes[at]! - 0x30
  }
  const isStatus = digits === 3 && status >= 100 && status <= 699 && (at === end || isBlankAt(bytes, at))
  if (!isStatus) return { kind: 'malformed', fault: 'bad-status' }
  while (at < end && isBlankAt(bytes, at)) at++
  if (end - at > limits.headerBytes) return { kind: 'malformed', fault: 'header-too-long' }
  return { kind: 'response', status, reasonStart: at, reasonEnd: end }
}

function methodAt(bytes: Buffer, start: number, end: number): string {
  const known = KNOWN_METHODS[end - start]
  if (known) {
    for (const method of known) {
      let i = 0
      while (i < method.length && TOKEN[bytes[start + i]!] === (method.charCodeAt(i) | 0x20)) i++
      if (i === method.length) return method
    }
  }
  return bytes.toString('latin1', start, end)
}

/** Whether a method, in capitals, is one that IANA lists. */
export function isKnownMethod(method: string): boolean {
  return KNOWN_METHODS[method.length]?.includes(method) ?? false
}

function startsWithScheme(bytes: Buffer, start: number, end: number): boolean {
  return ['sip:', 'sips:', 'tel:'].some((scheme) => startsWith(bytes, start, end, scheme))
}

/** RFC 3261 section 7.1: the version is compared without case. */
function isSipSlash(bytes: Buffer, at: number, end: number): boolean {
  return (
    end - at >= 4 &&
    (bytes[at]! | 0x20) === 0x73 &&
    (bytes[at + 1]! | 0x20) === 0x69 &&
    (bytes[at + 2]! | 0x20) === 0x70 &&
    bytes[at + 3] === 0x2f
  )
}

/** Whether `2.0` follows the `SIP/` at `at`. What stands behind it is let pass: Kamailio reads `SIP/2.0x`. */
function isVersion(bytes: Buffer, at: number): boolean {
  return bytes[at + 4] === 0x32 && bytes[at + 5] === 0x2e && bytes[at + 6] === 0x30
}

/** Whether the bytes begin with a lower-case text, letters compared without case. */
function startsWith(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start < text.length) return false
  for (let i = 0; i < text.length; i++) {
    const code = bytes[start + i]!
    const lower = code >= 0x41 && code <= 0x5a ? code | 0x20 : code
    if (lower !== text.charCodeAt(i)) return false
  }
  return true
}

function isBlankAt(bytes: Buffer, at: number): boolean {
  const code = bytes[at]
  return code === SP || code === HT
}
