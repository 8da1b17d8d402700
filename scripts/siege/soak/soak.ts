import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Attack } from '../attack.ts'
import { ATTACKS, type AttackName } from '../attacks.ts'
import { type CastSizes, castOf } from '../cast.ts'
import { compileFlood, floodResult, startFlood } from '../flood.ts'
import type { Ban } from '../guards/guard.ts'
import { Ringfence } from '../guards/ringfence.ts'
import { isHonest } from '../honest.ts'
import { kernelTables } from '../kernel-tables.ts'
import { machineTimes } from '../machine.ts'
import { type KindFigures, kindsOf, unansweredOf } from '../phone-figures.ts'
import type { PhoneKind } from '../phones/plan.ts'
import { randomFrom } from '../phones/random.ts'
import { Phones } from '../players.ts'
import { until } from '../program.ts'
import { scaled, startGuessing } from '../siege.ts'
import { type Nonces, startSoftswitch } from '../softswitch.ts'
import { SERVER, type SiegeStage } from '../stage.ts'
import { Watch } from '../watch.ts'
import { chooseRound, type Round } from './choose-round.ts'
import type { Held } from './growth.ts'

const CAST: CastSizes = { customers: 150, ordinary: 50, newcomers: 10, office: 0 }
/** Seconds in which all must have registered, or the round goes on without them. */
const WARM_UP = 40
/** Seconds after an attack, in which what it began is brought to its end. */
const AFTERMATH = 6
/** What swept caches hold is no leak: the guard is looked at when it has been quiet for so many seconds. */
const QUIET = 3
/** Bans are kept by their number; hours of guessers make many. */
const MOST_HONEST_BANS = 1_000

export interface RoundRecord extends Round {
  readonly kinds: Readonly<Partial<Record<PhoneKind, KindFigures>>>
  /** Phones that heard nothing for 32 s. */
  readonly unanswered: number
  /** Of all cores, 0 to 1. */
  readonly machineBusy: number
}

export interface SoakRecord {
  readonly rounds: readonly RoundRecord[]
  readonly held: readonly Held[]
  readonly honestBans: readonly Ban[]
  readonly bans: number
}

export interface SoakOrder {
  readonly seconds: number
  readonly nonces: Nonces
  readonly share: number
  readonly seed: number
}

/** Round after round until its time is over. `told` hears of each with all that is known by then. The caller removes the stage. */
export async function soak(
  stage: SiegeStage,
  order: SoakOrder,
  told: (record: SoakRecord) => void,
): Promise<SoakRecord> {
  await stage.build()
  const generator = await compileFlood(stage.path('flood'))
  await startSoftswitch(stage, order.nonces)
  const guard = new Ringfence(stage)
  await guard.start()
  const watch = new Watch(guard)
  const random = randomFrom(order.seed)
  const begun = performance.now()
  const elapsed = () => (performance.now() - begun) / 1_000
  const rounds: RoundRecord[] = []
  const held: Held[] = []
  const known = (): SoakRecord => {
    const bans = [...watch.bans.values()]
    const cast = castOf(CAST, [0, 1])
    const honestBans = bans.filter(({ target }) => isHonest(target, cast)).slice(0, MOST_HONEST_BANS)
    return { rounds, held, honestBans, bans: bans.length }
  }
  try {
    for (let last: AttackName | null = null; elapsed() < order.seconds; ) {
      const round = chooseRound(last, order.share, random)
      last = round.attack
      rounds.push(await attackOnce(stage, { round, generator, seed: order.seed + rounds.length }))
      await pause(QUIET * 1_000)
      held.push(await lookAt(stage, { guard, at: Math.round(elapsed()) }))
      told(known())
    }
  } finally {
    await watch.stop().catch(() => {})
  }
  await guard.end()
  return known()
}

async function attackOnce(
  stage: SiegeStage,
  { round, generator, seed }: { readonly round: Round; readonly generator: string; readonly seed: number },
): Promise<RoundRecord> {
  const { seconds, share } = round
  const attack: Attack = ATTACKS[round.attack]
  const { busy, movers } = attack.cast
  const sizes = { ...CAST, ...(busy ? { busy: 60 } : {}), ...(movers === undefined ? {} : { movers }) }
  const cast = castOf(sizes, [1, Math.max(2, seconds / 2)])
  const phones = new Phones(stage, {
    server: SERVER,
    port: 5_060,
    seed,
    reuseNonce: 0.5,
    groups: cast.groups,
    longest: WARM_UP + seconds + 120,
  })
  const wanted = cast.groups.filter(({ appears }) => appears === 'before')
  const areThere = () => wanted.every(({ kind, seats }) => (phones.registered()[kind] ?? 0) === seats.length)
  await until(areThere, { within: WARM_UP * 1_000, what: 'all phones', every: 500 }).catch(() => {})
  const before = machineTimes([])
  phones.attackBegins()
  const flooding = attack.flood?.(cast)
  const flood = flooding ? startFlood(stage, generator, { ...scaled(flooding, share), seconds, seed }) : null
  const guessers = attack.guessing ? startGuessing(stage, attack.guessing, { seed, seconds }) : null
  if (flood) await floodResult(flood)
  else await pause(seconds * 1_000)
  await guessers?.finish()
  phones.attackEnds()
  const after = machineTimes([])
  await pause(AFTERMATH * 1_000)
  const result = await phones.finish()
  return {
    ...round,
    kinds: kindsOf(result),
    unanswered: unansweredOf(result),
    machineBusy: (after.busy - before.busy) / Math.max(1, after.all - before.all),
  }
}

async function lookAt(
  stage: SiegeStage,
  { guard, at }: { readonly guard: Ringfence; readonly at: number },
): Promise<Held> {
  const kinds = Object.fromEntries(
    Object.entries(guard.figures()).map(([name, { memory }]) => [name, memory] as const),
  )
  const processes = guard.processes()
  const { sets, limits } = await kernelTables((program, args) => stage.run('switch', program, args))
  return {
    at,
    memory: Object.values(kinds).reduce((sum, bytes) => sum + bytes, 0),
    kinds,
    sources: (await guard.status()).sensor.sourcesTracked,
    files: processes.reduce((sum, pid) => sum + openFiles(pid), 0),
    processes: processes.length,
    tables: sets + limits,
    data: sizeOf(stage.path('data')),
  }
}

function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    // It has ended meanwhile.
    return 0
  }
}

function sizeOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    bytes += entry.isDirectory() ? sizeOf(path) : (statSync(path, { throwIfNoEntry: false })?.size ?? 0)
  }
  return bytes
}
