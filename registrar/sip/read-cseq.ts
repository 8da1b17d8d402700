import { consistsOf, isBlank, isDigit, skipBlanks, TOKEN } from './characters.ts'
import { bad, type Field, good } from './field.ts'
import { normalMethod } from './start-line.ts'

export interface CSeq {
  readonly number: number
  /** As in a start line: a known method in capitals. */
  readonly method: string
}

/**
 * Reads a CSeq value (RFC 3261 section 20.16). The RFC wants numbers below 2^31; up to 2^32-1 is read, as
 * softswitches do.
 */
export function readCSeq(value: string | undefined): Field<CSeq> {
  if (value === undefined) return bad('missing-header')
  let at = 0
  let number = 0
  while (at < value.length && isDigit(value.charCodeAt(at))) {
    number = number * 10 + value.charCodeAt(at++) - 0x30
    if (number > 0xffff_ffff) return bad('bad-cseq')
  }
  if (at === 0 || !isBlank(value.charCodeAt(at))) return bad('bad-cseq')
  const method = value.slice(skipBlanks(value, at))
  return consistsOf(TOKEN, method) ? good({ number, method: normalMethod(method) }) : bad('bad-cseq')
}
