import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { CounterReader } from '../../../agent/control/kernel-counters.ts'
import { RulesEngine } from '../../../rules/engine.ts'
import { ImaginedKernel } from '../../../rules/imagined-kernel.ts'
import type { KernelCounters } from '../../../rules/status.ts'

const NOW = 1_800_000_000_000

beforeEach(() => vi.useFakeTimers({ now: NOW }))
afterEach(() => vi.useRealTimers())

/** A kernel that takes so long to tell its counters. */
class SlowEngine extends RulesEngine {
  takes = 0
  reads = 0

  constructor() {
    super({ kernel: new ImaginedKernel({ clock: Date.now }), clock: Date.now })
  }

  override async counters(): Promise<KernelCounters> {
    this.reads++
    if (this.takes > 0) await new Promise((resolve) => setTimeout(resolve, this.takes))
    return super.counters()
  }
}

function reader() {
  const engine = new SlowEngine()
  const counters = new CounterReader({ engine, clock: Date.now, onRead: () => {} })
  return { engine, counters }
}

describe('the kernel’s counters', () => {
  it('are read again within seconds after a look that took 10 s, not after 200 s', async () => {
    const { engine, counters } = reader()
    engine.takes = 10_000
    void counters.refreshed()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(counters.latest?.at).toBe(NOW + 10_000)
    engine.takes = 0
    await vi.advanceTimersByTimeAsync(9_000)
    await counters.refreshed()
    expect(engine.reads).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    await counters.refreshed()
    expect([engine.reads, counters.latest?.at]).toEqual([2, NOW + 20_000])
  })

  it('that are slow to come keep nobody waiting', async () => {
    const { engine, counters } = reader()
    await counters.refreshed()
    await vi.advanceTimersByTimeAsync(60_000)
    engine.takes = 30_000
    let answer: number | undefined
    void counters.refreshed().then((read) => {
      answer = read?.at
    })
    await vi.advanceTimersByTimeAsync(1_900)
    expect(answer).toBeUndefined()
    await vi.advanceTimersByTimeAsync(100)
    // Those of before, which say how old they are.
    expect(answer).toBe(NOW)
    // The look goes on, and there is but one.
    void counters.refreshed()
    await vi.advanceTimersByTimeAsync(28_000)
    expect([engine.reads, counters.latest?.at]).toEqual([2, NOW + 90_000])
  })

  it('that are cheap are read once a second at most', async () => {
    const { engine, counters } = reader()
    for (let i = 0; i < 20; i++) {
      await counters.refreshed()
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(engine.reads).toBe(3)
  })
})
