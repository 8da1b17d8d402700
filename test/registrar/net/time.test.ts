import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration, showDuration } from '../../../registrar/net/time.ts'

test.each([
  ['0', 0],
  ['90', 90],
  ['90s', 90],
  ['10m', 600],
  ['1h30m', 5_400],
  ['7d', 604_800],
  ['2w', 1_209_600],
  ['1w2d3h4m5s', 788_645],
])('reads the duration %s as %d s', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds)
})

test.each([
  '',
  ' 90',
  '90 s',
  '-1',
  '+1',
  '1.5h',
  '1e3',
  'm',
  '10x',
  '10M',
  '1h30',
  '10ms',
  '99999999999',
  '1h\n',
])('reads no duration in %j', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

test.each([
  [0, '0s'],
  [-5, '0s'],
  [0.4, '0s'],
  [59.6, '1m'],
  [60, '1m'],
  [599, '9m 59s'],
  [5_400, '1h 30m'],
  [5_401, '1h 30m'],
  [86_401, '1d 1s'],
  [1_209_600, '14d'],
])('shows %d s as %s', (seconds, text) => {
  expect(showDuration(seconds)).toBe(text)
})

test('what is shown of whole minutes below a day reads back', () => {
  fc.assert(
    fc.property(fc.nat(1_439), (minutes) => {
      expect(parseDuration(showDuration(minutes * 60).replace(' ', ''))).toBe(minutes * 60)
    }),
  )
})
