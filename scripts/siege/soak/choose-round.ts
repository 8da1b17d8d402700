import type { Attack } from '../attack.ts'
import { ATTACKS, type AttackName } from '../attacks.ts'
import type { Random } from '../phones/random.ts'
import { between } from '../phones/random.ts'

/** One attack of a soak. */
export interface Round {
  readonly attack: AttackName
  readonly seconds: number
  /** Of the attack's full rate. */
  readonly share: number
}

const SECONDS = [8, 16] as const
/** Of the share that the soak has at most. */
const SHARES = [0.25, 1] as const

/**
 * Attacks that can be had one after the other on one stage: those that need other settings, an outage or an office of their
 * own cannot, and of those whose customers nobody can promise anything nothing would be learnt.
 */
export const SOAKED: readonly AttackName[] = (Object.entries(ATTACKS) as [AttackName, Attack][])
  .filter(([name, { settings, outage, targets, guessing }]) => {
    if (settings !== undefined || outage || targets.customers !== 'met') return false
    return guessing?.from !== 'phones' && name !== 'one-source'
  })
  .map(([name]) => name)

/** Another attack than the last: whoever was stopped tries something else. */
export function chooseRound(last: AttackName | null, most: number, random: Random): Round {
  const others = SOAKED.filter((name) => name !== last)
  return {
    attack: others[Math.floor(random() * others.length)]!,
    seconds: Math.round(between(SECONDS, random)),
    share: Math.round(1_000 * most * between(SHARES, random)) / 1_000,
  }
}
