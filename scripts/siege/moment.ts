import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import type { SiegeGuard } from './guards/guard.ts'
import type { ProcessFigures } from './guards/processes.ts'
import { Ringfence } from './guards/ringfence.ts'
import { type MachineTimes, machineTimes } from './machine.ts'
import type { Program } from './program.ts'
import { type Arrived, arrivedAt } from './softswitch.ts'
import type { SiegeStage } from './stage.ts'

/** What the guard and the machine were like at a moment. */
export interface Moment {
  readonly time: number
  readonly arrived: Arrived
  readonly machine: MachineTimes
  /** Ringfence's own word; null for others. */
  readonly status: StatusSnapshot | null
  /** Of each of the guard's kinds of process; null without a guard. */
  readonly figures: Readonly<Record<string, ProcessFigures>> | null
  /** Packets that each rule has dropped. */
  readonly drops: Readonly<Record<string, number>> | null
}

export async function momentOf(
  stage: SiegeStage,
  softswitch: Program,
  guard: SiegeGuard | null,
): Promise<Moment> {
  const status = guard instanceof Ringfence ? await guard.status() : null
  return {
    time: performance.now(),
    arrived: arrivedAt(softswitch),
    machine: machineTimes(await stage.pids()),
    status,
    figures: guard?.figures() ?? null,
    drops: guard ? await guard.dropsByRule() : null,
  }
}
