import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LaneEvidence } from '../../../agent/detect/lane-evidence.ts'
import { LaneBatch, type LaneReport } from '../../../agent/sensor/lane-batch.ts'
import type { Address, Prefix } from '../../../registrar/net/address.ts'

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

const source = (i: number) => ({ address: `10.0.${i >> 8}.${i & 255}` as Address, port: 5060 })
const answered = (i: number): LaneEvidence => ({ kind: 'answered', at: i, source: source(i), own: true })
const registered = (i: number, until = 1): LaneEvidence => ({
  kind: 'registered',
  at: 0,
  account: 'a',
  source: source(i),
  transport: 'udp',
  until,
})

function stage() {
  const reports: LaneReport[] = []
  const batch = new LaneBatch({ clock: () => Date.now(), report: (report) => reports.push(report) })
  return { batch, reports }
}

describe('lane evidence', () => {
  it('is told at once, and what follows within 25 ms together', () => {
    const { batch, reports } = stage()
    batch.add(answered(1))
    expect(reports).toEqual([{ evidence: [answered(1)], dropped: 0 }])
    for (let i = 2; i < 10; i++) batch.add(answered(i))
    vi.advanceTimersByTime(24)
    expect(reports).toHaveLength(1)
    vi.advanceTimersByTime(1)
    expect(reports[1]!.evidence).toHaveLength(8)
    vi.advanceTimersByTime(1_000)
    expect(reports).toHaveLength(2)
  })

  it('is at most forty messages a second, whatever comes', () => {
    const { batch, reports } = stage()
    for (let i = 0; i < 5_000; i++) {
      batch.add(answered(i))
      vi.advanceTimersByTime(1)
    }
    expect(reports.length).toBeLessThanOrEqual(201)
    batch.flush()
    expect(reports.flatMap(({ evidence }) => evidence)).toHaveLength(5_000)
  })

  it('is the last word about a source: what it said before is let go', () => {
    const { batch, reports } = stage()
    batch.add(answered(0))
    for (let i = 0; i < 100; i++) batch.add(registered(7, i))
    const gone: LaneEvidence = {
      kind: 'unregistered',
      at: 0,
      account: 'a',
      source: source(7),
      transport: 'udp',
    }
    batch.add(registered(8))
    batch.add(gone)
    batch.flush()
    expect(reports[1]!.evidence).toEqual([registered(8), gone])
  })

  it('has a bound, counted; what anybody can cause takes no room from registrations', () => {
    const { batch, reports } = stage()
    batch.add(answered(0))
    for (let i = 0; i < 30_000; i++) {
      batch.add(answered(i))
      batch.add({ kind: 'ignoring', at: 0, source: `10.1.${i >> 8}.${i & 255}/32` as Prefix })
    }
    for (let i = 0; i < 3_000; i++) batch.add(registered(i))
    batch.flush()
    expect(reports[1]!.evidence.filter(({ kind }) => kind === 'registered')).toHaveLength(3_000)
    expect(reports[1]!.evidence).toHaveLength(4_000)
    expect(reports[1]!.dropped).toBe(59_000)
    batch.add(answered(1))
    batch.flush()
    expect(reports[2]!.dropped).toBe(0)
  })
})
