import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { SimulationOrder } from '../../../agent/cli/simulation-order.ts'
import type { StatusSnapshot } from '../../../dashboard/api/status.ts'
import { compileFlood, type FloodResult, floodArguments, floodResult } from '../flood.ts'
import type { Ban } from '../guards/guard.ts'
import type { ProcessFigures } from '../guards/processes.ts'
import { type KernelTables, kernelTables } from '../kernel-tables.ts'
import { type MachineTimes, machineTimes } from '../machine.ts'
import type { GuessersResult } from '../phones/plan.ts'
import { type Program, until } from '../program.ts'
import { builtProgram } from '../root.ts'
import { firstDropAfter, Watch } from '../watch.ts'
import { trafficOf } from './attack-of.ts'
import { DEAF_SOURCES, ENTRANCE, type Entrance } from './entrance.ts'
import type { HonestPlan, HonestProgress, HonestResult } from './honest-plan.ts'
import type { InstalledRingfence } from './installed-ringfence.ts'

/** Seconds of the honest phones alone, before and after. */
const BEFORE = 2
const AFTER = 3
/** An account's first registration may take a phone's whole patience. */
const FIRST_REGISTRATION = 35_000
/** Nobody has such an account. */
const NOBODY = 'rf-nobody-'

/** What the guard, the machine and the entrance were like at a moment. */
export interface SimulationMoment {
  readonly time: number
  readonly machine: MachineTimes
  readonly arrived: number
  readonly status: StatusSnapshot | null
  readonly figures: Readonly<Record<string, ProcessFigures>> | null
  readonly drops: Readonly<Record<string, number>> | null
}

/** Everything that was counted; `figures-of.ts` makes figures of it. */
export interface SimulationRecord {
  readonly order: SimulationOrder
  readonly honest: HonestResult
  readonly flood: FloodResult | null
  readonly guesses: GuessersResult | null
  readonly before: SimulationMoment
  readonly after: SimulationMoment
  /** By the clock of the flood's begin. */
  readonly firstDrop: number | null
  readonly tables: KernelTables | null
  /** Those that stood before it began, and all that stood at any second of it. */
  readonly bansBefore: readonly Ban[]
  readonly bans: readonly Ban[]
  /** Bytes, when all processes together held the most. */
  readonly memory: number | null
}

interface Parts {
  readonly entrance: Entrance
  readonly guard: InstalledRingfence | null
  readonly say: (line: string) => void
}

/** One test, with the entrance built and the guard (null: none runs) protecting it. The caller takes both away. */
export async function simulate(order: SimulationOrder, parts: Parts): Promise<SimulationRecord> {
  const { guard } = parts
  const bansBefore = (await guard?.banned()) ?? []
  const watch = guard ? new Watch(guard) : null
  try {
    const counted = await attack(order, parts)
    await watch?.stop()
    const kinds = Object.values(watch?.memory.kinds ?? {})
    const memory = watch && kinds.reduce((sum, bytes) => sum + bytes, 0)
    return { ...counted, order, bansBefore, bans: [...(watch?.bans.values() ?? [])], memory }
  } finally {
    // One that looks on would keep a failed test from ending.
    await watch?.stop().catch(() => {})
  }
}

