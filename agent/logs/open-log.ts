import { Buffer } from 'node:buffer'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { LineCutter } from './line-cutter.ts'

const CHUNK = 65_536
/** So much of what was read last is looked at again, to tell a file that grew from one that was written anew. */
const MEMORY = 256
/** So many chunks at one go, so that a log that grows without a pause keeps nothing else waiting. */
const MOST_CHUNKS = 256

/** One file, however its name changes: what was read of it, and from where to read on. */
export class OpenLog {
  readonly handle: FileHandle
  /** Tells the file from others for as long as it is open. */
  readonly identity: string
  readonly #cutter: LineCutter
  readonly #chunk = Buffer.allocUnsafe(CHUNK)
  #offset: number
  /** The last bytes before the offset. */
  #before: Buffer = Buffer.alloc(0)

  private constructor(handle: FileHandle, identity: string, cutter: LineCutter, offset: number) {
    this.handle = handle
    this.identity = identity
    this.#cutter = cutter
    this.#offset = offset
  }

  /** Opens a regular file, to be read from its beginning or its end on; rejects where that cannot be done. */
  static async open(
    path: string,
    { from, cutter }: { readonly from: 'beginning' | 'end'; readonly cutter: LineCutter },
  ): Promise<OpenLog> {
    // A named pipe must not hold anybody up.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const facts = await handle.stat()
      if (!facts.isFile()) throw new Error('is not a regular file')
      const log = new OpenLog(handle, `${facts.dev} ${facts.ino}`, cutter, 0)
      if (from === 'end') await log.#goTo(facts.size)
      return log
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Reads what was written since. `some`: there was something; `more`: there may be more of it. */
  async readOn(isStopped: () => boolean): Promise<'none' | 'some' | 'more'> {
    let chunks = 0
    // Without bytes to tell it by, the size alone does.
    if ((await this.handle.stat()).size < this.#offset) this.#beginAgain()
    while (!isStopped()) {
      if (chunks === MOST_CHUNKS) return 'more'
      // What was read last comes along: it may be written anew in this very moment, too.
      const known = this.#before.length
      const { bytesRead } = await this.handle.read(this.#chunk, 0, CHUNK, this.#offset - known)
      if (bytesRead < known || !this.#chunk.subarray(0, known).equals(this.#before)) {
        this.#beginAgain()
        continue
      }
      if (bytesRead === known) break
      chunks++
      const read = this.#chunk.subarray(known, bytesRead)
      this.#offset += read.length
      this.#before = Buffer.concat([this.#before, read.subarray(-MEMORY)]).subarray(-MEMORY)
      this.#cutter.push(read)
    }
    return chunks === 0 ? 'none' : 'some'
  }

  /** What is left without an end of line has no end. */
  async close(): Promise<void> {
    this.#cutter.drop()
    await this.handle.close()
  }

  /** A line may be half written at that moment: reading begins behind the last end of line. */
  async #goTo(size: number): Promise<void> {
    let line = size
    if (size > 0) {
      const from = Math.max(0, size - CHUNK)
      const { bytesRead } = await this.handle.read(this.#chunk, 0, size - from, from)
      const newline = this.#chunk.subarray(0, bytesRead).lastIndexOf(0x0a)
      if (newline >= 0) line = from + newline + 1
      const known = this.#chunk.subarray(0, Math.max(0, line - from))
      this.#before = Buffer.from(known.subarray(-MEMORY))
    }
    this.#offset = line
  }

  /**
   * `copytruncate` and `>` leave the file and empty it. By the time anybody looks it may have grown beyond where
   * reading stopped; then the bytes before that place are others.
   */
  #beginAgain(): void {
    this.#cutter.drop()
    this.#offset = 0
    this.#before = Buffer.alloc(0)
  }
}
