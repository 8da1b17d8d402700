import { setTimeout as pause } from 'node:timers/promises'
import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import { ATTACKS, type Attack, type AttackName } from './attacks.ts'
import { castOf } from './cast.ts'
import { compileFlood, type FloodResult, floodResult, startFlood } from './flood.ts'
import { Guard, type ProcessName } from './guard.ts'
import { isHonest } from './honest.ts'
import { type MachineTimes, machineTimes } from './machine.ts'
import type { GuessersResult, PhonesResult } from './phones/plan.ts'
import { Guessers, Phones } from './players.ts'
import { type Program, until } from './program.ts'
import { type Arrived, arrivedAt, type Nonces, startSoftswitch } from './softswitch.ts'
import { SERVER, type SiegeStage } from './stage.ts'

export interface SiegeOrder {
  readonly attack: AttackName
  readonly guard: 'none' | 'ringfence'
  readonly nonces: Nonces
  /** How long the attack lasts. */
  readonly seconds: number
  /** Of the attack's full rate. */
  readonly share: number
  readonly seed: number
}

/** What the guard and the machine were like at a moment. */
interface Moment {
  readonly time: number
  readonly arrived: Arrived
  readonly machine: MachineTimes
  readonly status: StatusSnapshot | null
  readonly figures: ReturnType<Guard['figures']> | null
  /** Packets that each rule has dropped. */
  readonly drops: Readonly<Record<string, number>> | null
}

/** Everything that was counted; `report.ts` makes figures of it. */
export interface SiegeRecord {
  readonly order: SiegeOrder
  readonly about: string
  readonly phones: PhonesResult
  readonly flood: FloodResult | null
  readonly guessers: GuessersResult | null
  readonly before: Moment
  readonly after: Moment
  /** Blocks and suspensions that stood at any second of the siege, of the honest and of all. */
  readonly honestDecisions: readonly DecisionView[]
  readonly decisions: number
  /** The most that each process held, in bytes. */
  readonly memory: Readonly<Record<ProcessName, number>> | null
  /** Of some phones that were not registered in time, what `ringfence explain` says of their lane. */
  readonly explained: readonly { readonly address: string; readonly lane: string; readonly reason: string }[]
}

/** Seconds in which all phones that are there before must have registered. */
const WARM_UP = 90
/** A newcomer has so long; so the attack goes on for as long after the last of them appeared. */
export const NEWCOMER_TIME = 32
/** Phones that came in the attack's last seconds get their answer, or not. */
const AFTERMATH = 6
const MOST_EXPLAINED = 5
/** Milliseconds; what was begun just before the end was not answered for no other reason. */
const LATE = 4_000

/** One siege from an empty stage to its record. The caller removes the stage. */
export async function besiege(
  stage: SiegeStage,
  order: SiegeOrder,
  say: (line: string) => void,
): Promise<SiegeRecord> {
  const attack: Attack = ATTACKS[order.attack]
  await stage.build()
  const flood = attack.flood ? await compileFlood(stage) : null
  const softswitch = await startSoftswitch(stage, order.nonces)
  const guard = order.guard === 'ringfence' ? new Guard(stage) : null
  await guard?.start()

  const newcomersWithin = [1, Math.max(2, order.seconds - NEWCOMER_TIME)] as const
  const cast = castOf(attack.cast, newcomersWithin)
  const phones = new Phones(stage, {
    server: SERVER,
    port: 5_060,
    seed: order.seed,
    reuseNonce: 0.5,
    groups: cast.groups,
    longest: WARM_UP + order.seconds + 60,
  })
  say('the phones register')
  const { customers, ordinary, office } = attack.cast
  await until(
    () => {
      const { customer = 0, ordinary: some = 0, office: inside = 0 } = phones.registered()
      return customer + some + inside === customers + ordinary + office
    },
    { within: WARM_UP * 1_000, what: 'all phones registered before the attack', every: 500 },
  )

  say(`the attack begins: ${attack.about}`)
  const watch = guard ? new Watch(guard) : null
  const before = await momentOf(stage, softswitch, guard)
  phones.attackBegins()
  const running = flood
    ? startFlood(stage, flood, {
        ...scaled(attack.flood!(cast), order.share),
        seconds: order.seconds,
        seed: order.seed,
      })
    : null
  const guessers = attack.guessing ? startGuessing(stage, attack.guessing, order) : null
  const sent = running ? await floodResult(running) : await pause(order.seconds * 1_000).then(() => null)
  const guessed = (await guessers?.finish()) ?? null
  phones.attackEnds()
  const after = await momentOf(stage, softswitch, guard)
  say('the attack is over')
  await pause(AFTERMATH * 1_000)
  const result = await phones.finish()
  await watch?.stop()
  return {
    order,
    about: attack.about,
    phones: result,
    flood: sent,
    guessers: guessed,
    before,
    after,
    honestDecisions: watch
      ? [...watch.decisions.values()].filter(({ target }) => isHonest(target, cast))
      : [],
    decisions: watch?.decisions.size ?? 0,
    memory: watch?.memory ?? null,
    explained: guard ? await explainLate(guard, result) : [],
  }
}

