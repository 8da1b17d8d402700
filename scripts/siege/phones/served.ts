import type { PhoneRecord, Served } from './plan.ts'

/** A registration counts as a success with a 200 within so many milliseconds. */
export const IN_TIME = 4_000

/** How customers fared until now, in milliseconds of the registrations' clock. */
export function countServed(phones: readonly PhoneRecord[], now: number): Served {
  let asked = 0
  let inTime = 0
  for (const { kind, registrations } of phones) {
    if (kind !== 'customer') continue
    for (const { begun, ended, outcome, mistyped } of registrations) {
      if (mistyped || begun > now - IN_TIME) continue
      asked += 1
      if (outcome === 'registered' && ended! - begun <= IN_TIME) inTime += 1
    }
  }
  return { asked, inTime }
}
