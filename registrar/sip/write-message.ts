import { CR, LF, NUL } from './characters.ts'
import { isToken } from './parameters.ts'

/** A header to be written: name as it shall stand there, and its value on one line. */
export type HeaderPair = readonly [name: string, value: string]

export interface RequestParts {
  readonly method: string
  readonly uri: string
  readonly headers: readonly HeaderPair[]
  readonly body?: Buffer | string
}

export interface ResponseParts {
  /** 100 to 699. */
  readonly status: number
  readonly reasonPhrase: string
  readonly headers: readonly HeaderPair[]
  readonly body?: Buffer | string
}

/**
 * Writes a request (RFC 3261 section 7.1). Content-Length is added and may not be among the headers. Throws where a
 * part holds what would end it (CR, LF, NUL; a blank in the URI): such a part is a bug of the caller, who would let
 * a stranger write headers.
 */
export function writeRequest({ method, uri, headers, body }: RequestParts): Buffer {
  if (!isToken(method)) throw new SipWriteError('method', method)
  if (!isUriText(uri)) throw new SipWriteError('request URI', uri)
  return assemble(`${method} ${uri} SIP/2.0`, headers.map(writeHeader), body)
}

/** Writes a response (RFC 3261 section 7.2), under the rules of `writeRequest`. */
export function writeResponse({ status, reasonPhrase, headers, body }: ResponseParts): Buffer {
  return assemble(statusLine(status, reasonPhrase), headers.map(writeHeader), body)
}

/** Something was to be written that would not be read back as what it is. */
export class SipWriteError extends Error {
  override readonly name = 'SipWriteError'
  constructor(what: string, text: string) {
    super(`cannot write ${JSON.stringify(text.slice(0, 80))} as a SIP ${what}`)
  }
}

export function statusLine(status: number, reasonPhrase: string): string {
  if (!Number.isInteger(status) || status < 100 || status > 699) {
    throw new SipWriteError('status', String(status))
  }
  if (!isLineText(reasonPhrase)) throw new SipWriteError('reason phrase', reasonPhrase)
  return `SIP/2.0 ${status} ${reasonPhrase}`
}

export function writeHeader([name, value]: HeaderPair): string {
  if (!isToken(name)) throw new SipWriteError('header name', name)
  const lower = name.toLowerCase()
  if (lower === 'content-length' || lower === 'l') throw new SipWriteError('header of the caller', name)
  if (!isLineText(value)) throw new SipWriteError(`value of ${name}`, value)
  return `${name}: ${value}`
}

/**
 * Puts checked lines and a body together; Content-Length counts bytes. Lines are text (`utf8`) or hold one character
 * a byte (`latin1`).
 */
export function assemble(
  startLine: string,
  headerLines: readonly string[],
  body: Buffer | string | undefined,
  encoding: 'utf8' | 'latin1' = 'utf8',
): Buffer {
  const bodyBytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
  const length = bodyBytes?.length ?? 0
  const head = `${startLine}\r\n${headerLines.map((line) => `${line}\r\n`).join('')}Content-Length: ${length}\r\n\r\n`
  const headBytes = Buffer.from(head, encoding)
  return bodyBytes && length > 0 ? Buffer.concat([headBytes, bodyBytes]) : headBytes
}

function isLineText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === CR || code === LF || code === NUL) return false
  }
  return true
}

function isUriText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) <= 0x20) return false
  return text !== ''
}
