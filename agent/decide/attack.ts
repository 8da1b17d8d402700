import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'

/** What the operator ordered. `auto` leaves it to the configuration, and that to what is seen. */
export type StrictOrder = 'auto' | 'on' | 'off'

/** What decides beside the rates that are seen. */
export interface StrictSettings {
  readonly order: StrictOrder
  /** `limits.strict.when`. */
  readonly when: 'auto' | 'always' | 'never'
  /** REGISTERs a second that all unknown sources together may send: `limits.total.perSecond`. */
  readonly total: number
}

/** Which limits decide about unknown sources. A plain value. */
export interface AttackState {
  readonly state: 'peace' | 'strict'
  readonly since: EpochMilliseconds
  /** In one sentence. */
  readonly why: string
  /** Until when the kernel holds the strict limits; null in peace. */
  readonly strictUntil: EpochMilliseconds | null
  /** Since when unknown sources were over the total without a pause; null while they are not. */
  readonly overSince: EpochMilliseconds | null
  /** When they were last over half of it. */
  readonly lastBusy: EpochMilliseconds
}

/** The REGISTERs of unknown sources in the last `seconds`, each source counted up to its own limit. */
export interface UnknownRate {
  readonly registers: number
  readonly seconds: Seconds
}

const OVER_FOR: Milliseconds = 2_000
const QUIET_FOR: Milliseconds = 60_000
/** The kernel returns to peace by itself when the daemon is dead for so long. */
const STRICT_FOR: Milliseconds = 120_000
const RENEW_EVERY: Milliseconds = 30_000
/** A summary a second comes some milliseconds early or late. */
const LENIENCE: Milliseconds = 100

export function peaceSince(since: EpochMilliseconds): AttackState {
  return {
    state: 'peace',
    since,
    why: 'Unknown sources are within their limit.',
    strictUntil: null,
    overSince: null,
    lastBusy: Number.NEGATIVE_INFINITY,
  }
}

/**
 * The state that follows: at each summary of the sensor, at each change of the settings, and once a second without a
 * rate, so that a sensor that says nothing does not hold an attack up for ever.
 */
export function nextAttackState(
  before: AttackState,
  settings: StrictSettings,
  { now, rate }: { readonly now: EpochMilliseconds; readonly rate?: UnknownRate },
): AttackState {
  const seen = rate ? weigh(before, settings, { now, rate }) : before
  const { state, why } = decide(seen, settings, now)
  const changed = state !== before.state
  return {
    ...seen,
    state,
    why: changed || isOrdered(settings) || isOrder(before.why) ? why : before.why,
    since: changed ? now : before.since,
    strictUntil: state === 'strict' ? renewed(before.strictUntil, now) : null,
  }
}

function weigh(
  before: AttackState,
  { total }: StrictSettings,
  { now, rate: { registers, seconds } }: { readonly now: EpochMilliseconds; readonly rate: UnknownRate },
): AttackState {
  const perSecond = registers / Math.max(seconds, 0.001)
  // A rate is about the time before it is told.
  const from = now - seconds * 1_000
  return {
    ...before,
    overSince: perSecond > total ? (before.overSince ?? from) : null,
    lastBusy: perSecond > total / 2 ? now : before.lastBusy,
  }
}

function decide(
  { state, overSince, lastBusy }: AttackState,
  { order, when, total }: StrictSettings,
  now: EpochMilliseconds,
): Pick<AttackState, 'state' | 'why'> {
  if (order !== 'auto') return { state: order === 'on' ? 'strict' : 'peace', why: BY_ORDER[order] }
  if (when !== 'auto') return { state: when === 'always' ? 'strict' : 'peace', why: BY_CONFIGURATION[when] }
  const limit = `${total.toLocaleString('en-US')} REGISTERs a second`
  if (state === 'peace') {
    const isOver = overSince !== null && now - overSince >= OVER_FOR - LENIENCE
    return isOver
      ? { state: 'strict', why: `Unknown sources sent over ${limit} for two seconds.` }
      : { state: 'peace', why: peaceSince(now).why }
  }
  return now - lastBusy >= QUIET_FOR
    ? { state: 'peace', why: `Unknown sources have been under half of ${limit} for a minute.` }
    : { state: 'strict', why: `Unknown sources sent over ${limit} lately.` }
}

const BY_ORDER = {
  on: 'The operator ordered the strict limits.',
  off: 'The operator ordered the limits of peace.',
} as const

const BY_CONFIGURATION = {
  always: 'The configuration says limits.strict.when: always.',
  never: 'The configuration says limits.strict.when: never.',
} as const

function isOrdered({ order, when }: StrictSettings): boolean {
  return order !== 'auto' || when !== 'auto'
}

function isOrder(why: string): boolean {
  return [...Object.values(BY_ORDER), ...Object.values(BY_CONFIGURATION)].some((sentence) => sentence === why)
}

/** Changed only when its time has come: each change is written to the kernel. */
function renewed(until: EpochMilliseconds | null, now: EpochMilliseconds): EpochMilliseconds {
  return until !== null && until - now > STRICT_FOR - RENEW_EVERY && until <= now + STRICT_FOR
    ? until
    : now + STRICT_FOR
}
