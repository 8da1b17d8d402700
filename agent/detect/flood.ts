import { splitPrefix } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, type Milliseconds, showDuration } from '../../registrar/net/time.ts'
import { NEVER, type SourceRecord } from './source-table.ts'
import type { DetectionPolicy, Verdict } from './verdict.ts'

/** An honest phone sends at most 16 REGISTERs in ten seconds (baresip with a wrong password does). */
const MOST_REGISTERS_A_PHONE = 16
/** So many phones behind one address that never had a success are no office. */
const MOST_PHONES = 1_000
/** A success makes a source a returning one for so long. */
export const RETURNING_FOR: Milliseconds = 7 * 86_400_000
/** From this many answers on, a source that wanted to register has had its chance. */
const ANSWERS_FOR_A_CHANCE = 3

/**
 * Judges the REGISTER rate of one source. Over the threshold it is blocked (scope register: a count of packets
 * proves no more), unless somebody honest may be behind it:
 *
 * - it registered within the last days: then only the kernel's limits hold it;
 * - it looks like an office coming back: many accounts, few REGISTERs each. Then it gets the time of one more
 *   window, and is blocked only where the softswitch answered it and it never answered a challenge;
 * - nobody can say, since the softswitch's answers are not seen there (`answersUnseen`);
 * - phones come back all at once after an outage (`policy.flood.informs`).
 */
export function judgeFlood(
  record: SourceRecord,
  now: EpochMilliseconds,
  policy: DetectionPolicy,
  { answersUnseen = false }: { readonly answersUnseen?: boolean } = {},
): Verdict | undefined {
  const { registers: threshold, within } = policy.flood
  const registers = record.window.total(now)
  if (registers < threshold) {
    // One quiet second is no peace: what a flood did with its chance is forgotten when half of it is gone.
    if (registers < threshold / 2) record.overSince = 0
    return undefined
  }
  if (record.overSince === 0) {
    record.overSince = now
    record.answersWhileOver = 0
  }
  if (now - record.lastVerdictAt < within * 1000) return undefined

  const phones = record.phones?.estimate() ?? 1
  const evidence = {
    registers,
    seconds: within,
    threshold,
    accounts: Math.min(phones, registers),
    challenges: record.challenges,
    successes: record.successes,
    liveBinding: record.provenUntil > now,
  }
  const said = `${registers} REGISTERs in ${showDuration(within)}`
  const verdict = (action: Verdict['action'], why: string): Verdict => {
    record.lastVerdictAt = now
    record.lastFloodBlockAt = action === 'block' ? now : NEVER
    return {
      time: now,
      name: 'register-flood',
      address: splitPrefix(record.source).address,
      port: null,
      action,
      scope: 'register',
      grade: 'packet',
      reason: `${said}${why}`,
      evidence,
      duration: policy.flood.for,
    }
  }

  if (record.provenUntil > now) {
    return verdict('limit', ', but a registration of this source still lasts: limited, not blocked')
  }
  if (now - record.lastSuccess < RETURNING_FOR) {
    return verdict('limit', ', but it registered within the last days: limited, not blocked')
  }
  if (answersUnseen) {
    return verdict('limit', ', but on this port no answers of the softswitch are seen: limited, not blocked')
  }
  if (policy.flood.informs) {
    return verdict('limit', ', while phones come back all at once: limited, not blocked')
  }
  const looksLikePhones = phones >= 2 && phones <= MOST_PHONES && registers <= phones * MOST_REGISTERS_A_PHONE
  if (looksLikePhones) {
    if (record.lastChallengeAnswered >= now - 2 * within * 1000) {
      return verdict(
        'limit',
        ` of about ${phones} accounts that answer their challenges: limited, not blocked`,
      )
    }
    const hadItsChance =
      record.answersWhileOver >= ANSWERS_FOR_A_CHANCE && now - record.overSince >= within * 1000
    if (!hadItsChance) return undefined
    return verdict('block', ` for about ${phones} accounts, no challenge answered, none led to a success`)
  }
  return verdict('block', `, none led to a success (threshold ${threshold})`)
}
