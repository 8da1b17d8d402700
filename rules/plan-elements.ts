import type { EpochMilliseconds } from '../registrar/net/time.ts'
import { type ElementKey, isStanding, LONGEST_TIMEOUT, type Until } from './elements.ts'
import type { ObservedElement, ObservedSet } from './kernel.ts'

/** The observed elements of one set. */
export function readHeld(
  name: string,
  set: ObservedSet | undefined,
  now: EpochMilliseconds,
): Map<ElementKey, Until> {
  const held = new Map<ElementKey, Until>()
  for (const [element, observed] of set?.elements ?? []) {
    held.set(`${name} ${element}`, endOf(observed, now))
  }
  return held
}

/** When the kernel will let an observed element go. */
export function endOf({ timeout }: ObservedElement, now: EpochMilliseconds): Until {
  return timeout === 0 ? Number.POSITIVE_INFINITY : now + timeout * 1000
}

/** The kernel counts in whole seconds and rounds down. */
const TOLERANCE = 2_000
/** What is read took a while to be written, and takes a while to be read. */
export const READ_TOLERANCE = 5_000

/** The line that brings one element from what is held to what is wanted; undefined where it is there already. */
export function planElement(
  key: ElementKey,
  wanted: Until | undefined,
  held: Until | undefined,
  now: EpochMilliseconds,
  tolerance = TOLERANCE,
): string | undefined {
  if (wanted === undefined || wanted <= now) {
    return held !== undefined && held > now ? `del ${key} -exist` : undefined
  }
  if (held !== undefined && isNear(wanted, held, now, tolerance)) return undefined
  if (isStanding(key)) return `add ${key} -exist`
  return `add ${key} timeout ${timeoutOf(wanted, now)} -exist`
}

/** When the kernel will let an element go that is written now. */
export function heldAfterAdding(wanted: Until, now: EpochMilliseconds): Until {
  return wanted === Number.POSITIVE_INFINITY ? wanted : Math.min(wanted, now + LONGEST_TIMEOUT)
}

/** In seconds, rounded up, 0 for no end. */
export function timeoutOf(wanted: Until, now: EpochMilliseconds): number {
  return wanted === Number.POSITIVE_INFINITY ? 0 : Math.ceil((heldAfterAdding(wanted, now) - now) / 1000)
}

function isNear(wanted: Until, held: Until, now: EpochMilliseconds, tolerance: number): boolean {
  if (wanted === held) return true
  // What outlasts the longest timeout is renewed when half of that is over.
  if (wanted - now > LONGEST_TIMEOUT && wanted !== Number.POSITIVE_INFINITY) {
    return held !== Number.POSITIVE_INFINITY && held - now > LONGEST_TIMEOUT / 2
  }
  return Math.abs(wanted - held) <= tolerance
}
