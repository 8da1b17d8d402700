import { isUtf8 } from 'node:buffer'
import { TextDecoder } from 'node:util'
import type { Clock, Milliseconds } from '../../registrar/net/time.ts'

const LONGEST_LINE = 65_536
/** At about 5 µs a line that is a twentieth of a core. */
const MOST_LINES_A_SECOND = 10_000
const SECOND: Milliseconds = 1_000
const NEWLINE = 0x0a
const RETURN = 0x0d

/** What came out of a file so far. */
export interface LineCounts {
  /** Lines that ended, whatever became of them. */
  read: number
  /** Lines that were let go: too long, too many in a second, or cut off. */
  letGo: number
}

/**
 * Lets so many lines of a log through in a second, whatever number of files they come from: whoever is logged decides
 * how many there are.
 */
export class LineBudget {
  readonly #clock: Clock
  readonly #most: number
  #since: Milliseconds = Number.NEGATIVE_INFINITY
  #spent = 0

  constructor({ clock, most = MOST_LINES_A_SECOND }: { readonly clock: Clock; readonly most?: number }) {
    this.#clock = clock
    this.#most = most
  }

  spend(): boolean {
    const now = this.#clock()
    // A clock that was set back begins a new second too.
    if (now - this.#since >= SECOND || now < this.#since) {
      this.#since = now
      this.#spent = 0
    }
    this.#spent++
    return this.#spent <= this.#most
  }
}

/** How the text of a log is written. `chinese`: a line that is no UTF-8 is GBK, or what came after it (GB18030). */
export type LogEncoding = 'utf8' | 'chinese'

const GB18030 = chineseDecoder()

/** Cuts the bytes of one file into lines. What it holds between two chunks is bounded by the longest line. */
export class LineCutter {
  readonly #onLine: (line: string) => void
  readonly #counts: LineCounts
  readonly #budget: LineBudget
  readonly #encoding: LogEncoding
  #held: Buffer[] = []
  #heldBytes = 0
  /** The line that has begun is too long already; what is left of it is passed over. */
  #tooLong = false

  constructor(options: {
    readonly counts: LineCounts
    readonly budget: LineBudget
    readonly encoding?: LogEncoding
    readonly onLine: (line: string) => void
  }) {
    this.#encoding = options.encoding ?? 'utf8'
    this.#onLine = options.onLine
    this.#counts = options.counts
    this.#budget = options.budget
  }

  /** The chunk may be used again by its owner afterwards. */
  push(chunk: Buffer): void {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start)
      if (end < 0) break
      this.#line(chunk.subarray(start, end))
      start = end + 1
    }
    this.#hold(chunk.subarray(start))
  }

  /** Forgets the line that has begun: its end will never come, or not behind it. */
  drop(): void {
    if (this.#heldBytes > 0 || this.#tooLong) {
      this.#counts.read++
      this.#counts.letGo++
    }
    this.#forget()
  }

  #hold(part: Buffer): void {
    if (part.length === 0 || this.#tooLong) return
    if (this.#heldBytes + part.length > LONGEST_LINE) {
      this.#forget()
      this.#tooLong = true
      return
    }
    this.#held.push(Buffer.from(part))
    this.#heldBytes += part.length
  }

  #line(last: Buffer): void {
    this.#counts.read++
    const isTooLong = this.#tooLong || this.#heldBytes + last.length > LONGEST_LINE
    if (isTooLong || !this.#budget.spend()) {
      this.#counts.letGo++
      this.#forget()
      return
    }
    const bytes = this.#held.length === 0 ? last : Buffer.concat([...this.#held, last])
    this.#forget()
    const end = bytes.at(-1) === RETURN ? bytes.length - 1 : bytes.length
    this.#onLine(this.#textOf(bytes.subarray(0, end)))
  }

  #textOf(bytes: Buffer): string {
    const isOther = this.#encoding === 'chinese' && GB18030 !== undefined && !isUtf8(bytes)
    return isOther ? GB18030.decode(bytes) : bytes.toString('utf8')
  }

  #forget(): void {
    this.#held = []
    this.#heldBytes = 0
    this.#tooLong = false
  }
}

/** A Node that was built without all of ICU knows no such encoding. */
function chineseDecoder(): TextDecoder | undefined {
  try {
    return new TextDecoder('gb18030')
  } catch {
    return undefined
  }
}
