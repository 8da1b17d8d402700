import type { LanesView } from '../../dashboard/api/status.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { LaneCounts } from '../decide/lanes.ts'

/** When members of lanes last had to go for lack of room: a sum since the start says nothing of now. */
export class LetGoWatch {
  readonly #seen = new Map<string, { readonly amount: number; readonly at: EpochMilliseconds }>()

  /** To be called every few seconds: what has grown since the last call has grown now. */
  saw({ letGo }: Pick<LaneCounts, 'letGo'>, now: EpochMilliseconds): void {
    for (const [bound, amount] of Object.entries(letGo)) {
      if (amount > (this.#seen.get(bound)?.amount ?? 0)) this.#seen.set(bound, { amount, at: now })
    }
  }

  /** By the bound that was reached; nothing of those that never were. */
  get last(): NonNullable<LanesView['letGoLast']> {
    return Object.fromEntries([...this.#seen].map(([bound, { at }]) => [bound, at]))
  }
}
