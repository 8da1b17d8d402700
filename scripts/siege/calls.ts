import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { ANSWER_CALLS, CALL_SECONDS, MAKE_CALLS, REGISTER_CALLER } from './call-scenarios.ts'
import type { Program } from './program.ts'
import { CALLED, CARRIER } from './softswitch.ts'
import { SERVER, type SiegeStage } from './stage.ts'

/** A PBX that registered once and makes the calls. */
export const CALLER = { address: '10.50.251.1', port: 5_060, user: 4_990, calls: 20 } as const
/** A trunk that never registers, and nobody told the guard of. */
export const TRUNK = { address: '10.50.250.1', port: 5_060, calls: 4 } as const

/** Of calls that were begun since the calls began: each is set up, changed by a re-INVITE, and ended. */
export interface CallFigures {
  readonly begun: number
  /** Set up, changed and ended as they should. */
  readonly completed: number
  /** Failed, or not at their end when they should long have been. */
  readonly broken: number
}

/** Who calls; `trunk` and `caller` are sipp, through the softswitch to another sipp that answers as a carrier. */
export type CallerName = 'caller' | 'trunk'

const ENDING = 15_000

/** Calls that come and go throughout a siege. */
export class Calls {
  readonly #stage: SiegeStage
  readonly #callers = new Map<CallerName, Program>()

  constructor(stage: SiegeStage) {
    this.#stage = stage
  }

  /** Resolves when the caller is registered and both call. */
  async start(): Promise<void> {
    const answers = this.#scenario('answers.xml', ANSWER_CALLS)
    this.#sipp(CARRIER, ['-sf', answers])
    const registers = this.#scenario('registers.xml', REGISTER_CALLER)
    const user = String(CALLER.user)
    const once = ['-sf', registers, '-s', user, '-au', user, '-ap', `pw${user}`, '-m', '1', '-timeout', '35s']
    const registered = await this.#sipp(CALLER, [...once, SERVER]).ended
    if (registered !== 0) throw new Error(`the caller could not register: sipp ended with ${registered}`)
    const makes = this.#scenario('makes.xml', MAKE_CALLS)
    for (const [name, { address, port, calls }] of [
      ['caller', CALLER],
      ['trunk', TRUNK],
    ] as const) {
      const pace = ['-l', String(calls), '-r', String(calls), '-rp', `${CALL_SECONDS}s`]
      const told = ['-trace_stat', '-stf', this.#stage.path(`${name}.csv`), '-fd', '1']
      const program = this.#sipp({ address, port }, ['-sf', makes, '-s', CALLED, ...pace, ...told, SERVER])
      this.#callers.set(name, program)
    }
  }

  /** Lets the calls that are open come to their end, and says what became of all. */
  async finish(): Promise<Readonly<Record<CallerName, CallFigures>>> {
    const programs = [...this.#callers.values()]
    // To sipp: no new calls, and the end when the last is over.
    for (const program of programs) program.tell('SIGUSR1')
    await Promise.race([Promise.all(programs.map(({ ended }) => ended)), pause(ENDING)])
    const of = (name: CallerName) => readCallFigures(readFileSync(this.#stage.path(`${name}.csv`), 'latin1'))
    return { caller: of('caller'), trunk: of('trunk') }
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
