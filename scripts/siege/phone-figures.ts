import { percentile } from '../bench/figures.ts'
import {
  PHONE_KINDS,
  type PhoneKind,
  type PhoneRecord,
  type PhonesResult,
  type Registration,
} from './phones/plan.ts'
import { IN_TIME } from './phones/served.ts'

/** Seconds that a newcomer has; so the attack goes on for as long after the last of them appeared. */
export const NEWCOMER_TIME = 32
/** Milliseconds after which a phone that heard nothing counts as left without a final answer (RFC 3261, Timer F). */
const UNANSWERED = 32_000

/** Of the registrations that phones of a kind began while the attack went on. Those with a mistyped password do not count. */
export interface KindFigures {
  readonly phones: number
  readonly registrations: number
  /** With a 200 within 4 s, 0 to 1; null where there were none. */
  readonly success: number | null
  readonly late: number
  readonly refused: number
  readonly silence: number
  /** Milliseconds from the first packet to the 200, of those that got one; null where none did. */
  readonly p50: number | null
  readonly p99: number | null
}

export interface NewcomerFigures {
  readonly phones: number
  /** Of those who appeared early enough to have their 32 s in the attack, 0 to 1. */
  readonly within32: number | null
  readonly p50: number | null
  readonly p99: number | null
}

export function kindsOf(phones: PhonesResult): Readonly<Partial<Record<PhoneKind, KindFigures>>> {
  const kinds: Partial<Record<PhoneKind, KindFigures>> = {}
  for (const kind of PHONE_KINDS) {
    const those = phones.phones.filter((phone) => phone.kind === kind)
    if (those.length > 0) kinds[kind] = kindFigures(those, phones)
  }
  return kinds
}

function kindFigures(phones: readonly PhoneRecord[], { attack, ended }: PhonesResult): KindFigures {
  const during = phones.flatMap(({ registrations }) =>
    registrations.filter(
      ({ begun, mistyped }) =>
        !mistyped && begun >= (attack.begun ?? 0) && begun < Math.min(attack.ended ?? ended, ended - IN_TIME),
    ),
  )
  const got = during.filter(({ outcome }) => outcome === 'registered')
  const times = got.map(timeOf)
  const count = (outcome: Registration['outcome']) => during.filter((one) => one.outcome === outcome).length
  return {
    phones: phones.length,
    registrations: during.length,
    success: share(times.filter((time) => time <= IN_TIME).length, during.length),
    late: times.filter((time) => time > IN_TIME).length,
    refused: count('refused'),
    silence: count('silence') + count(null),
    p50: orNull(percentile(times, 0.5)),
    p99: orNull(percentile(times, 0.99)),
  }
}

/** From a newcomer's first packet to its first 200, whatever it had to try in between. */
export function newcomersOf({ phones, attack, ended }: PhonesResult): NewcomerFigures {
  const end = attack.ended ?? ended
  const those = phones.filter(({ kind, registrations: [first] }) => {
    // One second less: the last of them appears when the attack has 32 s to go, give or take its start.
    return kind === 'newcomer' && first !== undefined && first.begun + (NEWCOMER_TIME - 1) * 1_000 <= end
  })
  const times = those.flatMap(({ registrations }) => {
    const success = registrations.find(({ outcome }) => outcome === 'registered')
    return success ? [success.ended! - registrations[0]!.begun] : []
  })
  return {
    phones: those.length,
    within32: share(times.filter((time) => time <= NEWCOMER_TIME * 1_000).length, those.length),
    p50: orNull(percentile(times, 0.5)),
    p99: orNull(percentile(times, 0.99)),
  }
}

/** Phones that were there before the attack and waited for 32 s in it without any final answer. */
export function unansweredOf({ phones, attack, ended: end }: PhonesResult): number {
  const since = attack.begun ?? 0
  const waited = phones.filter(
    ({ kind, registrations }) =>
      kind !== 'newcomer' &&
      registrations.some(
        ({ begun, ended, outcome }) =>
          begun >= since &&
          (outcome === 'silence' || (outcome === null && (ended ?? end) - begun >= UNANSWERED)),
      ),
  )
  return waited.length
}

/** Milliseconds from the attack's begin to the end of a customer's last registration that was not in time; null: none was. */
export function troubledFor({ phones, attack, ended: end }: PhonesResult): number | null {
  const since = attack.begun ?? 0
  const ends = phones
    .filter(({ kind }) => kind === 'customer')
    .flatMap(({ registrations }) =>
      registrations
        .filter(
          ({ begun, ended, outcome }) =>
            begun >= since && (ended ?? end) - begun > (outcome === 'refused' ? 0 : IN_TIME),
        )
        .map(({ ended }) => (ended ?? end) - since),
    )
  return ends.length === 0 ? null : Math.round(Math.max(...ends))
}

/**
 * Milliseconds from the end of an outage until the last phone of a storm was registered again; null where not all of them
 * were, or there was no storm.
 */
export function convergedAfter({ phones, attack }: PhonesResult): number | null {
  const since = attack.begun ?? 0
  const storm = phones.filter(({ kind }) => kind === 'storm')
  const times = storm.map(({ registrations }) => {
    const back = registrations.find(({ begun, outcome }) => begun >= since && outcome === 'registered')
    return back ? back.ended! - since : null
  })
  if (times.length === 0 || times.includes(null)) return null
  return Math.round(times.reduce<number>((most, time) => Math.max(most, time!), 0))
}

const timeOf = ({ begun, ended }: Registration) => ended! - begun
const share = (part: number, all: number) => (all === 0 ? null : part / all)
const orNull = (value: number) => (Number.isNaN(value) ? null : Math.round(value))
