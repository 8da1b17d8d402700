import { ATTACKS, type AttackName } from '../attacks.ts'
import type { GuardName } from '../guards/guard.ts'
import type { SiegeOrder } from '../siege.ts'
import type { Nonces } from '../softswitch.ts'

/** What is asked of a campaign: every attack with every guard and every kind of nonces. */
export interface CampaignOrder {
  readonly attacks: readonly AttackName[]
  readonly guards: readonly GuardName[]
  readonly nonces: readonly Nonces[]
  readonly seconds: number
  readonly share: number
  readonly seed: number
  /** How often each siege is had, one after the other: a verdict is worth something if it comes again. */
  readonly times: number
}

/** The guard's sieges of one attack stand beside each other: they are read against each other. */
export function siegesOf({ attacks, guards, nonces, times, ...rest }: CampaignOrder): readonly SiegeOrder[] {
  return attacks.flatMap((attack) =>
    nonces.flatMap((kind) =>
      guards.flatMap((guard) =>
        Array.from({ length: times }, () => ({ attack, guard, nonces: kind, ...rest })),
      ),
    ),
  )
}

/** Below this share of the full rate a flood says nothing more about the guard. */
const LEAST_SHARE = 0.1

/**
 * The same at half the rate, where the machine itself was the limit and a target was missed; null where that cannot say
 * more. Only a flood has a rate to halve.
 */
export function atHalf(
  order: SiegeOrder,
  result: { readonly saturated: boolean; readonly verdict: 'met' | 'missed' | 'frontier' },
): SiegeOrder | null {
  if (!result.saturated || result.verdict !== 'missed' || !('flood' in ATTACKS[order.attack])) return null
  const share = order.share / 2
  return share < LEAST_SHARE ? null : { ...order, share }
}
