import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { RulesLog } from '../../rules/engine.ts'
import type { Config } from '../config/config.ts'
import type { SensorSummary } from '../sensor/messages.ts'
import { NO_PATH_EVIDENCE, type PathEvidence, type PathSighting, sayNotInPath, weighPath } from './in-path.ts'

/** Keeps watch whether packets pass our rules, and logs when that changes. */
export class PathWatch {
  #evidence: PathEvidence = NO_PATH_EVIDENCE
  readonly #log: RulesLog
  readonly #protect: () => Config['protect']

  constructor(options: { readonly log: RulesLog; readonly protect: () => Config['protect'] }) {
    this.#log = options.log
    this.#protect = options.protect
  }

  /** The alarm, as a sentence; null where packets pass the rules, or nobody knows. */
  get alarm(): string | null {
    return sayNotInPath(this.#evidence, this.#protect())
  }

  summarised({ time, seconds, registers }: SensorSummary): void {
    this.#weigh({ kind: 'registers', from: time - seconds * 1_000, to: time, count: registers })
  }

  /** The counters were read; undefined packets where no rules stand that could judge any. */
  read(at: EpochMilliseconds, packets: number | undefined): void {
    this.#weigh(packets === undefined ? { kind: 'no-rules' } : { kind: 'judged', at, packets })
  }

  #weigh(sighting: PathSighting): void {
    const was = this.#evidence.aroundSince
    this.#evidence = weighPath(this.#evidence, sighting)
    const { aroundSince, registers } = this.#evidence
    if ((was === null) === (aroundSince === null)) return
    if (aroundSince === null) {
      this.#log.info(
        {},
        sighting.kind === 'judged'
          ? 'Packets pass the rules again.'
          : 'No rules stand that packets could pass.',
      )
    } else {
      this.#log.warn(
        { registers, since: new Date(aroundSince).toISOString() },
        this.alarm ?? 'Not in the path.',
      )
    }
  }
}
