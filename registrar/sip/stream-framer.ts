import { LF, TOKEN } from './characters.ts'
import type { RequestLine, StatusLine } from './lazy-message.ts'
import { DEFAULT_SIP_LIMITS, type SipFault, type SipLimits, type SipReading } from './message.ts'
import { endOfLine, type Head, type Malformed, malformed, readHead } from './read-head.ts'
import { isJunk, malformedBody, messageOf } from './read-message.ts'
import { isKnownMethod, readStartLine } from './start-line.ts'

export interface FramerOptions {
  readonly limits?: SipLimits
  /**
   * What follows a fault, after which nobody can say where the next message starts. `stop`: the framer is `broken`
   * and reads no more, so that a server closes the connection. `resynchronise`: reading goes on at the next line
   * that is a good start line of a known method or a response, for a sensor that only watches.
   */
  readonly onFault?: 'stop' | 'resynchronise'
}

type State = 'between' | 'start-line' | 'headers' | 'body' | 'seeking' | 'broken'

const KEEPALIVE: SipReading = { kind: 'keepalive' }
const NOT_SIP = { kind: 'not-sip' } as const
const LEAST_CAPACITY = 1024

/**
 * Cuts a TCP stream into SIP messages by Content-Length (RFC 3261 section 18.3). The readings are the same however
 * the stream is cut into chunks, every byte is looked at a bounded number of times even when bytes come one by one,
 * and no more than `limits.messageBytes` are kept. Each second line break between messages is a keepalive (RFC 5626
 * section 3.5.1); other blanks and NULs there are passed over.
 *
 * Messages may be views of the pushed bytes: copy what must outlast the buffer that was pushed.
 */
export class SipFramer {
  readonly #limits: SipLimits
  readonly #onFault: 'stop' | 'resynchronise'
  readonly #startLineBytes: number
  #state: State = 'between'
  /** The bytes of the message under way, and room behind them. */
  #kept: Buffer = Buffer.alloc(0)
  #keptLength = 0
  /** Offsets from the first byte of the message under way: what was searched, and where its last line starts. */
  #scanned = 0
  #lineStart = 0
  #startLine: RequestLine | StatusLine | undefined
  #head: Head | undefined
  #messageLength = 0
  #lineBreaks = 0
  /** Whether the line under way, while seeking, cannot be a start line any more. */
  #skipsLine = false

  constructor({ limits = DEFAULT_SIP_LIMITS, onFault = 'stop' }: FramerOptions = {}) {
    this.#limits = limits
    this.#onFault = onFault
    this.#startLineBytes = limits.uriBytes + limits.headerBytes
  }

  /** Whether a fault has ended the reading for good. */
  get broken(): boolean {
    return this.#state === 'broken'
  }

  /** How many bytes are kept of a message that is not whole yet. */
  get pendingBytes(): number {
    return this.#keptLength
  }

  /** Takes the next bytes of the stream and gives what they complete. */
  push(bytes: Buffer): SipReading[] {
    const readings: SipReading[] = []
    if (this.broken || bytes.length === 0) return readings
    const data = this.#keptLength === 0 ? bytes : this.#append(bytes)
    let start = 0
    for (let next = 0; next >= 0; ) {
      next = this.#step(data, start, readings)
      if (next >= 0) start = next
    }
    this.#keep(data, start, { ownsData: data !== bytes && !readings.some(holdsView) })
    return readings
  }

  /** Says that the stream has ended: a message under way is truncated. */
  end(): SipReading[] {
    const state = this.#state
    const startLine = this.#startLine
    this.#drop('broken')
    if (state === 'start-line') return [NOT_SIP]
    if (state !== 'headers' && state !== 'body') return []
    return [malformed(state === 'body' ? 'truncated-body' : 'truncated-headers', startLine!)]
  }

  /** Says that bytes of the stream are missing, or that it is joined in its middle: the next start line is sought. */
  skipGap(): void {
    this.#drop('seeking')
    this.#skipsLine = true
  }

