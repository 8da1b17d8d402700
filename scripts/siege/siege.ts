import { setTimeout as pause } from 'node:timers/promises'
import type { Attack } from './attack.ts'
import { ATTACKS, type AttackName } from './attacks.ts'
import { type CallerName, type CallFigures, Calls } from './calls.ts'
import { type Cast, type CastSizes, castOf, STORM_SECONDS } from './cast.ts'
import { type Explained, explainLate } from './explain-late.ts'
import { compileFlood, type FloodResult, floodResult, startFlood } from './flood.ts'
import { chooseGuard, softswitchFor } from './guards/choose-guard.ts'
import type { Ban, GuardName } from './guards/guard.ts'
import { Ringfence } from './guards/ringfence.ts'
import { isHonest } from './honest.ts'
import { type KernelTables, kernelTables } from './kernel-tables.ts'
import { limitCrossedAfter } from './limit-crossing.ts'
import { type Moment, momentOf } from './moment.ts'
import { NEWCOMER_TIME } from './phone-figures.ts'
import type { GuessersResult, PhoneKind, PhonesResult } from './phones/plan.ts'
import { Guessers, Phones } from './players.ts'
import { until } from './program.ts'
import { type Nonces, startSoftswitch } from './softswitch.ts'
import { SERVER, type SiegeStage } from './stage.ts'
import { firstDropAfter, type GuardMemory, Watch } from './watch.ts'

export interface SiegeOrder {
  readonly attack: AttackName
  readonly guard: GuardName
  readonly nonces: Nonces
  /** How long the attack lasts. */
  readonly seconds: number
  /** Of the attack's full rate, and of a storm's phones. */
  readonly share: number
  readonly seed: number
}

/** Everything that was counted; `report.ts` makes figures of it. */
export interface SiegeRecord {
  readonly order: SiegeOrder
  readonly about: string
  readonly phones: PhonesResult
  /** Phones of each kind that had not registered when the attack began, though nobody attacked. */
  readonly absent: Readonly<Partial<Record<PhoneKind, number>>>
  readonly calls: Readonly<Record<CallerName, CallFigures>>
  readonly flood: FloodResult | null
  readonly guessers: GuessersResult | null
  readonly before: Moment
  readonly after: Moment
  /** When the guard's rules first dropped something, by the clock of the flood's begin; null: nothing within 5 s. */
  readonly firstDrop: number | null
  /** Milliseconds from the flood's first packet until it crossed a limit of Ringfence's; null where that is not known. */
  readonly limitCrossedAfter: number | null
  readonly tables: KernelTables | null
  /** Bans that stood at any second of the siege, of the honest and of all. */
  readonly honestBans: readonly Ban[]
  readonly bans: number
  /** What the guard's processes held when they held the most. */
  readonly memory: GuardMemory | null
  /** Of some phones that were not registered in time, what Ringfence knows of them. */
  readonly explained: readonly Explained[]
}

/** Seconds in which all phones that are there before must have registered, or the attack begins without them. */
const WARM_UP = 60
/** Phones that came in the attack's last seconds get their answer, or not. */
const AFTERMATH = 6
/** Seconds of calls before the attack, so that some are at each of their moments. */
const CALLS_BEFORE = 6
/** Seconds that a softswitch is away in an outage. */
const OUTAGE = 5

