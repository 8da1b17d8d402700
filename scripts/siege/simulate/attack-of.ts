import type { SimulationOrder } from '../../../agent/cli/simulation-order.ts'
import type { FloodOrder } from '../flood.ts'
import type { GuessersPlan } from '../phones/plan.ts'

/** A source that is one of many sends so many packets a second. */
const EACH = 4
const GUESSERS = 20

/** What is sent: packets that nobody waits behind, or tries of sources that hear the answers. */
export type SimulatedTraffic =
  | { readonly kind: 'flood'; readonly flood: FloodOrder }
  | { readonly kind: 'guesses'; readonly guesses: GuessersPlan }

export function trafficOf(order: SimulationOrder): SimulatedTraffic {
  const { attack, perSecond, seconds, seed, target } = order
  const many = { kind: 'pool', amount: Math.max(1, Math.ceil(perSecond / EACH)) } as const
  const flood = (more: Pick<FloodOrder, 'sources'> & Partial<FloodOrder>): SimulatedTraffic => ({
    kind: 'flood',
    flood: { ports: 'own', perSecond, seconds, seed, ...more },
  })
  // Of two frames in turn the second belongs to the first one's source, so an odd pool reaches them all.
  const odd = { kind: 'pool', amount: many.amount | 1 } as const
  switch (attack) {
    case 'one-source':
      return flood({ sources: { kind: 'pool', amount: 1 } })
    case 'sources':
      return flood({ sources: many })
    case 'forged-once':
      return flood({ sources: { kind: 'new' } })
    case 'forged-twice':
      return flood({ sources: { kind: 'twice' } })
    case 'oversized':
    case 'crlf':
    case 'junk':
      return flood({ sources: many, packets: [attack] })
    case 'responses':
      return flood({ sources: many, packets: ['response'] })
    case 'fragments':
      return flood({ sources: odd, packets: ['fragments'] })
    case 'mixed':
      return flood({
        sources: odd,
        packets: ['register', 'crlf', 'fragments', 'oversized', 'options', 'invite'],
      })
    case 'guessers':
      return {
        kind: 'guesses',
        guesses: {
          server: target.address,
          port: target.port,
          seed,
          sources: Array.from({ length: GUESSERS }, (_, i) => ({
            address: `198.19.${1 + i}.10`,
            ports: [5_060, 5_060] as const,
          })),
          users: 'random',
          every: GUESSERS / perSecond,
          hopAfter: 1_000,
          longest: seconds + 30,
        },
      }
  }
}
