import { PBXS, TRUNK } from './calls.ts'
import type { Cast } from './cast.ts'
import { OFFICE, OFFICE_GUESSER_PORTS } from './cast.ts'
import { roamedSeat } from './phones/incidents.ts'
import { CARRIER } from './softswitch.ts'

/** All phones are in it, and no attacker but the guesser in the office. */
const HONEST = '10.50.'
/** They call and are called, and are in every siege. */
const CALLING: readonly string[] = [...PBXS, TRUNK, CARRIER].map(({ address }) => address)
const HONEST_FIRST = (10 << 24) | (50 << 16)

/**
 * Whether a block or suspension of this target touches a phone: an address, `address:port`, or a prefix with a phone in
 * it. The ports of the guesser are his own, whatever phones share his address.
 */
export function isHonest(target: string, { groups }: Pick<Cast, 'groups'>): boolean {
  const [address, length] = target.split('/') as [string, string?]
  if (length !== undefined) return covers(address, Number(length))
  const [host, port] = address.split(':') as [string, string?]
  if (!host.startsWith(HONEST)) return false
  if (CALLING.includes(host)) return true
  if (port === undefined) {
    return groups.some(({ seats }) =>
      seats.some((seat) => seat.address === host || roamedSeat(seat).address === host),
    )
  }
  const [least, most] = OFFICE_GUESSER_PORTS
  return !(host === OFFICE && Number(port) >= least && Number(port) <= most)
}

/** Whether an IPv4 prefix and 10.50.0.0/16 have anything in common. */
function covers(address: string, length: number): boolean {
  const shorter = Math.min(length, 16)
  const value = address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0)
  const mask = shorter === 0 ? 0 : (-1 << (32 - shorter)) | 0
  return (value & mask) === (HONEST_FIRST & mask)
}
