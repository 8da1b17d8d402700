import { existsSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { Program } from './program.ts'
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

/** How a flood's frames go to the softswitch, and who they say they are. */
export interface FloodWay {
  readonly device: string
  /** Of the next hop. */
  readonly mac: string
  readonly to: string
  readonly port: number
  /** Where its own addresses begin and how many there are, a power of two; without it 67 million that are nobody's. */
  readonly network?: { readonly first: string; readonly addresses: number }
  /** What stands before the numbers of the accounts; without it they are numbers alone. */
  readonly userPrefix?: string
}

/** The generator, compiled to this file. Needs a C compiler, as building the product does. */
export async function compileFlood(program: string): Promise<string> {
  // Beside this file in the sources and in dist alike.
  const source = fileURLToPath(new URL('flood.c', import.meta.url))
  if (!existsSync(source)) throw new Error(`${source} is missing; run: npm run build`)
  const { failed, code, message } = await execa('cc', ['-O2', '-w', '-o', program, source], {
    reject: false,
    timeout: 60_000,
  })
  if (code === 'ENOENT') throw new Error('a flood needs a C compiler: apt-get install build-essential')
  if (failed) throw new Error(message)
  return program
}

/** Starts the flood at the attackers' host, on the last core, which also does the kernel's work for each packet. */
export function startFlood(stage: SiegeStage, program: string, order: FloodOrder): Program {
  const way = { device: 'eth0', mac: stage.routerMac, to: SERVER, port: 5_060 }
  const args = floodArguments(order, way, stage.path('sources.txt'))
  return stage.start('attackers', 'taskset', ['-c', String(cpus().length - 1), program, ...args])
}

/** The generator's words. `list`: a file that addresses are written to where they are listed. */
export function floodArguments(order: FloodOrder, way: FloodWay, list: string): readonly string[] {
  const { sources, ports, perSecond, seconds, seed, packets = ['register'] } = order
  const args = [
    `device=${way.device}`,
    `mac=${way.mac}`,
    `to=${way.to}`,
    `port=${way.port}`,
    `rate=${perSecond ?? 0}`,
    `seconds=${seconds}`,
    `seed=${seed}`,
    `ports=${ports}`,
    `packets=${packets.join(',')}`,
  ]
  if (way.network) args.push(`first=${way.network.first}`, `addresses=${way.network.addresses}`)
  if (way.userPrefix !== undefined) args.push(`user=${way.userPrefix}`)
  if (sources.kind === 'listed') {
    writeFileSync(list, `${sources.addresses.join('\n')}\n`)
    args.push(`list=${list}`)
  } else args.push(`sources=${sources.kind === 'pool' ? sources.amount : sources.kind}`)
  return args
}

export async function floodResult(flood: Program): Promise<FloodResult> {
  const code = await flood.ended
  if (code !== 0) throw new Error(`the flood ended with ${code}: ${flood.errors.slice(-1_000)}`)
  return JSON.parse(flood.output) as FloodResult
}
