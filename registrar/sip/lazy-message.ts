import { COLON, CR, HT, isBlank, LF, SP, TOKEN } from './characters.ts'
import { hashHeaderName, longForm } from './header-names.ts'
import type { SipHeader, SipRequest, SipResponse } from './message.ts'

/** Where one header field lies: `SLOTS` numbers, first its hash and flags, then three offsets into the bytes. */
export const SLOTS = 4
/** The flag of a field that goes over several lines. */
export const FOLDED = 1
export const FLAG_BITS = 1

/** Header fields over the bytes they were found in. Nothing is decoded before it is asked for. */
class LazyHeaders {
  readonly #bytes: Buffer
  /** For each field: `hash << FLAG_BITS | flags`, offset of the name, offset behind the colon, offset of the line's end. */
  readonly #fields: readonly number[]
  readonly #bodyStart: number
  readonly #bodyEnd: number
  #headers: readonly SipHeader[] | undefined

  constructor(bytes: Buffer, fields: readonly number[], bodyStart: number, bodyEnd: number) {
    this.#bytes = bytes
    this.#fields = fields
    this.#bodyStart = bodyStart
    this.#bodyEnd = bodyEnd
  }

  get headers(): readonly SipHeader[] {
    this.#headers ??= this.#readAll()
    return this.#headers
  }

  get headerCount(): number {
    return this.#fields.length / SLOTS
  }

  get body(): Buffer {
    return this.#bytes.subarray(this.#bodyStart, this.#bodyEnd)
  }

  first(name: string): string | undefined {
    const at = this.#find(name, hashHeaderName(name), 0)
    return at < 0 ? undefined : this.#value(at)
  }

  all(name: string): readonly string[] {
    return this.#values(name, { exact: false })
  }

  /**
   * The values byte for byte (one character a byte), for echoing them as RFC 3261 section 8.2.6.2 asks. They hold no
   * CR or LF, but may hold NULs (RFC 4475 section 3.1.1.2 has one in a display name).
   */
  allExact(name: string): readonly string[] {
    return this.#values(name, { exact: true })
  }

  protected text(start: number, end: number): string {
    return this.#bytes.toString('utf8', start, end)
  }

  #values(name: string, { exact }: { exact: boolean }): string[] {
    const values: string[] = []
    const hash = hashHeaderName(name)
    for (let at = this.#find(name, hash, 0); at >= 0; at = this.#find(name, hash, at + SLOTS)) {
      values.push(this.#value(at, { exact }))
    }
    return values
  }

  #find(name: string, hash: number, from: number): number {
    const fields = this.#fields
    for (let at = from; at < fields.length; at += SLOTS) {
      if (fields[at]! >> FLAG_BITS === hash && isNamed(this.#bytes, fields[at + 1]!, name)) return at
    }
    return -1
  }

  #value(at: number, { exact }: { exact: boolean } = { exact: false }): string {
    const bytes = this.#bytes
    const encoding = exact ? 'latin1' : 'utf8'
    const folded = (this.#fields[at]! & FOLDED) !== 0
    let start = this.#fields[at + 2]!
    let end = this.#fields[at + 3]!
    if (!folded) {
      while (start < end && isBlank(bytes[start]!)) start++
      while (start < end && isBlank(bytes[end - 1]!)) end--
      const value = bytes.toString(encoding, start, end)
      if (!value.includes('\r')) return exact ? value : withoutNul(value)
    }
    const value = unfold(bytes, start, end).toString(encoding)
    return exact ? value : withoutNul(value)
  }

  #readAll(): SipHeader[] {
    const headers: SipHeader[] = []
    for (let at = 0; at < this.#fields.length; at += SLOTS) {
      headers.push({ name: nameAt(this.#bytes, this.#fields[at + 1]!), value: this.#value(at) })
    }
    return headers
  }
}

export class LazyRequest extends LazyHeaders implements SipRequest {
  readonly kind = 'request'
  readonly method: string
  readonly #uriStart: number
  readonly #uriEnd: number

  constructor(
    bytes: Buffer,
    start: RequestLine,
    fields: readonly number[],
    bodyStart: number,
    bodyEnd: number,
  ) {
    super(bytes, fields, bodyStart, bodyEnd)
    this.method = start.method
    this.#uriStart = start.uriStart
    this.#uriEnd = start.uriEnd
  }

  get uri(): string {
    return this.text(this.#uriStart, this.#uriEnd)
  }
}

export class LazyResponse extends LazyHeaders implements SipResponse {
  readonly kind = 'response'
  readonly status: number
  readonly #reasonStart: number
  readonly #reasonEnd: number

  constructor(
    bytes: Buffer,
    start: StatusLine,
    fields: readonly number[],
    bodyStart: number,
    bodyEnd: number,
  ) {
    super(bytes, fields, bodyStart, bodyEnd)
    this.status = start.status
    this.#reasonStart = start.reasonStart
    this.#reasonEnd = start.reasonEnd
  }

  get reasonPhrase(): string {
    return this.text(this.#reasonStart, this.#reasonEnd)
  }
}

export interface RequestLine {
  readonly kind: 'request'
  readonly method: string
  readonly uriStart: number
  readonly uriEnd: number
}

export interface StatusLine {
  readonly kind: 'response'
  readonly status: number
  readonly reasonStart: number
  readonly reasonEnd: number
}

/** Whether the header field whose name begins at `start` has this lower-case long name. */
export function isNamed(bytes: Buffer, start: number, name: string): boolean {
  const length = name.length
  let at = 0
  while (at < length && TOKEN[bytes[start + at]!] === name.charCodeAt(at)) at++
  if (at === length) return TOKEN[bytes[start + at]!] === 0
  return TOKEN[bytes[start + 1]!] === 0 && longForm(bytes[start]!) === name
}

/** The long name in lower case. Every name ends before a colon, so the walk stays within the bytes. */
function nameAt(bytes: Buffer, start: number): string {
  let end = start
  while (bytes[end] !== COLON && bytes[end] !== SP && bytes[end] !== HT) end++
  const long = end - start === 1 ? longForm(bytes[start]!) : undefined
  return long ?? bytes.toString('latin1', start, end).toLowerCase()
}

/**
 * Puts a folded value on one line: each line break with the blanks around it becomes one space (RFC 3261 section
 * 7.3.1), and so does a lone CR, which must never reach a message that we write.
 */
function unfold(bytes: Buffer, start: number, end: number): Buffer {
  const even = Buffer.allocUnsafe(end - start)
  let length = 0
  let at = start
  while (at < end) {
    const code = bytes[at]!
    if (code !== CR && code !== LF) {
      even[length++] = code
      at++
      continue
    }
    while (at < end && isSpace(bytes[at]!)) at++
    while (length > 0 && isSpace(even[length - 1]!)) length--
    even[length++] = SP
  }
  let from = 0
  while (from < length && isSpace(even[from]!)) from++
  while (from < length && isSpace(even[length - 1]!)) length--
  return even.subarray(from, length)
}

function withoutNul(value: string): string {
  return value.includes('\0') ? value.replaceAll('\0', ' ').trim() : value
}

function isSpace(code: number): boolean {
  return code === SP || code === HT || code === CR || code === LF
}
