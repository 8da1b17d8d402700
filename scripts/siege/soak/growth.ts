/** What the guard held at a quiet moment, after a round. */
export interface Held {
  /** Seconds since the soak began. */
  readonly at: number
  /** Bytes, those that processes share counted once. */
  readonly memory: number
  /** The same of each kind of process. */
  readonly kinds: Readonly<Record<string, number>>
  /** Sources that the sensor remembers, of which it keeps 100,000 at most by default. */
  readonly sources: number
  /** Open files of all its processes. */
  readonly files: number
  readonly processes: number
  /** Bytes of sets and limits in the kernel. */
  readonly tables: number
  /** Bytes of what is kept on disk. */
  readonly data: number
}

/** From the second quarter to the last, in which memory may swing as far as a garbage collector lets it. */
const MAY_GROW = {
  memory: { by: 20e6, share: 0.15 },
  files: { by: 8, share: 0 },
  processes: { by: 1, share: 0 },
} as const
/** What is remembered of sources has bounds of its own; these are those of all tables together. */
const MOST_TABLES = 150e6
/** Fewer moments tell nothing of growth. */
const FEWEST = 4

export interface Growth {
  readonly what: keyof typeof MAY_GROW
  /** The medians of the second and of the last quarter. */
  readonly from: number
  readonly to: number
}

/** The first quarter is left out: caches fill, and what is compiled is compiled. */
export function growthOf(held: readonly Held[]): readonly Growth[] {
  const quarter = (which: number) =>
    held.slice(
      Math.floor((held.length * which) / 4),
      Math.max(1, Math.floor((held.length * (which + 1)) / 4)),
    )
  return (Object.keys(MAY_GROW) as Growth['what'][]).map((what) => ({
    what,
    from: median(quarter(1).map((one) => one[what])),
    to: median(quarter(3).map((one) => one[what])),
  }))
}

/** What leaks, a sentence each; none where nothing does. */
export function leaksOf(held: readonly Held[]): readonly string[] {
  if (held.length < FEWEST) return [`only ${held.length} rounds: too few to tell of leaks`]
  const leaks = growthOf(held)
    .filter(({ what, from, to }) => {
      const { by, share } = MAY_GROW[what]
      return to - from > Math.max(by, share * from)
    })
    .map(({ what, from, to }) => `${what} grew from ${show(what, from)} to ${show(what, to)}`)
  const tables = Math.max(...held.map((one) => one.tables))
  if (tables > MOST_TABLES) leaks.push(`the kernel's tables held ${megabytes(tables)}`)
  return leaks
}

export function show(what: Growth['what'], value: number): string {
  return what === 'memory' ? megabytes(value) : String(value)
}

export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
