/** What a capturing child is told on stdin before that ends, where what it captured until then shall not be lost. */
export const READ_ON = '.'

/** What a capturing child says on stderr, a line of JSON each. */
export type CaptureReport =
  /** The kernel's counters since the child started: frames that passed the filter, and those it had no room for. */
  | { readonly type: 'statistics'; readonly received: number; readonly dropped: number }
  /** The interface is not there or down; the child waits for it. */
  | { readonly type: 'waiting'; readonly detail: string }
  /** The child ends. */
  | { readonly type: 'failed'; readonly detail: string }
  /** The child ends because the engine is not installed or cannot be loaded. */
  | { readonly type: 'no-engine'; readonly detail: string }
