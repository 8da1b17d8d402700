import type { SiegeStage } from '../stage.ts'
import type { Ban, SiegeGuard } from './guard.ts'
import type { ProcessFigures } from './processes.ts'

/**
 * The recipe that guides pass around for softswitches which cannot limit by themselves (for VOS3000 for example
 * https://www.vos3000.com/blog/vos3000-registration-flood/ and its guide to iptables): two rules for REGISTER, found as a
 * string, and two for all SIP; what is within its source's rate is accepted, the rest dropped. Guides differ in the rates;
 * these are the ones that Ringfence has for unknown sources, so that the way is compared and not the number.
 */
export const RECIPE: readonly (readonly string[])[] = [
  [
    ...['-m', 'string', '--string', 'REGISTER', '--algo', 'bm'],
    ...['-m', 'hashlimit', '--hashlimit-upto', '5/sec', '--hashlimit-burst', '10'],
    ...['--hashlimit-mode', 'srcip', '--hashlimit-name', 'sip_register', '-j', 'ACCEPT'],
  ],
  ['-m', 'string', '--string', 'REGISTER', '--algo', 'bm', '-j', 'DROP'],
  [
    ...['-m', 'hashlimit', '--hashlimit-upto', '20/sec', '--hashlimit-burst', '50'],
    ...['--hashlimit-mode', 'srcip', '--hashlimit-name', 'sip', '-j', 'ACCEPT'],
  ],
  ['-j', 'DROP'],
]

/** The well-known recipe in INPUT, which bans nobody by name. */
export class HashlimitRecipe implements SiegeGuard {
  readonly #stage: SiegeStage

  constructor(stage: SiegeStage) {
    this.#stage = stage
  }

  async start(): Promise<void> {
    for (const rule of RECIPE) {
      await this.#stage.run('switch', 'iptables', ['-A', 'INPUT', '-p', 'udp', '--dport', '5060', ...rule])
    }
  }

  async end(): Promise<void> {}

  figures(): Readonly<Record<string, ProcessFigures>> {
    return {}
  }

  async banned(): Promise<readonly Ban[]> {
    return []
  }

  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    return readInputDrops(await this.#stage.run('switch', 'iptables-save', ['-c', '-t', 'filter']))
  }
}

/** What the recipe's two rules that drop have counted, from what iptables-save -c says. */
export function readInputDrops(saved: string): Readonly<Record<string, number>> {
  const drops: Record<string, number> = {}
  for (const [, packets, rule] of saved.matchAll(/^\[(\d+):\d+\] -A INPUT (.*)-j DROP$/gm)) {
    drops[rule!.includes('REGISTER') ? 'REGISTER' : 'SIP'] = Number(packets)
  }
  return drops
}
