import { expect, it } from 'vitest'
import type { Verdict } from '../../agent/detect/verdict.ts'
import { LogGate } from '../../agent/host/log.ts'
import type { Decision } from '../../agent/journal/entries.ts'
import { VerdictIntake, type VerdictIntakeOptions } from '../../agent/verdict-intake.ts'
import type { Address, Prefix } from '../../registrar/net/address.ts'

const NOW = 1_000_000
const VERDICT: Verdict = {
  time: NOW,
  name: 'lockout',
  address: '198.51.100.7' as Address,
  port: null,
  action: 'block',
  scope: 'sip',
  grade: 'path',
  reason: 'R',
  evidence: { failures: 9 },
  duration: 60,
}
const DECISION: Decision = {
  id: 1,
  kind: 'block',
  target: { kind: 'prefix', prefix: '198.51.100.7/32' as Prefix },
  scope: 'sip',
  since: NOW,
  until: NOW + 60_000,
  by: 'lockout',
  who: null,
  grade: 'path',
  reason: 'R',
  evidence: {},
  endedAt: null,
  endedBy: null,
}

function stage({
  decided = { kind: 'made', decision: DECISION } as ReturnType<VerdictIntakeOptions['decisions']['decide']>,
  perSecond = 20,
} = {}) {
  const written: unknown[] = []
  const said: unknown[] = []
  const blocks: number[] = []
  const time = { now: NOW }
  const clock = () => time.now
  const say = (level: string) => (fields: object, sentence: string) =>
    said.push({ level, sentence, ...fields })
  const intake = new VerdictIntake({
    decisions: { decide: () => decided },
    journal: { recordVerdict: (verdict) => written.push(verdict) },
    clock,
    log: { info: say('info'), warn: say('warn') } as unknown as VerdictIntakeOptions['log'],
    gate: new LogGate({ perSecond, clock }),
    keep: (write) => write(),
    onBlock: (at) => blocks.push(at),
  })
  return { intake, written, said, blocks, time }
}

it('a verdict that is decided on is remembered by its source, said, and counted as a block', () => {
  const { intake, written, said, blocks } = stage()
  intake.take(VERDICT)
  const { address, duration, ...rest } = VERDICT
  expect(written).toEqual([{ ...rest, source: `${address}/32` }])
  expect(said).toEqual([
    {
      level: 'info',
      sentence: 'blocked',
      target: address,
      scope: 'sip',
      grade: 'path',
      until: NOW + duration * 1000,
      reason: 'R',
    },
  ])
  expect(blocks).toEqual([NOW])
})

it('a verdict about who is spared is remembered, and nothing more', () => {
  const { intake, written, said, blocks } = stage({ decided: { kind: 'none', why: 'allowed' } })
  intake.take(VERDICT)
  expect(written).toHaveLength(1)
  expect({ said, blocks }).toEqual({ said: [], blocks: [] })
})

it('an alert blocks nobody, and asks somebody to look', () => {
  const { intake, said, blocks } = stage({ decided: { kind: 'none', why: 'informs-only' } })
  intake.take({ ...VERDICT, action: 'alert' })
  expect(blocks).toEqual([])
  expect(said).toMatchObject([{ level: 'warn', sentence: 'look at this', alert: 'lockout', reason: 'R' }])
})

it('a storm of verdicts fills neither log nor journal, and what the log left out is said', () => {
  const { intake, written, said, blocks, time } = stage({ perSecond: 2 })
  for (let i = 0; i < 300; i++) intake.take(VERDICT)
  expect(written).toHaveLength(200)
  expect(said).toHaveLength(2)
  expect(blocks).toHaveLength(300)
  time.now += 1_000
  intake.take(VERDICT)
  expect(written).toHaveLength(201)
  expect(said.at(-1)).toMatchObject({ sentence: 'blocked', linesKeptBack: 298 })
})
