import type { CaptureFormat, CaptureOutcome, CaptureResult } from './capture-format.ts'
import type { Frame } from './frame.ts'
import { PcapFormat } from './pcap-format.ts'
import { PcapngFormat } from './pcapng-format.ts'

export type { CaptureOutcome, CaptureResult } from './capture-format.ts'

/**
 * Reads a capture, pcap or pcapng, from chunks as they come: the same reader for a file and for the pipe of a
 * live capture. Frames are handed out synchronously and are views into the chunk. At most one record that
 * straddles chunks is held, so memory does not grow with the capture.
 */
export class CaptureReader {
  readonly #onFrame: (frame: Frame) => void
  #format: CaptureFormat | undefined
  #outcome: CaptureOutcome | undefined
  #frames = 0
  #carry = Buffer.alloc(0)
  #carried = 0
  /** How many bytes the record at the front of the carry needs before it can be looked at again. */
  #needed = 4
  #skip = 0
  #anything = false

  constructor(options: { readonly onFrame: (frame: Frame) => void }) {
    this.#onFrame = options.onFrame
  }

  /** Frames delivered so far. */
  get frames(): number {
    return this.#frames
  }

  /** Whether the beginning was read, and is that of a capture. */
  get ready(): boolean {
    return this.#format?.ready === true
  }

  /** Set as soon as nothing more can be read, even when more bytes are pushed. */
  get outcome(): CaptureOutcome | undefined {
    return this.#outcome
  }

  push(chunk: Buffer): void {
    let offset = 0
    if (chunk.length > 0) this.#anything = true
    while (this.#outcome === undefined && offset < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - offset)
        this.#skip -= step
        offset += step
      } else if (this.#carried > 0) {
        offset += this.#fillCarry(chunk, offset)
        if (this.#carried >= this.#needed) {
          this.#read(this.#carry, 0, this.#carried)
          // The carry holds exactly one record's bytes: either it was taken or it needs more.
          if (this.#needed === 0) this.#carried = 0
        }
      } else {
        offset = this.#read(chunk, offset, chunk.length)
        if (this.#outcome === undefined && this.#skip === 0 && offset < chunk.length) {
          this.#keep(chunk, offset)
          offset = chunk.length
        }
      }
    }
  }

  /** Says that no more bytes come, and how it ended. */
  end(): CaptureResult {
    this.#outcome ??= this.#outcomeAtEnd()
    return { outcome: this.#outcome, frames: this.#frames }
  }

  #outcomeAtEnd(): CaptureOutcome {
    if (!this.#anything) return { kind: 'not-a-capture', detail: 'The file is empty.' }
    if (this.#format === undefined) {
      return { kind: 'not-a-capture', detail: 'The file is too short to be a pcap or pcapng capture.' }
    }
    if (this.#carried > 0 || this.#skip > 0) {
      return { kind: 'truncated', detail: `the capture ends within the record after frame ${this.#frames}` }
    }
    return { kind: 'complete' }
  }

  /** Reads whole records from `start` on; returns where it stopped. `#needed` is 0 after a whole record. */
  #read(bytes: Buffer, start: number, end: number): number {
    let offset = start
    this.#needed = 0
    while (offset < end) {
      if (this.#format === undefined && !this.#detect(bytes, offset, end)) return offset
      const step = this.#format!.step(bytes, offset, end)
      if (step.kind === 'taken') {
        offset += step.size
        if (step.skip) {
          const here = Math.min(step.skip, end - offset)
          offset += here
          this.#skip = step.skip - here
          if (this.#skip > 0) return offset
        }
      } else if (step.kind === 'need') {
        this.#needed = step.bytes
        return offset
      } else {
        this.#outcome = step.outcome
        return offset
      }
    }
    return offset
  }

  #detect(bytes: Buffer, offset: number, end: number): boolean {
    if (end - offset < 4) {
      this.#needed = 4
      return false
    }
    const deliver = (frame: Frame) => {
      this.#frames++
      this.#onFrame(frame)
    }
    const magic = bytes.readUInt32BE(offset)
    this.#format = magic === 0x0a0d0d0a ? new PcapngFormat(deliver) : PcapFormat.forMagic(magic, deliver)
    if (this.#format === undefined) this.#outcome = { kind: 'not-a-capture', detail: explainMagic(magic) }
    return this.#format !== undefined
  }

  #keep(chunk: Buffer, offset: number): void {
    const rest = chunk.length - offset
    this.#grow(Math.max(rest, this.#needed))
    chunk.copy(this.#carry, 0, offset)
    this.#carried = rest
  }

  #fillCarry(chunk: Buffer, offset: number): number {
    this.#grow(this.#needed)
    const size = Math.min(this.#needed - this.#carried, chunk.length - offset)
    chunk.copy(this.#carry, this.#carried, offset, offset + size)
    this.#carried += size
    return size
  }

  #grow(size: number): void {
    if (this.#carry.length >= size) return
    const larger = Buffer.allocUnsafeSlow(Math.max(size, 2048))
    this.#carry.copy(larger, 0, 0, this.#carried)
    this.#carry = larger
  }
}

/** Reads a whole capture, for example `createReadStream(file)`. I/O errors of the stream are thrown. */
export async function readCapture(
  chunks: AsyncIterable<Buffer>,
  onFrame: (frame: Frame) => void,
): Promise<CaptureResult> {
  const reader = new CaptureReader({ onFrame })
  for await (const chunk of chunks) {
    reader.push(chunk)
    if (reader.outcome) break
  }
  return reader.end()
}

function explainMagic(magic: number): string {
  if (magic >>> 16 === 0x1f8b) return 'The file is compressed with gzip; unpack it first.'
  if (magic === 0x28b52ffd) return 'The file is compressed with zstd; unpack it first.'
  return 'The file is neither a pcap nor a pcapng capture.'
}
