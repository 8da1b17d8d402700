import type { GroupIncident, PhoneGroup, PhoneSeat } from './phones/plan.ts'

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
  /** Phones that all come back at once after an outage. */
  readonly storm?: number
  /** Phones to which something happens, as in any busy hour. */
  readonly busy?: number
  /** This share of the customers gets another port in the middle of the attack. */
  readonly movers?: number
}

export const FULL_CAST: CastSizes = { customers: 500, ordinary: 200, newcomers: 50, office: 0 }
export const OFFICE_CAST: CastSizes = { customers: 500, ordinary: 200, newcomers: 0, office: 200 }
export const STORM_CAST: CastSizes = { customers: 0, ordinary: 0, newcomers: 0, office: 0, storm: 20_000 }
export const BUSY_CAST: CastSizes = { customers: 500, ordinary: 200, newcomers: 50, office: 0, busy: 300 }

export const OFFICE = '10.50.200.1'
const OFFICE_FIRST_PORT = 20_000
/** Ports of the office's address from which somebody guesses; no phone has one of them. */
export const OFFICE_GUESSER_PORTS = [40_000, 49_999] as const
/** Accounts that exist, those of all phones but the storm's among them. */
export const USERS = [1_000, 5_999] as const

const PHONES_AN_ADDRESS = 5
const ADDRESSES_A_NETWORK = 5
const STORM_PHONES_AN_ADDRESS = 2
const STORM_NETWORKS = 200
/** Seconds that no siege lasts. */
const NEVER = 7_200
/** All of them within so many seconds after an outage: what the slowest devices wait for. */
export const STORM_SECONDS = 30

/** The phones; all that happens in the attack does so `within` these seconds of its begin, the newcomers' first try too. */
export function castOf(sizes: CastSizes, within: readonly [number, number]): Cast {
  const { customers, ordinary, newcomers, office, storm = 0, busy = 0, movers = 0 } = sizes
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
    {
      kind: 'customer',
      seats: customerSeats,
      every: [5, 5],
      ...before,
      incidents: movers > 0 ? [{ what: 'moves', share: movers, within }] : [],
    },
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
      within,
    },
    {
      kind: 'office',
      seats: seats(office, (i) => ({ user: 3_000 + i, address: OFFICE, port: OFFICE_FIRST_PORT + i })),
      every: [20, 60],
      appears: 'before',
      // An office that was there before: its phones came one after the other, as its limit has it.
      within: [0, 25],
    },
    {
      kind: 'storm',
      seats: seats(storm, stormSeat),
      every: [NEVER, NEVER],
      firstRefresh: NEVER,
      appears: 'before',
      // So many a second as a softswitch with other work has let in over time.
      within: [0, Math.max(5, storm / 400)],
      incidents: [{ what: 'reboots', share: 1, within: [0, STORM_SECONDS] }],
    },
    {
      kind: 'busy',
      seats: seats(busy, (i) => ({
        user: 4_500 + i,
        address: `10.50.${200 + Math.floor(i / 20)}.${100 + (i % 20)}`,
        port: 5_060,
      })),
      every: [30, 90],
      ...before,
      incidents: BUSY_HOUR.map((incident) => ({ ...incident, within })),
    },
  ]
  return { groups: groups.filter((group) => group.seats.length > 0), customers: customerSeats }
}

/** What happens in a busy hour, pressed into the time of a siege; the rest of the phones are as ever. */
const BUSY_HOUR: readonly Omit<GroupIncident, 'within'>[] = [
  { what: 'mistypes', share: 0.1 },
  { what: 'reboots', share: 0.3 },
  { what: 'roams', share: 0.1 },
  { what: 'moves', share: 0.2 },
]

function stormSeat(i: number): PhoneSeat {
  const address = Math.floor(i / STORM_PHONES_AN_ADDRESS)
  return {
    user: 10_000 + i,
    address: `10.50.${address % STORM_NETWORKS}.${150 + Math.floor(address / STORM_NETWORKS)}`,
    port: 5_060 + 2 * (i % STORM_PHONES_AN_ADDRESS),
  }
}

function seats(amount: number, seat: (index: number) => PhoneSeat): readonly PhoneSeat[] {
  return Array.from({ length: amount }, (_, i) => seat(i))
}
