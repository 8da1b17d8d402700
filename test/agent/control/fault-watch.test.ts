import { expect, it } from 'vitest'
import { changeFaults, type KnownFault } from '../../../agent/control/fault-changes.ts'
import { FaultWatch } from '../../../agent/control/fault-watch.ts'
import type { Fault } from '../../../agent/control/faults.ts'

const NOW = 1_800_000_000_000
const set = (packets: number): Fault => ({ key: 'full A', sentence: `A is full (${packets} packets).` })
const journal: Fault = { key: 'journal', sentence: 'The journal could not take 1 changes.' }

function watched() {
  let now = NOW
  const lines: string[] = []
  const log = {
    info: (_fields: unknown, sentence: string) => void lines.push(`info ${sentence}`),
    warn: (_fields: unknown, sentence: string) => void lines.push(`warn ${sentence}`),
  }
  const watch = new FaultWatch({ clock: () => now, log })
  const saw = (seconds: number, ...faults: readonly Fault[]) => {
    now = NOW + seconds * 1_000
    watch.saw(faults)
    return lines.splice(0)
  }
  return saw
}

it('logs a fault once when it appears and once when it is over, whatever it counts meanwhile', () => {
  const saw = watched()
  expect(saw(0)).toEqual([])
  expect(saw(1, set(1))).toEqual(['warn A is full (1 packets).'])
  expect(saw(2, set(2), journal)).toEqual(['warn The journal could not take 1 changes.'])
  expect(saw(3, journal)).toEqual([])
  // Full again soon after it was not: the same fault still.
  expect(saw(10, set(9), journal)).toEqual([])
  expect(saw(24, journal)).toEqual([])
  expect(saw(25, journal)).toEqual(['info It is over: A is full (1 packets).'])
  expect(saw(26, set(3), journal)).toEqual(['warn A is full (3 packets).'])
})

it('writes ten lines a second', () => {
  const many = Array.from({ length: 12 }, (_, i) => ({ key: `${i}`, sentence: `Fault ${i}.` }))
  expect(watched()(0, ...many)).toHaveLength(10)
})

it('bounds the text and the number of what it knows', () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ key: `${i}`, sentence: 'x'.repeat(1_000) }))
  const { known, appeared, ended } = changeFaults([], many, NOW)
  expect([known.length, appeared.length, ended.length]).toEqual([64, 64, 0])
  expect(known[0]).toEqual<KnownFault>({ key: '0', sentence: 'x'.repeat(500), seenAt: NOW })
})
