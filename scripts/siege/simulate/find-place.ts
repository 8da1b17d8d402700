import { readdirSync, statSync } from 'node:fs'
import { execa } from 'execa'

/** One network namespace of this host, by the addresses that it has. */
export interface HostPlace {
  /** Null: the one that the command was started in. */
  readonly namespace: string | null
  readonly addresses: readonly { readonly interface: string; readonly address: string }[]
}

export type PlaceChoice =
  | { readonly kind: 'found'; readonly namespace: string | null; readonly interface: string }
  | { readonly kind: 'refused'; readonly says: string }

/** Where the target is: here, or in a namespace of this host. Nobody else is attacked, and nothing over `lo`. */
export function choosePlace(
  address: string,
  places: readonly HostPlace[],
  wanted: string | undefined,
): PlaceChoice {
  if (address.startsWith('127.')) {
    const says = `${address} is reached over lo alone, where no rule of Ringfence matches: name the address that phones reach`
    return { kind: 'refused', says }
  }
  const having = places
    .filter(({ namespace }) => wanted === undefined || namespace === wanted)
    .flatMap(({ namespace, addresses }) => {
      const at = addresses.find((one) => one.address === address)
      return at ? [{ namespace, interface: at.interface }] : []
    })
  const [first, ...others] = having
  if (!first) {
    const where =
      wanted === undefined ? 'this host or of a network namespace on it' : `the namespace ${wanted}`
    return {
      kind: 'refused',
      says: `${address} is no address of ${where}: ringfence simulate attacks nobody else`,
    }
  }
  // What has the address where the command is run is what is meant.
  if (first.namespace === null || others.length === 0) return { kind: 'found', ...first }
  const names = having.map(({ namespace }) => namespace).join(', ')
  return {
    kind: 'refused',
    says: `several network namespaces have ${address} (${names}): choose with --namespace`,
  }
}

const NAMESPACES = '/run/netns'

/** All places of this host, the own one first; where one is wanted, that alone. */
export async function listPlaces(wanted: string | undefined): Promise<readonly HostPlace[]> {
  const places: HostPlace[] = []
  if (wanted === undefined) places.push({ namespace: null, addresses: await addressesIn(null) })
  for (const namespace of namespaces()) {
    if (wanted !== undefined && namespace !== wanted) continue
    // One that goes away meanwhile has no addresses.
    const addresses = await addressesIn(namespace).catch(() => [])
    places.push({ namespace, addresses })
  }
  return places
}

function namespaces(): readonly string[] {
  const own = statSync('/proc/self/ns/net').ino
  try {
    return readdirSync(NAMESPACES).filter((name) => statSync(`${NAMESPACES}/${name}`).ino !== own)
  } catch {
    return []
  }
}

async function addressesIn(namespace: string | null): Promise<HostPlace['addresses']> {
  const { stdout } = await execa('ip', [...inNamespace(namespace), '-j', '-4', 'addr', 'show'], {
    timeout: 10_000,
    env: { LC_ALL: 'C' },
  })
  const links = JSON.parse(stdout || '[]') as readonly {
    readonly ifname?: string
    readonly addr_info?: readonly { readonly local?: string }[]
  }[]
  return links.flatMap(({ ifname = '', addr_info: infos = [] }) =>
    infos.flatMap(({ local }) => (local === undefined ? [] : [{ interface: ifname, address: local }])),
  )
}

/** The words of `ip` and `tc` for a namespace; none for the own one. */
export function inNamespace(namespace: string | null): readonly string[] {
  return namespace === null ? [] : ['-n', namespace]
}
