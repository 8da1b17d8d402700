import type { PhoneGroup, PhoneSeat } from './phones/plan.ts'

/** Everybody honest, all in 10.50.0.0/16. User N has the password pwN. */
export interface Cast {
  readonly groups: readonly PhoneGroup[]
  readonly customers: readonly PhoneSeat[]
}

export interface CastSizes {
  readonly customers: number
  readonly ordinary: number
  readonly newcomers: number
  readonly office: number
}

export const FULL_CAST: CastSizes = { customers: 500, ordinary: 200, newcomers: 50, office: 0 }
export const OFFICE_CAST: CastSizes = { customers: 500, ordinary: 200, newcomers: 0, office: 200 }

export const OFFICE = '10.50.200.1'
const OFFICE_FIRST_PORT = 20_000
/** Ports of the office's address from which somebody guesses; no phone has one of them. */
export const OFFICE_GUESSER_PORTS = [40_000, 49_999] as const
/** Accounts that exist, those of all phones among them. */
export const USERS = [1_000, 5_999] as const

const PHONES_AN_ADDRESS = 5
const ADDRESSES_A_NETWORK = 5

/** The phones, `newcomersWithin` seconds of the attack's begin the new ones. */
export function castOf(
  { customers, ordinary, newcomers, office }: CastSizes,
  newcomersWithin: readonly [number, number],
): Cast {
  const customerSeats = seats(customers, (i) => {
    const address = Math.floor(i / PHONES_AN_ADDRESS)
    const network = Math.floor(address / ADDRESSES_A_NETWORK)
    return {
      user: 1_000 + i,
      address: `10.50.${network}.${10 + (address % ADDRESSES_A_NETWORK)}`,
      port: 5_060 + 2 * (i % PHONES_AN_ADDRESS),
    }
  })
  const before = { appears: 'before', within: [0, 5] } as const
  const groups: PhoneGroup[] = [
    { kind: 'customer', seats: customerSeats, every: [5, 5], ...before },
    {
      kind: 'ordinary',
      seats: seats(ordinary, (i) => ({
        user: 2_000 + i,
        address: `10.50.${100 + Math.floor(i / 10)}.${10 + (i % 10)}`,
        port: 5_060,
      })),
      every: [60, 600],
      ...before,
    },
    {
      kind: 'newcomer',
      seats: seats(newcomers, (i) => ({ user: 4_000 + i, address: `10.50.${140 + i}.20`, port: 5_060 })),
      every: [60, 600],
      appears: 'attack',
      within: newcomersWithin,
    },
    {
      kind: 'office',
      seats: seats(office, (i) => ({ user: 3_000 + i, address: OFFICE, port: OFFICE_FIRST_PORT + i })),
      every: [20, 60],
      appears: 'before',
      // An office that was there before: its phones came one after the other, as its limit has it.
      within: [0, 25],
    },
  ]
  return { groups: groups.filter((group) => group.seats.length > 0), customers: customerSeats }
}

function seats(amount: number, seat: (index: number) => PhoneSeat): readonly PhoneSeat[] {
  return Array.from({ length: amount }, (_, i) => seat(i))
}
