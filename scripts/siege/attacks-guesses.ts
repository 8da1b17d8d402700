import { type Attack, attackers } from './attack.ts'
import { FULL_CAST, OFFICE, OFFICE_CAST, OFFICE_GUESSER_PORTS, USERS } from './cast.ts'

const ALL = { customers: 'met', newcomers: 'none' } as const

/** Attackers who answer challenges: what they send can be told from a phone's only by its failures. */
export const GUESSES = {
  guessers: {
    about: '20 sources, each tries 5 passwords a second on 5,000 accounts and answers its challenges',
    cast: FULL_CAST,
    targets: ALL,
    guessing: { from: 'attackers', sources: attackers(20), users: USERS, every: 0.2, hopAfter: 1_000 },
  },
  'slow-guessers': {
    about: '500 sources, each tries a password a minute on the same 100 accounts',
    cast: FULL_CAST,
    targets: ALL,
    guessing: {
      from: 'attackers',
      sources: attackers(500),
      users: [1_000, 1_099],
      every: 60,
      hopAfter: 1_000,
    },
  },
  'random-users': {
    about: '20 sources, each tries 10 names a second that nobody has',
    cast: FULL_CAST,
    targets: ALL,
    guessing: { from: 'attackers', sources: attackers(20), users: 'random', every: 0.1, hopAfter: 1_000 },
  },
  'wrong-passwords': {
    about: "100 sources, each tries a wrong password a second on the customers' own accounts",
    cast: FULL_CAST,
    targets: ALL,
    guessing: {
      from: 'attackers',
      sources: attackers(100),
      users: [1_000, 1_499],
      every: 1,
      hopAfter: 1_000,
    },
  },
  'office-guesser': {
    about: 'a guesser behind the address of an office of 200 phones, 5 tries a second, a new port every 5',
    cast: OFFICE_CAST,
    targets: ALL,
    guessing: {
      from: 'phones',
      sources: [{ address: OFFICE, ports: OFFICE_GUESSER_PORTS }],
      users: USERS,
      every: 0.2,
      hopAfter: 5,
    },
  },
} as const satisfies Readonly<Record<string, Attack>>
