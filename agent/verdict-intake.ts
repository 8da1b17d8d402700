import type { Logger } from 'pino'
import { sourcePrefixOf } from '../registrar/net/address.ts'
import type { Clock, EpochMilliseconds } from '../registrar/net/time.ts'
import { showTarget } from './control/views.ts'
import type { Decisions } from './decide/decisions.ts'
import type { Verdict } from './detect/verdict.ts'
import { LogGate } from './host/log.ts'
import type { Journal } from './journal/journal.ts'
import { isWorthALook, type WorthALook } from './worth-a-look.ts'

/** What an attacker can make us write into the journal, a second. */
const MOST_VERDICTS_KEPT = 200

export interface VerdictIntakeOptions {
  readonly decisions: Pick<Decisions, 'decide'>
  readonly journal: Pick<Journal, 'recordVerdict'>
  /** Alerts, and guessers that are only limited. */
  readonly looks: WorthALook
  readonly clock: Clock
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** What an attacker can make us write into the log. */
  readonly gate: LogGate
  /** Does what may fail without harm to anybody. */
  readonly keep: (write: () => void) => void
  /** Somebody was blocked at that time. */
  readonly onBlock: (time: EpochMilliseconds) => void
}

/** Takes verdicts in, whoever gave them: each is decided on, remembered, and said in the log. */
export class VerdictIntake {
  readonly #o: VerdictIntakeOptions
  readonly #kept: LogGate

  constructor(options: VerdictIntakeOptions) {
    this.#o = options
    this.#kept = new LogGate({ perSecond: MOST_VERDICTS_KEPT, clock: options.clock })
  }

  /** From verdict to decision; what stands against somebody goes to the kernel at once. */
  take(verdict: Verdict): void {
    const decided = this.#o.decisions.decide(verdict)
    if (this.#kept.ask().write) this.#remember(verdict)
    if (isWorthALook(verdict)) this.#sayLook(verdict)
    if (decided.kind !== 'made') return
    const { kind, scope, reason, until } = decided.decision
    if (kind === 'block') this.#o.onBlock(verdict.time)
    this.#say((log, keptBack) => {
      const fields = { target: showTarget(decided.decision), scope, grade: verdict.grade, until, reason }
      log.info({ ...fields, ...keptBack }, kind === 'block' ? 'blocked' : 'suspended')
    })
  }

  #remember(verdict: Verdict): void {
    const { time, name, address, port, action, scope, grade, reason, evidence } = verdict
    this.#o.keep(() => {
      this.#o.journal.recordVerdict({
        time,
        source: sourcePrefixOf(address),
        port,
        name,
        action,
        scope,
        grade,
        reason,
        evidence,
      })
    })
  }

  /** Nothing is done to anybody, but somebody should look. */
  #sayLook(verdict: Verdict): void {
    const { action, name, address, port, grade, reason, evidence } = verdict
    const { looks } = this.#o
    looks.take(verdict)
    if (!looks.isNews(verdict)) return
    this.#say((log, keptBack) => {
      const what = action === 'alert' ? { alert: name } : { limit: name }
      log.warn({ ...what, address, port, grade, reason, evidence, ...keptBack }, 'look at this')
      looks.told(verdict)
    })
  }

  #say(
    line: (log: VerdictIntakeOptions['log'], keptBack: { readonly linesKeptBack?: number }) => void,
  ): void {
    const { write, keptBack } = this.#o.gate.ask()
    if (write) line(this.#o.log, keptBack > 0 ? { linesKeptBack: keptBack } : {})
  }
}