  /** Goes one step on from `start`. Gives where the next one starts, or -1 when more bytes are needed. */
  #step(data: Buffer, start: number, readings: SipReading[]): number {
    switch (this.#state) {
      case 'between':
        return this.#skipJunk(data, start, readings)
      case 'start-line':
        return this.#findStartLine(data, start, readings)
      case 'headers':
        return this.#findHeadEnd(data, start, readings)
      case 'body':
        return this.#takeMessage(data, start, readings)
      case 'seeking':
        return this.#seek(data, start)
      case 'broken':
        return -1
    }
  }

  #skipJunk(data: Buffer, start: number, readings: SipReading[]): number {
    let at = start
    for (; at < data.length && isJunk(data[at]!); at++) {
      if (data[at] === LF && ++this.#lineBreaks % 2 === 0) readings.push(KEEPALIVE)
    }
    if (at === data.length) return at === start ? -1 : at
    this.#lineBreaks = 0
    // Told at once, so that a TLS handshake or a scan does not wait for a line break.
    if (TOKEN[data[at]!] === 0) return this.#fail(NOT_SIP, at, readings)
    this.#enter('start-line')
    return at
  }

  #findStartLine(data: Buffer, start: number, readings: SipReading[]): number {
    const lineFeed = data.indexOf(LF, start + this.#scanned)
    const length = (lineFeed < 0 ? data.length : lineFeed) - start
    if (length >= this.#startLineBytes) {
      const line = readStartLine(data, start, start + this.#startLineBytes, this.#limits)
      const reading = line.kind === 'not-sip' || line.kind === 'malformed' ? line : TOO_LONG_START_LINE
      return this.#fail(reading, start + this.#startLineBytes, readings)
    }
    if (lineFeed < 0) return this.#wait(length)
    const line = readStartLine(data, start, endOfLine(data, start, lineFeed), this.#limits)
    if (line.kind === 'not-sip' || line.kind === 'malformed') return this.#fail(line, lineFeed + 1, readings)
    this.#beginHeaders(line, lineFeed + 1 - start)
    return start
  }

  #findHeadEnd(data: Buffer, start: number, readings: SipReading[]): number {
    const most = this.#limits.messageBytes
    for (;;) {
      const lineFeed = data.indexOf(LF, start + this.#scanned)
      const length = (lineFeed < 0 ? data.length : lineFeed) - start
      if (length >= most) return this.#failWith('message-too-long', start + most, readings)
      if (lineFeed < 0) return this.#wait(length)
      this.#scanned = length + 1
      if (endOfLine(data, start + this.#lineStart, lineFeed) === start + this.#lineStart) break
      this.#lineStart = length + 1
    }
    const end = start + this.#scanned
    const bytes = data.subarray(start, end)
    const head = readHead(bytes, 0, this.#limits)
    if (head.kind !== 'head') return this.#fail(head, end, readings)
    const bodyLength = head.contentLength ?? 'missing-header'
    if (typeof bodyLength === 'string') {
      return this.#fail(malformedBody(bodyLength, bytes, head), end, readings)
    }
    this.#messageLength = head.end + bodyLength
    if (this.#messageLength > most) {
      return this.#fail(malformedBody('message-too-long', bytes, head), end, readings)
    }
    this.#head = head
    this.#state = 'body'
    return start
  }

  #takeMessage(data: Buffer, start: number, readings: SipReading[]): number {
    const end = start + this.#messageLength
    if (data.length < end) return -1
    const message = messageOf(data.subarray(start, end), this.#head!, this.#messageLength)
    readings.push({ kind: 'message', message, bytesRead: this.#messageLength })
    this.#enter('between')
    return end
  }

  #seek(data: Buffer, start: number): number {
    const lineFeed = data.indexOf(LF, start + this.#scanned)
    const length = (lineFeed < 0 ? data.length : lineFeed) - start
    const skips = this.#skipsLine || length >= this.#startLineBytes
    if (lineFeed < 0) {
      this.#skipsLine = skips
      if (!skips) return this.#wait(length)
      this.#scanned = 0
      return length === 0 ? -1 : data.length
    }
    this.#skipsLine = false
    this.#scanned = 0
    if (skips) return lineFeed + 1
    const line = readStartLine(data, start, endOfLine(data, start, lineFeed), this.#limits)
    // Any token could be a method, and a line of a body could look like one: only a known one is trusted here.
    const isTrusted = line.kind === 'response' || (line.kind === 'request' && isKnownMethod(line.method))
    if (!isTrusted) return lineFeed + 1
    this.#beginHeaders(line, length + 1)
    return start
  }

  #beginHeaders(line: RequestLine | StatusLine, length: number): void {
    this.#state = 'headers'
    this.#startLine = line
    this.#scanned = length
    this.#lineStart = length
  }

  #wait(scanned: number): -1 {
    this.#scanned = scanned
    return -1
  }

  #failWith(fault: SipFault, next: number, readings: SipReading[]): number {
    return this.#fail(malformed(fault, this.#startLine!), next, readings)
  }

  #fail(reading: Malformed | { readonly kind: 'not-sip' }, next: number, readings: SipReading[]): number {
    readings.push(reading)
    this.#enter(this.#onFault === 'stop' ? 'broken' : 'seeking')
    return next
  }

  #enter(state: State): void {
    this.#state = state
    this.#scanned = 0
    this.#startLine = undefined
    this.#head = undefined
    this.#skipsLine = false
  }

  #drop(state: State): void {
    this.#enter(this.broken ? 'broken' : state)
    this.#kept = Buffer.alloc(0)
    this.#keptLength = 0
    this.#lineBreaks = 0
  }

  /** Puts bytes behind the kept ones; the room doubles, so that single bytes cost no more than many at once. */
  #append(bytes: Buffer): Buffer {
    const length = this.#keptLength + bytes.length
    if (length > this.#kept.length) {
      const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#kept.length, LEAST_CAPACITY))
      this.#kept.copy(grown, 0, 0, this.#keptLength)
      this.#kept = grown
    }
    bytes.copy(this.#kept, this.#keptLength)
    this.#keptLength = length
    return this.#kept.subarray(0, length)
  }

  /** Keeps what is left from `start`. Bytes that a message looks into are never written over. */
  #keep(data: Buffer, start: number, { ownsData }: { ownsData: boolean }): void {
    const rest = this.broken ? 0 : data.length - start
    if (ownsData && start === 0 && rest > 0) return
    if (rest === 0) {
      this.#kept = Buffer.alloc(0)
    } else {
      const kept = Buffer.allocUnsafe(Math.max(rest, LEAST_CAPACITY))
      data.copy(kept, 0, start)
      this.#kept = kept
    }
    this.#keptLength = rest
  }
}

const TOO_LONG_START_LINE: Malformed = { kind: 'malformed', fault: 'bad-start-line' }

function holdsView(reading: SipReading): boolean {
  return reading.kind === 'message' || reading.kind === 'malformed'
}
