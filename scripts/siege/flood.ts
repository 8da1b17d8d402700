import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import type { Program } from './program.ts'
import { ROOT } from './root.ts'
import { SERVER, type SiegeStage } from './stage.ts'

/**
 * What a packet of a flood is: a REGISTER as a phone's, one behind empty lines, one in two fragments, one with a Contact as
 * long as a frame allows, other requests, an answer to nobody's request, or bytes that mean nothing.
 */
export const PACKET_KINDS = [
  'register',
  'crlf',
  'fragments',
  'oversized',
  'options',
  'invite',
  'response',
  'junk',
] as const
export type PacketKind = (typeof PACKET_KINDS)[number]

export interface FloodOrder {
  /**
   * `pool`: so many addresses in turn, each with one port. `new`: each packet from another address. `twice`: the same, and
   * each of them again half a second later. `listed`: these addresses in turn, as theirs forged, with random ports unless
   * one is named as `ADDRESS:PORT`.
   */
  readonly sources:
    | { readonly kind: 'pool'; readonly amount: number }
    | { readonly kind: 'new' }
    | { readonly kind: 'twice' }
    | { readonly kind: 'listed'; readonly addresses: readonly string[] }
  readonly ports: 'own' | 'random'
  /** In turn; REGISTERs where nothing is said. */
  readonly packets?: readonly PacketKind[]
  /** Packets a second; null: as fast as the generator can. */
  readonly perSecond: number | null
  readonly seconds: number
  readonly seed: number
}

export interface FloodResult {
  readonly sent: number
  readonly seconds: number
  /** The moment of its first packet, in milliseconds of the kernel's monotonic clock. */
  readonly begun: number
}

/** The generator, compiled into the stage's folder. Needs a C compiler, as building the product does. */
export async function compileFlood(stage: SiegeStage): Promise<string> {
  const source = join(ROOT, 'scripts/siege/flood.c')
  if (!existsSync(source)) throw new Error(`${source} is missing`)
  const program = stage.path('flood')
  await execa('cc', ['-O2', '-w', '-o', program, source], { timeout: 60_000 })
  return program
}

/** Starts the flood at the attackers' host, on the last core, which also does the kernel's work for each packet. */
export function startFlood(stage: SiegeStage, program: string, order: FloodOrder): Program {
  const { sources, ports, perSecond, seconds, seed, packets = ['register'] } = order
  const args = [
    'device=eth0',
    `mac=${stage.routerMac}`,
    `to=${SERVER}`,
    `rate=${perSecond ?? 0}`,
    `seconds=${seconds}`,
    `seed=${seed}`,
    `ports=${ports}`,
    `packets=${packets.join(',')}`,
  ]
  if (sources.kind === 'listed') {
    writeFileSync(stage.path('sources.txt'), `${sources.addresses.join('\n')}\n`)
    args.push(`list=${stage.path('sources.txt')}`)
  } else args.push(`sources=${sources.kind === 'pool' ? sources.amount : sources.kind}`)
  return stage.start('attackers', 'taskset', ['-c', String(cpus().length - 1), program, ...args])
}

export async function floodResult(flood: Program): Promise<FloodResult> {
  const code = await flood.ended
  if (code !== 0) throw new Error(`the flood ended with ${code}: ${flood.errors.slice(-1_000)}`)
  return JSON.parse(flood.output) as FloodResult
}
