import { expect, it } from 'vitest'
import { OtherBackend } from '../../agent/other-backend.ts'
import { KernelError } from '../../rules/kernel.ts'
import type { RulesStatus } from '../../rules/status.ts'

const STATUS: RulesStatus = {
  state: 'pending',
  backend: 'iptables-legacy',
  lastAppliedAt: null,
  pendingChanges: 1,
  lastError: null,
  full: [],
  repairs: { count: 0, lastAt: null, last: null, contestedUntil: null },
}

function stage(answers: (readonly string[] | KernelError)[]) {
  let status = STATUS
  const log: string[] = []
  const say = (_fields: unknown, sentence: string) => log.push(sentence)
  let asked = 0
  const other = new OtherBackend({
    engine: { status: () => status },
    remove: async () => {
      const answer = answers[asked++]!
      if (answer instanceof KernelError) throw answer
      return answer
    },
    log: { info: say, warn: say },
  })
  return {
    other,
    log,
    asked: () => asked,
    apply: () => {
      status = { ...STATUS, state: 'applied' }
    },
  }
}

it('chains of the other kind go when our own are in place, once', async () => {
  const { other, log, asked, apply } = stage([['RINGFENCE (IPv4)']])
  await other.clear()
  await other.retry()
  expect(asked()).toBe(0)
  apply()
  await Promise.all([other.clear(), other.clear()])
  await other.retry()
  expect(asked()).toBe(1)
  expect(log).toEqual(['our chains of the other kind of iptables, of before, were removed'])
})

it('what is refused is tried again with the minute, and said once', async () => {
  const refusal = new KernelError('refused', 'It is locked.')
  const { other, log, asked, apply } = stage([refusal, refusal, []])
  apply()
  await other.clear()
  await other.clear()
  expect(asked()).toBe(1)
  await other.retry()
  await other.retry()
  await other.retry()
  expect(asked()).toBe(3)
  expect(log).toEqual([
    'our chains of the other kind of iptables, if there are any, cannot be removed: It is locked.',
  ])
})
