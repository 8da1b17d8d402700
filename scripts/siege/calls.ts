import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { ANSWER_CALLS, CALL_SECONDS, MAKE_CALLS, REGISTER_CALLER } from './call-scenarios.ts'
import type { Program } from './program.ts'
import { CALLED, CARRIER } from './softswitch.ts'
import { SERVER, type SiegeStage } from './stage.ts'

interface Caller {
  readonly address: string
  readonly port: number
  /** So many at once. */
  readonly calls: number
}

/** PBXs that register once and make the calls, 20 together. */
export const PBXS: readonly (Caller & { readonly user: number })[] = [1, 2, 3, 4].map((number) => ({
  address: `10.50.251.${number}`,
  port: 5_060,
  user: 4_990 + number,
  calls: 5,
}))
/** A trunk that never registers, and nobody told the guard of. */
export const TRUNK: Caller = { address: '10.50.250.1', port: 5_060, calls: 4 }

/** Of calls that were begun since the calls began: each is set up, changed by a re-INVITE, and ended. */
export interface CallFigures {
  readonly begun: number
  /** Set up, changed and ended as they should. */
  readonly completed: number
  /** Failed, or not at their end when they should long have been. */
  readonly broken: number
}

/** Who calls: sipp, through the softswitch to another sipp that answers as a carrier. */
export type CallerName = 'PBXs' | 'trunk'

const ENDING = 15_000

/** Calls that come and go throughout a siege. */
export class Calls {
  readonly #stage: SiegeStage
  readonly #callers: { readonly name: CallerName; readonly program: Program; readonly counts: string }[] = []

  constructor(stage: SiegeStage) {
    this.#stage = stage
  }

  /** Resolves when the PBXs are registered and all call. */
  async start(): Promise<void> {
    this.#sipp(CARRIER, ['-sf', this.#scenario('answers.xml', ANSWER_CALLS)])
    const registers = this.#scenario('registers.xml', REGISTER_CALLER)
    const registered = PBXS.map((pbx) => {
      const user = String(pbx.user)
      const as = ['-s', user, '-au', user, '-ap', `pw${user}`]
      return this.#sipp(pbx, ['-sf', registers, ...as, '-m', '1', '-timeout', '35s', SERVER]).ended
    })
    // A guard that keeps one out is besieged all the same: its calls then tell.
    await Promise.all(registered)
    const makes = this.#scenario('makes.xml', MAKE_CALLS)
    for (const pbx of PBXS) this.#call('PBXs', pbx, makes)
    this.#call('trunk', TRUNK, makes)
  }

  /** Lets the calls that are open come to their end, and says what became of all. */
  async finish(): Promise<Readonly<Record<CallerName, CallFigures>>> {
    // To sipp: no new calls, and the end when the last is over.
    for (const { program } of this.#callers) program.tell('SIGUSR1')
    await Promise.race([Promise.all(this.#callers.map(({ program }) => program.ended)), pause(ENDING)])
    const figures = { PBXs: NO_CALLS, trunk: NO_CALLS }
    for (const { name, counts } of this.#callers)
      figures[name] = added(figures[name], readCallFigures(readFileSync(counts, 'latin1')))
    return figures
  }

  #call(name: CallerName, caller: Caller, scenario: string): void {
    const counts = this.#stage.path(`calls-${caller.address}.csv`)
    const pace = ['-l', String(caller.calls), '-r', String(caller.calls), '-rp', `${CALL_SECONDS}s`]
    const told = ['-trace_stat', '-stf', counts, '-fd', '1']
    const program = this.#sipp(caller, ['-sf', scenario, '-s', CALLED, ...pace, ...told, SERVER])
    this.#callers.push({ name, program, counts })
  }

  #scenario(name: string, text: string): string {
    const file = this.#stage.path(name)
    writeFileSync(file, text)
    return file
  }

  #sipp(at: { readonly address: string; readonly port: number }, args: readonly string[]): Program {
    const own = ['-i', at.address, '-p', String(at.port), '-nostdin', '-skip_rlimit']
    return this.#stage.start('phones', 'sipp', [...own, ...args])
  }
}

const NO_CALLS: CallFigures = { begun: 0, completed: 0, broken: 0 }

function added(one: CallFigures, other: CallFigures): CallFigures {
  return {
    begun: one.begun + other.begun,
    completed: one.completed + other.completed,
    broken: one.broken + other.broken,
  }
}

/** From the statistics that sipp writes, one line a second with what has come together. */
export function readCallFigures(csv: string): CallFigures {
  const lines = csv.trim().split('\n')
  const names = lines[0]?.split(';') ?? []
  const last = lines.at(-1)?.split(';') ?? []
  const of = (name: string) => Number(last[names.indexOf(name)] ?? 0)
  const begun = of('TotalCallCreated')
  const completed = of('SuccessfulCall(C)')
  return { begun, completed, broken: begun - completed }
}
