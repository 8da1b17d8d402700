import type { Milliseconds } from '../../registrar/net/time.ts'
import type { ExchangeEnded } from '../observe/observation.ts'

/** Latencies kept of one summary; of more each further one takes the place of another, in turn. */
const MOST_LATENCIES = 2_048

/** How the softswitch answered the REGISTERs of sources that had a success, since the last summary. */
export interface AnswersSummary {
  readonly answered: number
  /** REGISTERs that it owed an answer for 32 s. */
  readonly silent: number
  /** From REGISTER to final answer; null where none was measured. */
  readonly latencyP50: Milliseconds | null
  readonly latencyP99: Milliseconds | null
}

/** Measures the softswitch by its answers to those who are known to it: what strangers get is no measure. */
export class AnswerFigures {
  readonly #latencies = new Float64Array(MOST_LATENCIES)
  #answered = 0
  #silent = 0

  add({ outcome, answeredIn }: Pick<ExchangeEnded, 'outcome' | 'answeredIn'>): void {
    if (outcome === 'silence') this.#silent++
    else if (answeredIn !== null) this.#latencies[this.#answered++ % MOST_LATENCIES] = answeredIn
  }

  /** The figures since this was asked last. */
  take(): AnswersSummary {
    const answered = this.#answered
    const latencies = this.#latencies.subarray(0, Math.min(answered, MOST_LATENCIES)).sort()
    const summary = {
      answered,
      silent: this.#silent,
      latencyP50: quantile(latencies, 0.5),
      latencyP99: quantile(latencies, 0.99),
    }
    this.#answered = 0
    this.#silent = 0
    return summary
  }
}

function quantile(sorted: Float64Array, share: number): number | null {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!
}
