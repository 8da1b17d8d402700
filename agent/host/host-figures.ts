import systeminformation from 'systeminformation'

export interface HostFigures {
  /** Percent of all cores. */
  readonly cpu: number
  /** Bytes. */
  readonly memoryUsed: number
  readonly memoryTotal: number
}

/** Processor load since the last call, and memory in use (what could be freed is not counted). */
export async function readHostFigures(): Promise<HostFigures> {
  const [load, memory] = await Promise.all([systeminformation.currentLoad(), systeminformation.mem()])
  return {
    cpu: Math.round(load.currentLoad * 10) / 10,
    memoryUsed: memory.active,
    memoryTotal: memory.total,
  }
}
