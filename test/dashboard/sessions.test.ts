import { expect, test } from 'vitest'
import { createLoginLimit } from '../../dashboard/api/login-limit.ts'
import { createSessionTable } from '../../dashboard/api/sessions.ts'

test('a full session table lets the oldest session go', () => {
  const sessions = createSessionTable({ now: () => 0, limit: 3 })
  const ids = [1, 2, 3, 4].map(() => sessions.open())
  expect(ids.map((id) => sessions.isOpen(id))).toEqual([false, true, true, true])
  expect(sessions.size).toBe(3)
})

test('ended sessions leave the table', () => {
  let time = 0
  const sessions = createSessionTable({ now: () => time })
  for (let i = 0; i < 10; i++) sessions.open()
  time = 12 * 3600_000
  sessions.open()
  expect(sessions.size).toBe(1)
})

test('a flood of addresses makes the limit forget the one that failed longest ago, not grow', () => {
  const limit = createLoginLimit({ now: () => 0, addresses: 2, perAddress: 1, overall: 1000 })
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) limit.failed(address)
  const kinds = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => limit.ask(address).kind)
  expect(kinds).toEqual(['try', 'wait', 'wait'])
})
