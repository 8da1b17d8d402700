import type { DesiredState } from '../../rules/desired-state.ts'
import { listElements } from '../../rules/elements.ts'
import { CHAINS, defineSets, JUMPS } from '../../rules/names.ts'
import { renderChains } from '../../rules/render-chains.ts'
import type { Place } from './topology.ts'

export const BACKENDS = ['iptables-nft', 'iptables-legacy'] as const
export type Backend = (typeof BACKENDS)[number]

/** The program of a backend for one family, and its companions. */
export function programs(backend: Backend): readonly [string, string] {
  return [backend, backend.replace('iptables', 'ip6tables')]
}

/**
 * Loads a desired state without the engine, for tests of what the rules themselves do. The jumps are made once, and
 * where somebody has rules in PREROUTING or OUTPUT already they stand before them.
 */
export async function loadRules(place: Place, backend: Backend, state: DesiredState): Promise<void> {
  const sets = defineSets(state.sizes).map(({ name, form, extra }) => `create ${name} ${form}${extra}`)
  const lists = defineSets(state.sizes)
    .filter(({ purpose }) => purpose === 'allow' || purpose === 'dst' || purpose === 'gw')
    .map(({ name }) => `flush ${name}`)
  const elements = [...listElements(state)].map(([key, until]) =>
    Number.isFinite(until)
      ? `add ${key} timeout ${Math.max(1, Math.ceil((until - Date.now()) / 1_000))}`
      : `add ${key}`,
  )
  await place.namespace.feed(`${[...sets, ...lists, ...elements].join('\n')}\n`, 'ipset', '-exist', 'restore')
  for (const [index, program] of programs(backend).entries()) {
    const before = await place.run(`${program}-save`, '-t', 'raw')
    const chains = renderChains(state, index === 0 ? 4 : 6)
    const lines = [
      '*raw',
      ...CHAINS.map((name) => `:${name} - [0:0]`),
      ...[...chains.values()].flat(),
      ...Object.values(JUMPS)
        .filter((jump) => !before.split('\n').includes(jump))
        .map((jump) => jump.replace(/^-A (\S+)/, '-I $1 1')),
      'COMMIT',
    ]
    await place.namespace.feed(`${lines.join('\n')}\n`, `${program}-restore`, '--noflush')
  }
}

/** Packets that entered the chains of UDP, of both families together. */
export async function judged(place: Place, backend: Backend): Promise<number> {
  let packets = 0
  for (const program of programs(backend)) {
    const saved = await place.run(`${program}-save`, '-c', '-t', 'raw')
    for (const [, count] of saved.matchAll(/^\[(\d+):\d+\] -A RINGFENCE .* -g RINGFENCE-UDP$/gm)) {
      packets += Number(count)
    }
  }
  return packets
}

/** The members of an own set, without what follows them. */
export async function membersOf(place: Place, set: string): Promise<readonly string[]> {
  const saved = await place.run('ipset', 'save', set)
  return [...saved.matchAll(/^add \S+ (\S+)/gm)].map(([, member]) => member!).sort()
}
