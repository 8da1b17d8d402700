import type { Milliseconds } from '../../registrar/net/time.ts'
import type { LaneEvidence } from '../detect/lane-evidence.ts'

/** Evidence waits for so long at most, so that a storm of it becomes forty messages a second. */
const INTERVAL: Milliseconds = 25
/** What a password stands behind, and what anybody can cause, have room of their own. */
const MOST_REGISTRATIONS = 4_000
const MOST_OTHERS = 1_000

export interface LaneReport {
  readonly evidence: readonly LaneEvidence[]
  /** Evidence of this time that found no room. */
  readonly dropped: number
}

/** Gathers lane evidence into reports: the first at once, the next not sooner than an interval later. */
export class LaneBatch {
  readonly #report: (report: LaneReport) => void
  readonly #clock: () => Milliseconds
  /** The last word about each source. */
  readonly #registrations = new Map<string, LaneEvidence>()
  readonly #others = new Map<string, LaneEvidence>()
  #dropped = 0
  #reportedAt: Milliseconds = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  /** `clock`: any clock of milliseconds that only goes forward. */
  constructor(options: {
    readonly clock: () => Milliseconds
    readonly report: (report: LaneReport) => void
  }) {
    this.#clock = options.clock
    this.#report = options.report
  }

  add(evidence: LaneEvidence): void {
    const isRegistration = evidence.kind === 'registered' || evidence.kind === 'unregistered'
    const [held, most] = isRegistration
      ? [this.#registrations, MOST_REGISTRATIONS]
      : [this.#others, MOST_OTHERS]
    const key = keyOf(evidence)
    // Deleted first, so that what came last is said last.
    if (!held.delete(key) && held.size >= most) {
      this.#dropped++
      return
    }
    held.set(key, evidence)
    if (this.#clock() - this.#reportedAt >= INTERVAL) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), INTERVAL)
  }

  /** Says what waits. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#registrations.size + this.#others.size === 0) return
    this.#reportedAt = this.#clock()
    const evidence = [...this.#others.values(), ...this.#registrations.values()]
    const dropped = this.#dropped
    this.#others.clear()
    this.#registrations.clear()
    this.#dropped = 0
    this.#report({ evidence, dropped })
  }
}

function keyOf(evidence: LaneEvidence): string {
  switch (evidence.kind) {
    case 'registered':
    case 'unregistered':
      return `${evidence.source.address} ${evidence.source.port} ${evidence.account}`
    case 'answered':
      return `${evidence.source.address} ${evidence.source.port}`
    case 'ignoring':
      return evidence.source
    case 'guessing':
      return `guessing ${evidence.source}`
  }
}
