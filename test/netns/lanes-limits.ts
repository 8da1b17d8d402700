import { sourcePrefixOf } from '../../registrar/net/address.ts'
import type { Limits } from '../../rules/desired-state.ts'
import { address, limit } from '../rules/desired.ts'

/** A bucket that gains one packet a minute: what passes at once tells whose bucket it was. */
export const slow = (burst: number) => limit(1 / 60, burst)

/** Every bucket holds another number of packets, and none fills up again while a test runs. */
export const TELLING: Limits = {
  unknown: { source: slow(5), prefix: slow(12), total: slow(1_000) },
  strict: { port: slow(3), source: slow(8), prefix: slow(14), total: slow(1_000) },
  proven: slow(20),
  answered: slow(7),
  returning: slow(9),
  ignoring: slow(2),
  sip: { ...slow(11), prefix: slow(400), total: slow(1_000), enforced: true },
  ceiling: slow(60),
  rest: slow(40),
  connections: { source: slow(4), prefix: slow(10), most: null },
}

/** What is left of `TELLING` where factors are applied to it. */
export const TOLD = {
  site: 4 * 5,
  strictSite: 4 * 8,
  aggregator: 20 * 20,
  returning2: 10 * 9,
  returning3: 100 * 9,
  calls: 5 * 11,
} as const

/** Far enough that nothing ends by itself while a test runs. */
export const LATER = Date.now() + 3_600_000

/** An IPv4 address, an IPv6 /64. */
export const sourceOf = (text: string) => sourcePrefixOf(address(text))
