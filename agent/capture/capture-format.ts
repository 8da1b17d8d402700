/** How a capture ended. All frames before the end were delivered, whatever it is. */
export type CaptureOutcome =
  | { readonly kind: 'complete' }
  /** The capture ends within a record, as when the capturing program was killed. */
  | { readonly kind: 'truncated'; readonly detail: string }
  /** A record whose lengths cannot be true; nothing after it can be found. */
  | { readonly kind: 'bad-block'; readonly detail: string }
  /** The bytes are no capture; `detail` is a sentence for the person who named the file. */
  | { readonly kind: 'not-a-capture'; readonly detail: string }

export interface CaptureResult {
  readonly outcome: CaptureOutcome
  readonly frames: number
}

/** What a format makes of the bytes at hand: a unit of `size` bytes done, more bytes needed, or the end. */
export type FormatStep =
  | { readonly kind: 'taken'; readonly size: number; readonly skip?: number }
  | { readonly kind: 'need'; readonly bytes: number }
  | { readonly kind: 'stop'; readonly outcome: CaptureOutcome }

/** One file format. `step` reads at most one record from `bytes[start..end)` and never throws on content. */
export interface CaptureFormat {
  /** Whether the header at the beginning was read. */
  readonly ready: boolean
  step(bytes: Buffer, start: number, end: number): FormatStep
}

/** No link carries a larger frame; libpcap refuses longer snap lengths (MAXIMUM_SNAPLEN). */
export const MAX_FRAME_BYTES = 262_144
/** The largest record that is held in memory: a frame with its options, or a header block with its options. */
export const MAX_RECORD_BYTES = 1_048_576
