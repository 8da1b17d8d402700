import type { Address } from '../../registrar/net/address.ts'
import type { Detector } from '../detect/detector.ts'
import { NEVER } from '../detect/source-table.ts'
import type { Observation } from '../observe/observation.ts'
import { AnswerFigures } from './answer-figures.ts'
import type { SensorSummary } from './messages.ts'
import type { Pipeline } from './pipeline.ts'

type Observed = Pick<
  SensorSummary,
  'answers' | 'unseenRegisters' | 'sight' | 'nonces' | 'bindings' | 'bindingsLetGo' | 'duplicates' | 'notRead'
>

/** What a summary says of the softswitch itself: how it answers, what of it can be seen, and how it challenges. */
export class ObservedFigures {
  readonly #answers = new AnswerFigures()
  readonly #sources: Detector['sources']
  #unseenRegisters = 0

  constructor({ sources }: Pick<Detector, 'sources'>) {
    this.#sources = sources
  }

  /** Takes what the detector has just taken. */
  observe(observation: Observation): void {
    if (observation.kind === 'register') {
      if (observation.answersUnseen) this.#unseenRegisters++
    } else if (observation.kind === 'exchange' && observation.method === undefined) {
      if (this.#hadSuccess(observation.source.address)) this.#answers.add(observation)
    }
  }

  /** The figures since this was asked last, and how things stand. */
  take({
    pipeline,
    bindings,
  }: {
    readonly pipeline: Pipeline
    readonly bindings: Detector['bindings']
  }): Observed {
    const unseenRegisters = this.#unseenRegisters
    this.#unseenRegisters = 0
    const { exchanges, duplicates } = pipeline
    return {
      answers: this.#answers.take(),
      unseenRegisters,
      sight: exchanges.sight.list(),
      nonces: exchanges.nonces.sharing.list(),
      bindings: bindings.size,
      bindingsLetGo: bindings.letGo,
      duplicates: duplicates?.found ?? 0,
      notRead: pipeline.notRead,
    }
  }

  #hadSuccess(address: Address): boolean {
    const record = this.#sources.find(address)
    return record !== undefined && record.lastSuccess !== NEVER
  }
}
