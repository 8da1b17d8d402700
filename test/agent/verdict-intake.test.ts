import { expect, it } from 'vitest'
import type { Verdict } from '../../agent/detect/verdict.ts'
import { LogGate } from '../../agent/host/log.ts'
import type { Decision } from '../../agent/journal/entries.ts'
import { VerdictIntake, type VerdictIntakeOptions } from '../../agent/verdict-intake.ts'
import { WorthALook } from '../../agent/worth-a-look.ts'
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
  const looks = new WorthALook()
  const intake = new VerdictIntake({
    looks,
    decisions: { decide: () => decided },
    journal: { recordVerdict: (verdict) => written.push(verdict) },
    clock,
    log: { info: say('info'), warn: say('warn') } as unknown as VerdictIntakeOptions['log'],
    gate: new LogGate({ perSecond, clock }),
    keep: (write) => write(),
    onBlock: (at) => blocks.push(at),
  })
  return { intake, looks, written, said, blocks, time }
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

const LIMITED: Verdict = {
  ...VERDICT,
  name: 'slow-guessing',
  action: 'limit',
  reason: '60 failures in a day',
}
const INFORMS = { decided: { kind: 'none', why: 'informs-only' } } as const

it('a guesser that is only limited is said once an hour, and listed with how often', () => {
  const { intake, looks, said, time } = stage(INFORMS)
  for (const after of [0, 60_000, 3_599_000, 3_600_000]) {
    time.now = NOW + after
    intake.take({ ...LIMITED, time: time.now })
  }
  expect(said).toMatchObject([
    { level: 'warn', sentence: 'look at this', limit: 'slow-guessing', reason: '60 failures in a day' },
    { level: 'warn', sentence: 'look at this', limit: 'slow-guessing' },
  ])
  expect(looks.latest(time.now)).toEqual({
    count: 1,
    first: [
      {
        time: NOW + 3_600_000,
        source: '198.51.100.7',
        name: 'slow-guessing',
        action: 'limit',
        times: 4,
        reason: '60 failures in a day',
      },
    ],
  })
  expect(looks.latest(time.now + 3_600_000)).toEqual({ count: 0, first: [] })
})

it.each(['register-flood', 'account-scan', 'malformed'] as const)(
  'a limit of %s is the business of the kernel alone',
  (name) => {
    const { intake, looks, said, written } = stage(INFORMS)
    intake.take({ ...LIMITED, name })
    expect([said, looks.latest(NOW).count, written.length]).toEqual([[], 0, 1])
  },
)

it('lists alerts and limits apart, with their ports, the latest first and ten at most', () => {
  const { intake, looks } = stage(INFORMS)
  for (let i = 0; i < 12; i++)
    intake.take({ ...LIMITED, address: `198.51.100.${i}` as Address, time: NOW + i })
  intake.take({ ...LIMITED, action: 'alert', name: 'account-guessed', port: 5062, time: NOW + 20 })
  const { count, first } = looks.latest(NOW + 20)
  expect([count, first.length]).toEqual([13, 10])
  expect(first.slice(0, 2)).toMatchObject([
    { source: '198.51.100.7:5062', action: 'alert', times: 1 },
    { source: '198.51.100.11', action: 'limit' },
  ])
})

it('what the gate kept back is said with the next one', () => {
  const { intake, said, time } = stage({ ...INFORMS, perSecond: 1 })
  intake.take(LIMITED)
  intake.take({ ...LIMITED, address: '198.51.100.8' as Address })
  time.now += 1_000
  intake.take({ ...LIMITED, address: '198.51.100.8' as Address, time: time.now })
  expect(said).toMatchObject([{ address: '198.51.100.7' }, { address: '198.51.100.8', linesKeptBack: 1 }])
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