function scaled<T extends { readonly perSecond: number | null }>(flood: T, share: number): T {
  return { ...flood, perSecond: flood.perSecond === null ? null : flood.perSecond * share }
}

function startGuessing(
  stage: SiegeStage,
  guessing: NonNullable<Attack['guessing']>,
  order: SiegeOrder,
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

async function momentOf(stage: SiegeStage, softswitch: Program, guard: Guard | null): Promise<Moment> {
  const status = guard ? await guard.status() : null
  return {
    time: performance.now(),
    arrived: arrivedAt(softswitch),
    machine: await machineTimes(stage),
    status,
    figures: guard?.figures() ?? null,
    drops: guard ? await guard.dropsByRule() : null,
  }
}

/** Looks once a second at what stands and what the guard holds, so that nothing that came and went is missed. */
class Watch {
  readonly decisions = new Map<number, DecisionView>()
  readonly memory: Record<ProcessName, number> = { daemon: 0, sensor: 0, capture: 0 }
  readonly #guard: Guard
  readonly #done: Promise<void>
  #stopped = false

  constructor(guard: Guard) {
    this.#guard = guard
    this.#done = this.#run()
    // Heard by whoever stops it; until then it must not end the siege without its stage being removed.
    this.#done.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #run(): Promise<void> {
    for (let last = false; !last; ) {
      last = this.#stopped
      for (const decision of await this.#guard.blocked()) this.decisions.set(decision.id, decision)
      const figures = this.#guard.figures()
      for (const name of ['daemon', 'sensor', 'capture'] as const) {
        this.memory[name] = Math.max(this.memory[name], figures[name].memory)
      }
      await pause(1_000)
    }
  }
}

/** What the guard knows of phones that waited for longer than a newcomer has, or to the end. */
async function explainLate(
  guard: Guard,
  { phones, attack, ended: end }: PhonesResult,
): Promise<SiegeRecord['explained']> {
  const since = attack.begun ?? 0
  const late = phones.flatMap(({ kind, address, port, registrations }) => {
    const waited = registrations.filter(
      ({ begun, ended, outcome }) =>
        begun >= since &&
        (ended ?? end) - begun > LATE &&
        (outcome !== 'registered' || ended! - begun > NEWCOMER_TIME * 1_000),
    )
    return waited.length === 0 ? [] : [{ kind, address, port, waited }]
  })
  const stories = late.slice(0, MOST_EXPLAINED).map(async ({ kind, address, port, waited }) => {
    const { lane, laneReason, registers, challenges, successes } = await guard.explain(address)
    const counts = `${registers} REGISTERs, ${challenges} challenges, ${successes} successes`
    const times = waited.map(({ begun, outcome }) => {
      const at = ((begun - since) / 1_000).toFixed(1)
      return `${outcome ?? 'nothing'} to that of second ${at}`
    })
    return {
      address: `${kind} ${address}:${port}`,
      lane,
      reason: `${laneReason} (${counts}; ${times.join(', ')})`,
    }
  })
  return Promise.all(stories)
}
