import { type CpuInfo, cpus } from 'node:os'
import systeminformation from 'systeminformation'

export interface HostFigures {
  /** Percent of all cores. */
  readonly cpu: number
  /** Bytes. */
  readonly memoryUsed: number
  readonly memoryTotal: number
}

/** Milliseconds of all cores since the host began. */
interface CoreTimes {
  readonly busy: number
  readonly all: number
}

let before: CoreTimes = { busy: 0, all: 0 }

/**
 * Processor load since the last call (at first: since the host began), and memory in use (what could be freed is not
 * counted). The load is not asked of systeminformation, which runs a shell for it and waits for that.
 */
export async function readHostFigures(): Promise<HostFigures> {
  const memory = await systeminformation.mem()
  const now = timesOf(cpus())
  const { busy, all } = { busy: now.busy - before.busy, all: now.all - before.all }
  before = now
  return {
    cpu: all > 0 ? Math.round((1_000 * busy) / all) / 10 : 0,
    memoryUsed: memory.active,
    memoryTotal: memory.total,
  }
}

function timesOf(cores: readonly CpuInfo[]): CoreTimes {
  let [idle, all] = [0, 0]
  for (const { times } of cores) {
    idle += times.idle
    all += times.user + times.nice + times.sys + times.idle + times.irq
  }
  return { busy: all - idle, all }
}
