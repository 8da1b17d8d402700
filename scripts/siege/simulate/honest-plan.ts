/** Honest phones of a simulation: written as JSON by it, read by the program that plays them. */
export interface HonestPlan {
  readonly server: string
  readonly port: number
  /** What they register with; without it they ask with OPTIONS. */
  readonly account: { readonly user: string; readonly password: string; readonly domain: string } | null
  /** Seconds of the attack until the newcomer's first try. */
  readonly newcomerAfter: number
  readonly seed: number
  /** The program ends by itself after so many seconds. */
  readonly longest: number
}

export type HonestPhase = 'before' | 'during' | 'after'

/** One question of a phone that was known before: a registration, or an OPTIONS. */
export interface HonestTry {
  /** When it began. */
  readonly phase: HonestPhase
  /** Milliseconds until the answer; null: none yet, or one that refuses. */
  readonly took: number | null
  readonly outcome: 'answered' | 'refused' | 'silence' | 'open'
}

/** Said each second on one line. */
export interface HonestProgress {
  readonly answered: number
  readonly refused: number
}

/** Said on one line at the end. */
export interface HonestResult {
  readonly asks: 'REGISTER' | 'OPTIONS'
  readonly tries: readonly HonestTry[]
  /** Milliseconds from its first packet to its first 200; null: not by the end, or nobody came. */
  readonly newcomer: { readonly took: number | null; readonly waited: number } | null
}

/** Where they are: the one that is known before, and the one that comes in the attack. */
export const CUSTOMER = '198.19.0.10'
export const NEWCOMER = '198.19.0.20'