/** The attack itself, with the honest phones before, during and after. */
async function attack(
  order: SimulationOrder,
  { entrance, guard, say }: Parts,
): Promise<Omit<SimulationRecord, 'order' | 'bansBefore' | 'bans' | 'memory'>> {
  const traffic = trafficOf(order)
  const compiling = traffic.kind === 'flood' ? compileFlood(entrance.path('flood')) : Promise.resolve('')
  // Waited for after the phones' first seconds, which it may take meanwhile.
  compiling.catch(() => {})
  const phones = startHonest(order, entrance)
  say(order.account ? 'the honest phone registers' : 'the honest phones ask with OPTIONS')
  if (order.account) await registered(phones, order.account.user)
  const [generator] = await Promise.all([compiling, pause(BEFORE * 1_000)])

  const before = await momentOf(entrance, guard)
  say(`the attack begins: ${order.attack}, ${order.perSecond} a second for ${order.seconds} s`)
  phones.say('attack')
  let flood: FloodResult | null = null
  let guesses: GuessersResult | null = null
  let firstDrop: number | null = null
  if (traffic.kind === 'flood') {
    const { address: to, port } = order.target
    const way = { device: 'eth0', mac: entrance.mac, to, port, network: DEAF_SOURCES, userPrefix: NOBODY }
    const args = floodArguments(traffic.flood, way, entrance.path('sources.txt'))
    const running = entrance.start(generator, args)
    const dropped = guard ? firstDropAfter(guard, before.drops!) : Promise.resolve(null)
    flood = await floodResult(running)
    firstDrop = await dropped
  } else {
    writeFileSync(entrance.path('guessers.json'), JSON.stringify(traffic.guesses))
    const running = entrance.start(process.execPath, [
      builtProgram('phones/guessers.js'),
      entrance.path('guessers.json'),
    ])
    await pause(order.seconds * 1_000)
    guesses = await lastWords<GuessersResult>(running)
  }
  phones.say('peace')
  const after = await momentOf(entrance, guard)
  say('the attack is over')
  const tables = guard ? await kernelTables((program, args) => entrance.there(program, args)) : null
  await pause(AFTER * 1_000)
  const honest = await lastWords<HonestResult>(phones)
  return { honest, flood, guesses, before, after, firstDrop, tables }
}

/** Seconds that a test takes at most, from the first phone on. */
export function longestOf({ seconds }: SimulationOrder): number {
  return seconds + FIRST_REGISTRATION / 1_000 + BEFORE + AFTER + 40
}

function startHonest(order: SimulationOrder, entrance: Entrance): Program {
  const { account, target, seconds, seed } = order
  const plan: HonestPlan = {
    server: target.address,
    port: target.port,
    account: account ? { domain: target.address, ...account } : null,
    newcomerAfter: seconds / 4,
    seed,
    longest: longestOf(order),
  }
  const file = entrance.path('honest.json')
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 })
  return entrance.start(process.execPath, [builtProgram('simulate/honest.js'), file])
}

async function registered(phones: Program, user: string): Promise<void> {
  const progress = () => lastLine<HonestProgress>(phones) ?? { answered: 0, refused: 0 }
  await until(() => progress().answered > 0 || progress().refused > 0 || !phones.isRunning, {
    within: FIRST_REGISTRATION,
    what: `the registration of ${user}`,
  })
  if (progress().answered > 0) return
  if (!phones.isRunning) throw new Error(`the honest phones ended: ${phones.errors.slice(-1_000)}`)
  throw new Error(
    `the softswitch refuses the account ${user}: nothing was sent (is the password right? the --domain?)`,
  )
}

async function momentOf(entrance: Entrance, guard: InstalledRingfence | null): Promise<SimulationMoment> {
  return {
    time: performance.now(),
    machine: machineTimes([]),
    arrived: await entrance.arrived(),
    status: (await guard?.status()) ?? null,
    figures: guard?.figures() ?? null,
    drops: (await guard?.dropsByRule()) ?? null,
  }
}

async function lastWords<T>(program: Program): Promise<T> {
  program.say('end')
  await until(() => !program.isRunning, { within: 15_000, what: `the end of the phones on ${ENTRANCE}` })
  await program.ended
  const result = lastLine<T>(program)
  if (result === null) throw new Error(`the phones said nothing: ${program.errors.slice(-1_000)}`)
  return result
}

/** The last whole line. */
function lastLine<T>({ output }: Program): T | null {
  const end = output.lastIndexOf('\n')
  if (end < 0) return null
  return JSON.parse(output.slice(output.lastIndexOf('\n', end - 1) + 1, end)) as T
}
