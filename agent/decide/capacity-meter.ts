import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Capacity } from './capacity.ts'

/** What all unknown sources together may send where their limit follows the capacity. A plain value. */
export interface Meter {
  /** REGISTERs a second. */
  readonly perSecond: number
  readonly changedAt: EpochMilliseconds
}

/** Some of the capacity stays free: what comes at once comes in bursts. */
const USED = 0.9
/** However busy the known ones are, a stranger finds so much. */
const LEAST_PART = 0.05
const LEAST = 10
/** Each change is a rule that has to be written and warmed: smaller or sooner ones are not worth it. */
const STEP = 0.2
const PAUSE: Milliseconds = 60_000
const PAUSE_UNDER_ATTACK: Milliseconds = 10_000

/**
 * What is left of the capacity for strangers. `honest`: REGISTERs a second that known sources need. `usual`: what they
 * may send while nobody knows where the softswitch's end is.
 */
export function leftForUnknown(
  { perSecond, how }: Capacity,
  { honest, usual }: { readonly honest: number; readonly usual: number },
): number {
  if (perSecond === null) return usual
  const left = Math.max(perSecond * USED - honest, perSecond * LEAST_PART, LEAST)
  return Math.round(how === 'at-least' ? Math.max(left, usual) : left)
}

/** Follows it in steps. Under attack only downwards, or the attack would write its own limit. */
export function nextMeter(
  before: Meter,
  {
    wanted,
    now,
    underAttack,
  }: { readonly wanted: number; readonly now: EpochMilliseconds; readonly underAttack: boolean },
): Meter {
  const isStep = Math.abs(wanted - before.perSecond) >= before.perSecond * STEP
  if (!isStep || (underAttack && wanted > before.perSecond)) return before
  const pause = underAttack ? PAUSE_UNDER_ATTACK : PAUSE
  // A clock that was set back is not waited for.
  const waits = now >= before.changedAt && now - before.changedAt < pause
  return waits ? before : { perSecond: wanted, changedAt: now }
}
