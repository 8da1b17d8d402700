import type { RegisteredPort, SourceStory } from '../../dashboard/api/source-story.ts'
import { type Address, prefixContains, showSource, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { LONGEST_STEP } from '../decide/proven-ports.ts'
import { EXPIRY_GRACE } from '../detect/lane-witness.ts'
import type { Journal } from '../journal/journal.ts'
import type { BoundPort } from '../observe/bindings.ts'

const MOST_PORTS = 20
const MOST_ACCOUNTS_OF_A_PORT = 5
const MOST_ENTRIES = 400

/**
 * Who is registered over UDP from the address (IPv6: from its /64): the ports that the kernel serves as proven, with
 * the accounts that the journal knows there.
 */
export function registeredPorts(
  address: Address,
  {
    desired: { members },
    journal,
    now,
    port,
    bound = [],
  }: {
    readonly desired: Pick<DesiredState, 'members'>
    readonly journal: Pick<Journal, 'provenAt'>
    readonly now: EpochMilliseconds
    /** The port of the address that is told first. */
    readonly port?: number | null
    /** Who is registered there as the sensor saw it, and until when. */
    readonly bound?: readonly BoundPort[]
  },
): NonNullable<SourceStory['registeredPorts']> {
  const source = sourcePrefixOf(address)
  const proven = members
    .flat()
    .flatMap((member) =>
      member.lane === 'proven' && member.until > now && prefixContains(source, member.address)
        ? [member]
        : [],
    )
  if (proven.length === 0) return { count: 0, first: [] }
  // Those of the address itself first: in a /64 there may be others.
  proven.sort(
    (a, b) =>
      Number(b.address === address) - Number(a.address === address) ||
      Number(b.port === port) - Number(a.port === port) ||
      b.until - a.until ||
      a.port - b.port,
  )
  const shown = proven.slice(0, MOST_PORTS)
  const addresses = [...new Set(shown.map((port) => port.address))]
  const accounts = new Map<string, string[]>()
  for (const entry of journal.provenAt(addresses, { now, limit: MOST_ENTRIES })) {
    const key = showSource(entry)
    const known = accounts.get(key) ?? []
    if (known.length < MOST_ACCOUNTS_OF_A_PORT) accounts.set(key, [...known, entry.account])
  }
  const ends = new Map(bound.map((seen) => [showSource(seen), seen.until]))
  const first = shown.map((port): RegisteredPort => {
    const key = showSource(port)
    return {
      source: key,
      accounts: accounts.get(key) ?? [],
      secondsLeft: Math.max(0, Math.ceil((registeredUntil(port.until, ends.get(key)) - now) / 1_000)),
    }
  })
  return { count: proven.length, first }
}

/**
 * The kernel serves a port for a minute longer than its registration, and for what the end was put off. `seen`: the end of
 * the registration that was made there last; with several accounts at one port another may last longer.
 */
function registeredUntil(served: EpochMilliseconds, seen: EpochMilliseconds | undefined): EpochMilliseconds {
  const latest = served - EXPIRY_GRACE
  return seen !== undefined && seen <= latest && seen >= latest - LONGEST_STEP ? seen : latest
}
