import type { Attack } from './attack.ts'
import { FLOODS } from './attacks-floods.ts'
import { GUESSES } from './attacks-guesses.ts'
import { BUSY_CAST, FULL_CAST, STORM_CAST } from './cast.ts'

const ALL = { customers: 'met', newcomers: 'none' } as const

/** Every siege by its name, in the order in which they are told of. */
export const ATTACKS = {
  none: { about: 'no attack: the phones alone', cast: FULL_CAST, targets: ALL },
  ...FLOODS,
  ...GUESSES,
  storm: {
    about: 'no attack: 20,000 phones come back within 30 s after an outage of the softswitch',
    cast: STORM_CAST,
    targets: { customers: 'none', newcomers: 'none', converges: true },
    outage: true,
  },
  'busy-hour': {
    about:
      'no attack: a busy hour pressed together, with mistyped passwords, restarts, roaming and new ports',
    cast: BUSY_CAST,
    targets: ALL,
  },
} as const satisfies Readonly<Record<string, Attack>>

export type AttackName = keyof typeof ATTACKS
