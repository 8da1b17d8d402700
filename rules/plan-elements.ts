import type { EpochMilliseconds } from '../registrar/net/time.ts'
import { type ElementKey, isStanding, LONGEST_TIMEOUT, type Until } from './elements.ts'
import type { ObservedSet } from './kernel.ts'

/** Adds the observed elements of one set to `held`. */
export function readHeld(
  held: Map<ElementKey, Until>,
  name: string,
  set: ObservedSet | undefined,
  now: EpochMilliseconds,
): void {
  for (const [element, { timeout }] of set?.elements ?? []) {
    held.set(`${name} ${element}`, timeout === 0 ? Number.POSITIVE_INFINITY : now + timeout * 1000)
  }
}

/** The kernel counts in whole seconds and rounds down. */
const TOLERANCE = 2_000

/** The line that brings one element from what is held to what is wanted; undefined where it is there already. */
export function planElement(
  key: ElementKey,
  wanted: Until | undefined,
  held: Until | undefined,
  now: EpochMilliseconds,
): string | undefined {
  if (wanted === undefined || wanted <= now) {
    return held !== undefined && held > now ? `del ${key} -exist` : undefined
  }
  if (held !== undefined && isNear(wanted, held, now)) return undefined
  if (isStanding(key)) return `add ${key} -exist`
  return `add ${key} timeout ${timeoutOf(wanted, now)} -exist`
}

/** When the kernel will let an element go that is written now. */
export function heldAfterAdding(wanted: Until, now: EpochMilliseconds): Until {
  return wanted === Number.POSITIVE_INFINITY ? wanted : Math.min(wanted, now + LONGEST_TIMEOUT)
}

function isNear(wanted: Until, held: Until, now: EpochMilliseconds): boolean {
  if (wanted === held) return true
  // What outlasts the longest timeout is renewed when half of that is over.
  if (wanted - now > LONGEST_TIMEOUT && wanted !== Number.POSITIVE_INFINITY) {
    return held !== Number.POSITIVE_INFINITY && held - now > LONGEST_TIMEOUT / 2
  }
  return Math.abs(wanted - held) <= TOLERANCE
}

/** In seconds, rounded up, 0 for no end. */
function timeoutOf(wanted: Until, now: EpochMilliseconds): number {
  return wanted === Number.POSITIVE_INFINITY ? 0 : Math.ceil((heldAfterAdding(wanted, now) - now) / 1000)
}
