import { expect, test } from 'vitest'
import {
  secondsToGo,
  showCount,
  showKey,
  showRate,
  showScope,
  showTimeLeft,
} from '../../dashboard/web/format.ts'

test.each([
  [0, '0'],
  [20_114, '20,114'],
  [9_999_999, '9,999,999'],
  [12_345_678, '12.3 M'],
  [45_600_000_000, '45.6 G'],
])('the count %i is shown as %s', (value, shown) => expect(showCount(value)).toBe(shown))

test.each([
  [0, '0'],
  [0.25, '0.3'],
  [9, '9'],
  [9.96, '10'],
  [61.4, '61'],
  [81_000, '81,000'],
])('the rate %d is shown as %s', (value, shown) => expect(showRate(value)).toBe(shown))

test.each([
  [-5, '0s'],
  [0.2, '1s'],
  [59.5, '1m 00s'],
  [3599.1, '1h 00m'],
  [3660, '1h 01m'],
  [90_000, '1d 01h'],
  [8_640_000, '100d 00h'],
])('%d seconds left are shown as %s', (seconds, shown) => expect(showTimeLeft(seconds)).toBe(shown))

test.each([
  ['block', 'register', 'REGISTER'],
  ['block', 'sip', 'All SIP'],
  ['suspend', 'register', 'Suspended'],
] as const)('a %s of scope %s is called %s', (kind, scope, shown) => {
  expect(showScope({ kind, scope })).toBe(shown)
})

test.each([
  ['registersInWindow', 'registers in window'],
  ['user-agent', 'user agent'],
  ['aor', 'aor'],
])('the key %s reads %s', (key, shown) => expect(showKey(key)).toBe(shown))

test.each([
  [null, undefined],
  [10_400, 10],
  [1000, 1],
  [500, 1],
])('what ends at %s has %s seconds to go at 1000', (until, seconds) => {
  expect(secondsToGo({ until }, 1000)).toBe(seconds)
})
