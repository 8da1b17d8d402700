import { expect, test } from 'vitest'
import { AnswerFigures } from '../../../agent/sensor/answer-figures.ts'

test('latencies are told as median and 99th percentile, silences and unmeasured answers are not among them', () => {
  const figures = new AnswerFigures()
  for (let i = 100; i >= 1; i--) figures.add({ outcome: 'success', answeredIn: i })
  figures.add({ outcome: 'challenge', answeredIn: null })
  figures.add({ outcome: 'silence', answeredIn: null })
  expect(figures.take()).toEqual({ answered: 100, silent: 1, latencyP50: 51, latencyP99: 100 })
  expect(figures.take()).toEqual({ answered: 0, silent: 0, latencyP50: null, latencyP99: null })
})

test('a storm of answers is measured by a bounded number of them', () => {
  const figures = new AnswerFigures()
  for (let i = 0; i < 1_000_000; i++) figures.add({ outcome: 'success', answeredIn: 3 })
  expect(figures.take()).toEqual({ answered: 1_000_000, silent: 0, latencyP50: 3, latencyP99: 3 })
})
