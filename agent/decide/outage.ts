import type { Address } from '../../registrar/net/address.ts'
import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** REGISTERs of registered phones that our rules let through, since anything was last answered to anybody. */
export interface AskedInVain {
  readonly since: EpochMilliseconds
  readonly lastAt: EpochMilliseconds
  /** Different addresses and ports. */
  readonly phones: number
  /** Where some of them are. */
  readonly addresses: readonly Address[]
}

/** What the sensor saw of the softswitch's silence. Only who is registered counts: anybody can forge a stranger. */
export interface Silence {
  /** When any SIP answer last left a watched port; null: none since the sensor began. */
  readonly answeredAt: EpochMilliseconds | null
  /** Null where nobody waits for an answer, and where it would not have been seen. */
  readonly asked: AskedInVain | null
}

/** The softswitch answers nobody, though registered phones ask. */
export interface Outage {
  readonly since: EpochMilliseconds
  /** So many registered phones have asked in vain. */
  readonly phones: number
}

/** After so long, where several phones ask. */
const OUTAGE_AFTER: Milliseconds = 10_000
const SEVERAL = 3
/** One phone's REGISTER may be lost, or be one that no softswitch answers: it has to ask for so long. */
const ONE_ASKS_FOR: Milliseconds = 30_000
/** A summary a second comes some milliseconds early or late. */
const LENIENCE: Milliseconds = 100

/**
 * The outage as it stands after a summary of the sensor; null where there is none. It ends with the first answer to
 * anybody. A sensor that begins anew has seen no answer, and nobody who is registered: that ends nothing.
 */
export function nextOutage(
  before: Outage | null,
  { answeredAt, asked }: Silence,
  now: EpochMilliseconds,
): Outage | null {
  const stands = before !== null && !(answeredAt !== null && answeredAt > before.since)
  if (stands) return asked && asked.phones > before.phones ? { ...before, phones: asked.phones } : before
  if (!asked || now - asked.since < OUTAGE_AFTER - LENIENCE) return null
  const isSure = asked.phones >= SEVERAL || asked.lastAt - asked.since >= ONE_ASKS_FOR - LENIENCE
  return isSure ? { since: asked.since, phones: asked.phones } : null
}

/** For people, as what it is now. */
export function sayOutage({ since, phones }: Outage, now: EpochMilliseconds): string {
  const seconds = Math.max(0, Math.round((now - since) / 1_000)).toLocaleString('en-US')
  const ask =
    phones === 1 ? '1 registered phone asks' : `${phones.toLocaleString('en-US')} registered phones ask`
  return `The softswitch has answered nobody for ${seconds} s, though ${ask}: look whether it runs.`
}
