import type { Cast, CastSizes } from './cast.ts'
import type { FloodOrder } from './flood.ts'
import type { GuessersPlan } from './phones/plan.ts'

/** What must hold in a siege, or what is only told of it: `frontier` is what no guard can be asked for. */
export type Demand = 'met' | 'frontier' | 'none'

export interface Targets {
  /** All registrations of customers within 4 s. */
  readonly customers: Demand
  /** 95 % of the newcomers within 32 s. */
  readonly newcomers: Demand
  /** Whether the phones of a storm must all be registered by a time that the softswitch's capacity gives. */
  readonly converges?: boolean
}

export type Guessing = Pick<GuessersPlan, 'sources' | 'every' | 'hopAfter' | 'users'> & {
  readonly from: 'phones' | 'attackers'
}

/** What an attacker does; rates and amounts are those of the full siege. */
export interface Attack {
  readonly about: string
  readonly cast: CastSizes
  readonly targets: Targets
  readonly flood?: (cast: Cast) => Pick<FloodOrder, 'sources' | 'ports' | 'perSecond' | 'packets'>
  readonly guessing?: Guessing
  /** Lines for Ringfence's configuration: what its operator had told it before. */
  readonly settings?: string
  /** The softswitch is gone just before, and comes back without its bindings. */
  readonly outage?: boolean
}

/** So many sources that wait for answers, each with a port of its own, at the attackers' host. */
export function attackers(amount: number): Guessing['sources'] {
  return Array.from({ length: amount }, (_, i) => ({
    address: `10.60.${Math.floor(i / 100)}.${10 + (i % 100)}`,
    ports: [5_060, 5_060] as const,
  }))
}