/** One siege from an empty stage to its record. The caller removes the stage. */
export async function besiege(
  stage: SiegeStage,
  asked: SiegeOrder,
  say: (line: string) => void,
): Promise<SiegeRecord> {
  const attack: Attack = ATTACKS[asked.attack]
  // A storm is watched until long after its last phone should be registered.
  const least = attack.outage ? Math.ceil(STORM_SECONDS * (1.3 + 1.2 * asked.share)) : 0
  const order = { ...asked, seconds: Math.max(asked.seconds, least) }
  await stage.build()
  const flood = attack.flood ? await compileFlood(stage.path('flood')) : null
  const added = softswitchFor(order.guard)
  let softswitch = await startSoftswitch(stage, order.nonces, added)
  const guard = chooseGuard(order.guard, stage, attack.settings ?? '')
  await guard?.start()
  const watch = guard ? new Watch(guard) : null

  const sizes = scaledCast(attack.cast, order.share)
  const cast = castOf(sizes, [1, Math.max(2, order.seconds - NEWCOMER_TIME)])
  say('the phones register')
  const { phones, absent } = await gather(stage, cast, order)
  const calls = new Calls(stage)
  await calls.start()
  await pause(CALLS_BEFORE * 1_000)
  if (attack.outage) {
    say('the softswitch is away')
    await softswitch.end()
    await pause(OUTAGE * 1_000)
    softswitch = await startSoftswitch(stage, order.nonces, added)
  }

  say(`the attack begins: ${attack.about}`)
  const before = await momentOf(stage, softswitch, guard)
  phones.attackBegins()
  const flooding = attack.flood?.(cast)
  const running = flooding
    ? startFlood(stage, flood!, {
        ...scaled(flooding, order.share),
        seconds: order.seconds,
        seed: order.seed,
      })
    : null
  const guessers = attack.guessing ? startGuessing(stage, attack.guessing, order) : null
  const dropped = guard ? firstDropAfter(guard, before.drops!) : Promise.resolve(null)
  const sent = running ? await floodResult(running) : await pause(order.seconds * 1_000).then(() => null)
  const firstDrop = await dropped
  const guessed = (await guessers?.finish()) ?? null
  phones.attackEnds()
  const after = await momentOf(stage, softswitch, guard)
  say('the attack is over')
  const [called, tables] = await Promise.all([
    calls.finish(),
    guard ? kernelTables((program, args) => stage.run('switch', program, args)) : null,
    pause(AFTERMATH * 1_000),
  ])
  const result = await phones.finish()
  await watch?.stop()
  const bans = [...(watch?.bans.values() ?? [])]
  const explained = guard instanceof Ringfence ? await explainLate(guard, result) : []
  await guard?.end()
  return {
    order,
    about: attack.about,
    phones: result,
    absent,
    calls: called,
    flood: sent,
    guessers: guessed,
    before,
    after,
    firstDrop,
    // What an operator listed beforehand has other limits.
    limitCrossedAfter:
      flooding && sent && attack.settings === undefined
        ? limitCrossedAfter(flooding, sent.sent / sent.seconds)
        : null,
    tables,
    honestBans: bans.filter(({ target }) => isHonest(target, cast)),
    bans: bans.length,
    memory: watch?.memory ?? null,
    explained,
  }
}

/** The phones, registered as far as they could be before the attack. */
async function gather(
  stage: SiegeStage,
  cast: Cast,
  { seed, seconds }: SiegeOrder,
): Promise<{ readonly phones: Phones; readonly absent: SiegeRecord['absent'] }> {
  const there = cast.groups.filter(({ appears }) => appears === 'before')
  const longestWait = WARM_UP + Math.max(0, ...there.map(({ within: [, last] }) => last))
  const phones = new Phones(stage, {
    server: SERVER,
    port: 5_060,
    seed,
    reuseNonce: 0.5,
    groups: cast.groups,
    longest: longestWait + seconds + 120,
  })
  const missing = () => {
    const registered = phones.registered()
    const counts = there.map(({ kind, seats }) => [kind, seats.length - (registered[kind] ?? 0)] as const)
    return counts.filter(([, amount]) => amount > 0)
  }
  // A guard that keeps some of them out is besieged all the same: that is a figure, not a failure of the stage.
  await until(() => missing().length === 0, {
    within: longestWait * 1_000,
    what: 'all phones registered before the attack',
    every: 500,
  }).catch(() => {})
  return { phones, absent: Object.fromEntries(missing()) }
}

/** A flood at a share of its full rate; one without a rate stays as fast as it can be. */
export function scaled<T extends { readonly perSecond: number | null }>(flood: T, share: number): T {
  return { ...flood, perSecond: flood.perSecond === null ? null : flood.perSecond * share }
}

function scaledCast(sizes: CastSizes, share: number): CastSizes {
  return sizes.storm === undefined ? sizes : { ...sizes, storm: Math.round(sizes.storm * share) }
}

export function startGuessing(
  stage: SiegeStage,
  guessing: NonNullable<Attack['guessing']>,
  order: Pick<SiegeOrder, 'seed' | 'seconds'>,
): Guessers {
  const { from, ...plan } = guessing
  return new Guessers(stage, from, {
    ...plan,
    server: SERVER,
    port: 5_060,
    seed: order.seed,
    longest: order.seconds + 60,
  })
}
