import type { Milliseconds } from '../../registrar/net/time.ts'

const DAY: Milliseconds = 86_400_000

/** How much is kept. What is oldest goes first; decisions that stand are never let go. */
export interface JournalBounds {
  readonly verdicts: { readonly rows: number; readonly age: Milliseconds }
  /** Decisions that were taken back or ran out. */
  readonly pastDecisions: { readonly rows: number; readonly age: Milliseconds }
  readonly audit: { readonly rows: number; readonly age: Milliseconds }
  readonly knownSources: { readonly rows: number }
  /** Of each lane; `age`: of returning sources. */
  readonly lanes: { readonly rows: number; readonly age: Milliseconds }
  /** Changes of state; and for how long an hour is kept that tells what is usual. */
  readonly weather: { readonly rows: number; readonly age: Milliseconds; readonly baselineAge: Milliseconds }
  /** Of the database file; its write-ahead log comes on top. */
  readonly fileBytes: number
}

export const DEFAULT_BOUNDS: JournalBounds = {
  verdicts: { rows: 200_000, age: 30 * DAY },
  pastDecisions: { rows: 100_000, age: 90 * DAY },
  audit: { rows: 100_000, age: 365 * DAY },
  knownSources: { rows: 500_000 },
  // As many as the kernel's sets hold at most.
  lanes: { rows: 1_048_576, age: 8 * DAY },
  weather: { rows: 10_000, age: 365 * DAY, baselineAge: 36 * DAY },
  fileBytes: 1024 * 1024 * 1024,
}

/** Rows that one `tidy` takes out of one table at most, so that it never holds the event loop for long. */
export const MOST_REMOVED_AT_ONCE = 10_000
/** Successes held back before they are written. */
export const SUCCESS_BATCH = 1_000
/** Successes held back at most while the database refuses them. */
export const MOST_HELD_BACK = 20_000
const MOST_REASON_CHARACTERS = 1_000
const MOST_EVIDENCE_CHARACTERS = 8_000

export function boundedText(text: string): string {
  return text.length > MOST_REASON_CHARACTERS ? `${text.slice(0, MOST_REASON_CHARACTERS - 1)}…` : text
}

/** Evidence as JSON; facts that would make it too long are left out from the end. */
export function evidenceToJson(evidence: Readonly<Record<string, unknown>>): string {
  const whole = JSON.stringify(evidence)
  if (whole.length <= MOST_EVIDENCE_CHARACTERS) return whole
  const kept: Record<string, unknown> = {}
  let length = 32
  for (const [name, value] of Object.entries(evidence)) {
    length += JSON.stringify({ [name]: value }).length
    if (length > MOST_EVIDENCE_CHARACTERS) break
    kept[name] = value
  }
  return JSON.stringify({ ...kept, truncated: true })
}
