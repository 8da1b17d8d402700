import { createHash } from 'node:crypto'
import type { Source } from '../net/address.ts'
import { QUOTE, SEMICOLON } from './characters.ts'
import { LazyRequest } from './lazy-message.ts'
import type { SipRequest } from './message.ts'
import { endOfQuoted } from './parameters.ts'
import { readAddress } from './read-address.ts'
import { readViaAt } from './read-via.ts'
import { reasonPhraseOf } from './reason-phrases.ts'
import { assemble, type HeaderPair, statusLine, writeHeader } from './write-message.ts'

export interface ResponseToRequest {
  readonly status: number
  /** The RFC's phrase where absent. */
  readonly reasonPhrase?: string
  /** What the response says beyond the copied headers. */
  readonly headers?: readonly HeaderPair[]
  /**
   * The tag for a To that has none. Where absent, one is derived from the request, so that its retransmissions get
   * the same (RFC 3261 section 8.2.7); a 100 gets none.
   */
  readonly toTag?: string
  /** Where the request came from: noted in the top Via (RFC 3261 section 18.2.1, RFC 3581 section 4). */
  readonly receivedFrom?: Source
  readonly body?: Buffer | string
}

/**
 * Answers a request as RFC 3261 section 8.2.6 says: every Via, From, To, Call-ID and CSeq come back byte for byte,
 * the top Via with `received` and `rport`, the To with a tag. Never throws for what the request holds.
 */
export function respond(request: SipRequest, response: ResponseToRequest): Buffer {
  const { status, reasonPhrase = reasonPhraseOf(status), headers = [], receivedFrom, body } = response
  const copied: string[] = []
  const vias = copiesOf(request, 'via')
  vias.forEach((via, i) => {
    copied.push(`Via: ${i === 0 && receivedFrom ? markReceived(via, receivedFrom) : via}`)
  })
  const from = copiesOf(request, 'from')[0]
  if (from !== undefined) copied.push(`From: ${from}`)
  const to = copiesOf(request, 'to')[0]
  if (to !== undefined) copied.push(`To: ${status === 100 ? to : tagged(to, request, response.toTag)}`)
  const callId = copiesOf(request, 'call-id')[0]
  if (callId !== undefined) copied.push(`Call-ID: ${callId}`)
  const cseq = copiesOf(request, 'cseq')[0]
  if (cseq !== undefined) copied.push(`CSeq: ${cseq}`)
  const own = headers.map((header) => Buffer.from(writeHeader(header), 'utf8').toString('latin1'))
  const start = Buffer.from(statusLine(status, reasonPhrase), 'utf8').toString('latin1')
  return assemble(start, [...copied, ...own], body, 'latin1')
}

/**
 * Where a response goes over UDP (RFC 3261 section 18.2.2, RFC 3581 section 4): to the source address, at the source
 * port where the client asked for `rport`, else at the port of its Via. `maddr` is not followed: it would let a
 * stranger aim our answers at others.
 */
export function responseTarget(request: SipRequest, receivedFrom: Source): Source {
  const via = request.first('via')
  const top = via === undefined ? undefined : readViaAt(via, 0)
  if (!top?.ok || top.value.via.parameters.has('rport')) return receivedFrom
  return { address: receivedFrom.address, port: top.value.via.port ?? 5060 }
}

/** Header values one character a byte. A message that was not read from bytes has only text. */
function copiesOf(request: SipRequest, name: string): readonly string[] {
  if (request instanceof LazyRequest) return request.allExact(name)
  return request
    .all(name)
    .map((value) => Buffer.from(value.replace(/[\r\n]/g, ' '), 'utf8').toString('latin1'))
}

/** Rewrites the first hop: what the client itself claims as `received` goes, and `rport` is filled where asked. */
function markReceived(value: string, source: Source): string {
  const top = readViaAt(value, 0)
  if (!top.ok) return value
  const { via, end } = top.value
  const asked = via.parameters.has('rport')
  const parts = splitAtSemicolons(value.slice(0, end))
  const kept = parts.filter((part, i) => i === 0 || !isParameter(part, 'received', 'rport'))
  if (asked) kept.push(`rport=${source.port}`)
  if (asked || via.host !== source.address) kept.push(`received=${source.address}`)
  return kept.join(';') + value.slice(end)
}

function isParameter(part: string, ...names: readonly string[]): boolean {
  const equals = part.indexOf('=')
  const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase()
  return names.includes(name)
}

function splitAtSemicolons(text: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      const end = endOfQuoted(text, at)
      at = end < 0 ? text.length : end - 1
    } else if (code === SEMICOLON) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

function tagged(to: string, request: SipRequest, toTag: string | undefined): string {
  const address = readAddress(to)
  if (address.ok && address.value.parameters.has('tag')) return to
  return `${to};tag=${toTag ?? tagFor(request)}`
}

/** The same for every retransmission of a request, another for every other request. */
function tagFor(request: SipRequest): string {
  const hash = createHash('sha256')
  for (const name of ['via', 'from', 'call-id', 'cseq']) hash.update(`${request.first(name) ?? ''}\n`)
  return hash.digest('hex').slice(0, 16)
}
