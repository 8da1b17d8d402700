import type { Seconds } from '../net/time.ts'
import { isDigit } from './characters.ts'
import { bad, type Field, good } from './field.ts'

/** What a malformed expiry stands for (RFC 3261 section 20.19), for a caller that does not refuse it. */
export const MALFORMED_EXPIRES: Seconds = 3600

/** The largest expiry there is; more is read as this (RFC 3261 section 20.19, RFC 4475 section 3.1.2.4). */
const MOST_EXPIRES: Seconds = 0xffff_ffff

/** Reads delta-seconds: the value of Expires, Min-Expires, Max-Forwards or of an `expires` parameter. */
export function readExpires(value: string | undefined): Field<Seconds> {
  if (value === undefined) return bad('missing-header')
  if (value.length === 0) return bad('bad-expires')
  let seconds = 0
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (!isDigit(code)) return bad('bad-expires')
    seconds = Math.min(seconds * 10 + code - 0x30, MOST_EXPIRES)
  }
  return good(seconds)
}
