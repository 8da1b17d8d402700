import {
  type Cast,
  type CastSizes,
  FULL_CAST,
  OFFICE,
  OFFICE_CAST,
  OFFICE_GUESSER_PORTS,
  USERS,
} from './cast.ts'
import type { FloodOrder } from './flood.ts'
import type { GuessersPlan } from './phones/plan.ts'

type Guessing = Pick<GuessersPlan, 'sources' | 'every' | 'hopAfter' | 'users'> & {
  readonly from: 'phones' | 'attackers'
}

/** What an attacker does; rates are those of the full siege. */
export interface Attack {
  readonly about: string
  readonly cast: CastSizes
  readonly flood?: (cast: Cast) => Pick<FloodOrder, 'sources' | 'ports' | 'perSecond'>
  readonly guessing?: Guessing
}

const PER_SECOND_FORGED = 100_000

export const ATTACKS = {
  none: { about: 'no attack: the phones alone', cast: FULL_CAST },
  'one-source': {
    about: 'one source as fast as the generator can',
    cast: FULL_CAST,
    flood: () => ({ sources: { kind: 'pool', amount: 1 }, ports: 'own', perSecond: null }),
  },
  sources: {
    about: '20,000 sources that never answer, 4 REGISTERs a second each',
    cast: FULL_CAST,
    flood: () => ({ sources: { kind: 'pool', amount: 20_000 }, ports: 'own', perSecond: 80_000 }),
  },
  'forged-once': {
    about: 'forged sources, each sends one packet',
    cast: FULL_CAST,
    flood: () => ({ sources: { kind: 'new' }, ports: 'own', perSecond: PER_SECOND_FORGED }),
  },
  'forged-twice': {
    about: 'forged sources, each sends the same port again half a second later',
    cast: FULL_CAST,
    flood: () => ({ sources: { kind: 'twice' }, ports: 'own', perSecond: PER_SECOND_FORGED }),
  },
  'forged-customers': {
    about: "the customers' addresses forged, random ports",
    cast: FULL_CAST,
    flood: ({ customers }) => ({
      sources: { kind: 'listed', addresses: [...new Set(customers.map(({ address }) => address))] },
      ports: 'random',
      perSecond: 50_000,
    }),
  },
  'office-guesser': {
    about: 'a guesser behind the address of an office of 200 phones, 5 tries a second, a new port every 5',
    cast: OFFICE_CAST,
    guessing: {
      from: 'phones',
      sources: [{ address: OFFICE, ports: OFFICE_GUESSER_PORTS }],
      users: USERS,
      every: 0.2,
      hopAfter: 5,
    },
  },
  'slow-guessers': {
    about: '500 sources, each tries a password a minute on the same 100 accounts',
    cast: FULL_CAST,
    guessing: {
      from: 'attackers',
      sources: Array.from({ length: 500 }, (_, i) => ({
        address: `10.60.${Math.floor(i / 100)}.${10 + (i % 100)}`,
        ports: [5_060, 5_060] as const,
      })),
      users: [1_000, 1_099],
      every: 60,
      hopAfter: 1_000,
    },
  },
} as const satisfies Readonly<Record<string, Attack>>

export type AttackName = keyof typeof ATTACKS
