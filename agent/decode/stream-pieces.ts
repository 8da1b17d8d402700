import { HELD_OVERHEAD } from './tcp-stream.ts'

interface Piece {
  readonly sequence: number
  readonly bytes: Buffer
}

/** Copies of parts of a byte stream, in order and apart. All of them lie within half of the sequence numbers. */
export class Pieces {
  #pieces: Piece[] = []
  /** The bytes, with a fee for each piece. */
  cost = 0

  /** The sequence number of the first byte; undefined where there is none. */
  get first(): number | undefined {
    return this.#pieces[0]?.sequence
  }

  /** Keeps those of `bytes` that are not there yet: the first to come stay. */
  add(sequence: number, bytes: Buffer): void {
    let from = 0
    let at = this.#firstEndingAfter(sequence)
    for (; at < this.#pieces.length && from < bytes.length; at++) {
      const piece = this.#pieces[at]!
      const start = (piece.sequence - sequence) | 0
      if (start >= bytes.length) break
      if (start > from) this.#insert(at++, sequence + from, bytes.subarray(from, start))
      from = Math.max(from, start + piece.bytes.length)
    }
    if (from < bytes.length) this.#insert(at, sequence + from, bytes.subarray(from))
  }

  /** Whether any of `bytes` are there, and are others. */
  contradicts(sequence: number, bytes: Buffer): boolean {
    for (let at = this.#firstEndingAfter(sequence); at < this.#pieces.length; at++) {
      const piece = this.#pieces[at]!
      const start = (piece.sequence - sequence) | 0
      if (start >= bytes.length) return false
      const from = Math.max(0, start)
      const to = Math.min(bytes.length, start + piece.bytes.length)
      if (bytes.compare(piece.bytes, from - start, to - start, from, to) !== 0) return true
    }
    return false
  }

  /** Takes the first piece, unless it begins behind `sequence`. */
  takeFirst(sequence: number): Piece | undefined {
    const [piece] = this.#pieces
    if (!piece || ((piece.sequence - sequence) | 0) > 0) return undefined
    this.dropFirst()
    return piece
  }

  dropFirst(): void {
    const piece = this.#pieces.shift()
    if (piece) this.cost -= piece.bytes.length + HELD_OVERHEAD
  }

  /** Lets go of all before `sequence`. */
  dropBefore(sequence: number): void {
    for (;;) {
      const [piece] = this.#pieces
      const done = piece ? (sequence - piece.sequence) | 0 : 0
      if (!piece || done <= 0) return
      this.dropFirst()
      if (done < piece.bytes.length) {
        this.#insert(0, sequence, piece.bytes.subarray(done))
        return
      }
    }
  }

  clear(): void {
    this.#pieces = []
    this.cost = 0
  }

  #insert(at: number, sequence: number, bytes: Buffer): void {
    this.#pieces.splice(at, 0, { sequence: sequence >>> 0, bytes: Buffer.from(bytes) })
    this.cost += bytes.length + HELD_OVERHEAD
  }

  #firstEndingAfter(sequence: number): number {
    let low = 0
    let high = this.#pieces.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const { sequence: start, bytes } = this.#pieces[middle]!
      if (((start + bytes.length - sequence) | 0) > 0) high = middle
      else low = middle + 1
    }
    return low
  }
}
