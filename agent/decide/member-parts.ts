import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'
import type { Member } from '../../rules/desired-state.ts'
import { KeyedParts } from './keyed-parts.ts'

export const PARTS = 256

/** The members of the lanes. */
export class MemberParts extends KeyedParts<Member> {
  constructor() {
    super({ count: PARTS })
  }
}

/**
 * An end put off to the next multiple of `step`, so that somebody who is seen again and again does not have his
 * element written each time.
 */
export function putOff(end: EpochMilliseconds, step: Milliseconds): EpochMilliseconds {
  return Math.ceil(end / step) * step
}
