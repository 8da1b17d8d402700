import { splitPrefix } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, showDuration } from '../../registrar/net/time.ts'
import { RETURNING_FOR } from './flood.ts'
import type { SourceRecord } from './source-table.ts'
import { DEFAULT_MALFORMED, type DetectionPolicy, type Verdict } from './verdict.ts'

/**
 * Judges REGISTERs that cannot be read, or are far larger than any phone's. They are made to break a parser or fill
 * its memory; a phone that sends one in all its life is broken. Anybody can write anybody's address over them, so a
 * source that registered within days is left to the kernel's limits, and others lose REGISTERs and no more.
 */
export function judgeMalformed(
  record: SourceRecord,
  { at, fault }: { readonly at: EpochMilliseconds; readonly fault: string },
  policy: DetectionPolicy,
): Verdict | undefined {
  const { registers: threshold, within, for: duration } = policy.malformed ?? DEFAULT_MALFORMED
  if (at - record.malformedSince > within * 1000) {
    record.malformedSince = at
    record.malformedInWindow = 0
  }
  record.malformedInWindow++
  if (record.malformedInWindow < threshold || at - record.malformedSaidAt < duration * 1000) return undefined
  record.malformedSaidAt = at
  const isReturning = record.provenUntil > at || at - record.lastSuccess < RETURNING_FOR
  const seconds = Math.round((at - record.malformedSince) / 1000)
  const said = `${record.malformedInWindow} REGISTERs within ${showDuration(within)} that cannot be read or are far too large (the last: ${fault})`
  return {
    time: at,
    name: 'malformed',
    address: splitPrefix(record.source).address,
    port: null,
    action: isReturning ? 'limit' : 'block',
    scope: 'register',
    grade: 'packet',
    reason: isReturning ? `${said}, but it registered within the last days: limited, not blocked` : said,
    evidence: { registers: record.malformedInWindow, seconds, fault, threshold },
    duration,
  }
}
