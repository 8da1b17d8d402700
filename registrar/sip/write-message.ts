import { CR, LF, NUL } from './characters.ts'
import { isToken } from './parameters.ts'

/** A header to be written: name as it shall stand there, and its value on one line. */
export type HeaderPair = readonly [name: string, value: string]

/** Something was to be written that would not be read back as what it is. */
export class SipWriteError extends Error {
  override readonly name = 'SipWriteError'
  constructor(what: string, text: string) {
    super(`cannot write ${JSON.stringify(text.slice(0, 80))} as a SIP ${what}`)
  }
}

/** Throws where the phrase holds what would end the line: that is a bug of the caller, who would let a stranger write headers. */
export function statusLine(status: number, reasonPhrase: string): string {
  if (!Number.isInteger(status) || status < 100 || status > 699) {
    throw new SipWriteError('status', String(status))
  }
  if (!isLineText(reasonPhrase)) throw new SipWriteError('reason phrase', reasonPhrase)
  return `SIP/2.0 ${status} ${reasonPhrase}`
}

/** A header's line. Throws as `statusLine` does, and for Content-Length, which `assemble` adds. */
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
