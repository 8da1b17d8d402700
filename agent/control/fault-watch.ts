import type { Clock } from '../../registrar/net/time.ts'
import type { RulesLog } from '../../rules/engine.ts'
import { LogGate } from '../host/log.ts'
import { changeFaults, type KnownFault } from './fault-changes.ts'
import type { Fault } from './faults.ts'

const MOST_LINES_A_SECOND = 10

/** Tells the log of each fault when it appears and when it is over. */
export class FaultWatch {
  readonly #clock: Clock
  readonly #log: RulesLog
  readonly #gate: LogGate
  #known: readonly KnownFault[] = []

  constructor({ clock, log }: { readonly clock: Clock; readonly log: RulesLog }) {
    this.#clock = clock
    this.#log = log
    this.#gate = new LogGate({ perSecond: MOST_LINES_A_SECOND, clock })
  }

  saw(faults: readonly Fault[]): void {
    const { known, appeared, ended } = changeFaults(this.#known, faults, this.#clock())
    this.#known = known
    for (const { sentence } of appeared) this.#write('warn', sentence)
    for (const { sentence } of ended) this.#write('info', `It is over: ${sentence}`)
  }

  #write(level: 'warn' | 'info', sentence: string): void {
    const { write, keptBack } = this.#gate.ask()
    if (write) this.#log[level](keptBack > 0 ? { linesKeptBack: keptBack } : {}, sentence)
  }
}
