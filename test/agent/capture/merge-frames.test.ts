import { Buffer } from 'node:buffer'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FrameMerge } from '../../../agent/capture/merge-frames.ts'

const frame = (time: number, text = '') => ({
  time,
  linkType: 1,
  bytes: Buffer.from(text),
  originalLength: text.length,
})

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function merge() {
  const handedOn: number[] = []
  const texts: string[] = []
  const merged = new FrameMerge({
    onFrame: ({ time, bytes }) => {
      handedOn.push(time)
      texts.push(bytes.toString())
    },
    now: () => Date.now(),
  })
  return { merged, handedOn, texts }
}

test('an answer that is handed over before its request follows it', () => {
  const { merged, handedOn } = merge()
  merged.take(frame(1_002))
  vi.advanceTimersByTime(15)
  merged.take(frame(1_001))
  merged.take(frame(1_003))
  expect(handedOn).toEqual([])
  vi.advanceTimersByTime(30)
  expect(handedOn).toEqual([1_001, 1_002])
  vi.advanceTimersByTime(30)
  expect(handedOn).toEqual([1_001, 1_002, 1_003])
})

test('bytes that are written over meanwhile were copied', () => {
  const { merged, texts } = merge()
  const bytes = Buffer.from('REGISTER')
  merged.take({ ...frame(1), bytes })
  bytes.fill(0)
  merged.flush()
  expect(texts).toEqual(['REGISTER'])
})

test('too many are not held: the oldest go on before their time, and are counted', () => {
  const { merged, handedOn } = merge()
  for (let i = 0; i < 10_000; i++) merged.take(frame(i))
  expect(merged.releasedEarly).toBeGreaterThan(5_000)
  merged.flush()
  expect(handedOn).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
})
