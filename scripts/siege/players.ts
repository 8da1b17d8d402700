import { writeFileSync } from 'node:fs'
import type {
  GuessersPlan,
  GuessersResult,
  PhonesPlan,
  PhonesProgress,
  PhonesResult,
  Served,
} from './phones/plan.ts'
import { type Program, until } from './program.ts'
import { builtProgram } from './root.ts'
import type { SiegeHost, SiegeStage } from './stage.ts'

/** All phones of a siege, in a process of their own. */
export class Phones {
  readonly #program: Program

  constructor(stage: SiegeStage, plan: PhonesPlan) {
    const file = stage.path('phones.json')
    writeFileSync(file, JSON.stringify(plan))
    this.#program = stage.start('phones', process.execPath, [builtProgram('phones/main.js'), file])
  }

  /** How many of each kind have registered at least once, a second ago at most. */
  registered(): PhonesProgress['registered'] {
    if (!this.#program.isRunning) throw new Error(`the phones ended:\n${this.#program.errors.slice(-2_000)}`)
    return lastLine<PhonesProgress>(this.#program.output)?.registered ?? {}
  }

  /** How customers fared since it began, a second ago at most. */
  served(): Served {
    return lastLine<PhonesProgress>(this.#program.output)?.served ?? { asked: 0, inTime: 0 }
  }

  attackBegins(): void {
    this.#program.say('attack')
  }

  attackEnds(): void {
    this.#program.say('peace')
  }

  finish(): Promise<PhonesResult> {
    return finish<PhonesResult>(this.#program)
  }
}

export class Guessers {
  readonly #program: Program

  constructor(stage: SiegeStage, host: SiegeHost, plan: GuessersPlan) {
    const file = stage.path('guessers.json')
    writeFileSync(file, JSON.stringify(plan))
    this.#program = stage.start(host, process.execPath, [builtProgram('phones/guessers.js'), file])
  }

  finish(): Promise<GuessersResult> {
    return finish<GuessersResult>(this.#program)
  }
}

async function finish<T>(program: Program): Promise<T> {
  program.say('end')
  await until(() => !program.isRunning, { within: 15_000, what: 'the end of the players' })
  await program.ended
  const result = lastLine<T>(program.output)
  if (result === null) throw new Error(`the players said nothing:\n${program.errors.slice(-2_000)}`)
  return result
}

function lastLine<T>(output: string): T | null {
  const end = output.lastIndexOf('\n')
  if (end < 0) return null
  return JSON.parse(output.slice(output.lastIndexOf('\n', end - 1) + 1, end)) as T
}
