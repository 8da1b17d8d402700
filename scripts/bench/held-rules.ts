import { execa } from 'execa'
import type { Family } from '../../registrar/net/address.ts'
import type { DesiredState } from '../../rules/desired-state.ts'
import { listElements } from '../../rules/elements.ts'
import { CHAINS, defineSets, JUMPS } from '../../rules/names.ts'
import { renderChains } from '../../rules/render-chains.ts'

export type Backend = 'iptables-nft' | 'iptables-legacy'

/** What the table raw of one family holds: nothing, a chain without rules, or what a desired state asks for. */
export type Held = 'nothing' | 'empty chain' | DesiredState

/**
 * Puts rules into a namespace without the engine, and `behind` after the jump: what is measured is the rules alone, and
 * an empty chain can be compared with. Whatever was in the table raw of that family goes.
 */
export async function holdRules(
  netns: string,
  options: {
    readonly backend: Backend
    readonly family: Family
    readonly held: Held
    readonly behind: readonly string[]
  },
): Promise<void> {
  const { backend, family, held, behind } = options
  const program = family === 4 ? backend : backend.replace('iptables', 'ip6tables')
  const nothing = ['*raw', ':PREROUTING ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', 'COMMIT']
  await inside(netns, `${program}-restore`, [], nothing)
  await inside(netns, 'ipset', ['destroy'], [])
  const lines = ['*raw', ':PREROUTING ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]']
  if (held === 'empty chain') lines.push(':RINGFENCE - [0:0]', JUMPS.PREROUTING)
  if (typeof held !== 'string') {
    const sets = defineSets(held.sizes).map(({ name, form, extra }) => `create ${name} ${form}${extra}`)
    const elements = [...listElements(held)].map(([key, until]) =>
      Number.isFinite(until) ? `add ${key} timeout ${Math.ceil((until - Date.now()) / 1000)}` : `add ${key}`,
    )
    await inside(netns, 'ipset', ['restore'], [...sets, ...elements])
    lines.push(
      ...CHAINS.map((name) => `:${name} - [0:0]`),
      ...[...renderChains(held, family).values()].flat(),
    )
    lines.push(...Object.values(JUMPS))
  }
  await inside(netns, `${program}-restore`, [], [...lines, ...behind, 'COMMIT'])
}

/** Every rule of a chain with its packets. */
export async function countsOf(
  netns: string,
  options: { readonly backend: Backend; readonly family: Family; readonly chain: string },
): Promise<readonly { readonly rule: string; readonly packets: number }[]> {
  const { backend, family, chain } = options
  const program = family === 4 ? backend : backend.replace('iptables', 'ip6tables')
  const saved = await inside(netns, `${program}-save`, ['-c', '-t', 'raw'], [])
  return [...saved.matchAll(/^\[(\d+):\d+\] -A (\S+) ?(.*)$/gm)]
    .filter(([, , name]) => name === chain)
    .map(([, packets, , rule]) => ({ rule: rule!, packets: Number(packets) }))
}

async function inside(
  netns: string,
  program: string,
  args: readonly string[],
  lines: readonly string[],
): Promise<string> {
  const { stdout } = await execa('ip', ['netns', 'exec', netns, program, ...args], {
    input: lines.length === 0 ? '' : `${lines.join('\n')}\n`,
    timeout: 60_000,
    env: { LC_ALL: 'C' },
  })
  return stdout
}
