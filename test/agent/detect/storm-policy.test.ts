import { expect, it } from 'vitest'
import { Detector } from '../../../agent/detect/detector.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import { POLICY } from '../policy.ts'

const START = 1_700_000_000_000

function stage() {
  const verdicts: Verdict[] = []
  const detector = new Detector({ policy: POLICY, onVerdict: (verdict) => verdicts.push(verdict) })
  const source = (address: string): Source => ({ address: address as Address, port: 5_062 })
  const fail = (address: string, time: number) =>
    detector.observe({
      kind: 'exchange',
      time,
      source: source(address),
      serverPort: 5_060,
      transport: 'udp',
      account: '1001@example.com',
      outcome: 'failure',
      status: 401,
      answeredIn: 1,
      userAgent: '',
      bindings: [],
      grade: 'path',
      withCredentials: true,
      answersItsChallenge: true,
      grantedExpires: 0,
    })
  const register = (address: string, time: number) =>
    detector.observe({
      kind: 'register',
      time,
      source: source(address),
      transport: 'udp',
      account: '1001@example.com',
      userAgent: '',
      answersOwnNonce: false,
      answersChallenge: false,
      answersSentNonce: false,
    })
  return { detector, verdicts, fail, register }
}

it('suspends sooner and longer while a tighter policy holds, and not after', () => {
  const { detector, verdicts, fail } = stage()
  detector.configure({ ...POLICY, registerRetry: 3, registerSuspendTime: 900 })
  for (let i = 0; i < 3; i++) fail('203.0.113.7', START + i * 1_000)
  expect(verdicts).toMatchObject([{ name: 'retry-limit', action: 'suspend', duration: 900 }])
  detector.configure(POLICY)
  for (let i = 0; i < 5; i++) fail('203.0.113.8', START + i * 1_000)
  expect(verdicts).toHaveLength(1)
  fail('203.0.113.8', START + 5_000)
  expect(verdicts[1]).toMatchObject({ name: 'retry-limit', action: 'suspend', duration: 180 })
})

it('blocks nobody for a rate while phones come back all at once, and does so again after', () => {
  const { detector, verdicts, register } = stage()
  detector.configure({ ...POLICY, flood: { ...POLICY.flood, informs: true } })
  for (let i = 0; i < 300; i++) register('203.0.113.7', START + i * 10)
  expect(verdicts).toMatchObject([{ name: 'register-flood', action: 'limit' }])
  expect(verdicts[0]!.reason).toBe(
    '100 REGISTERs in 10s, while phones come back all at once: limited, not blocked',
  )
  // It is still read, so that it can register.
  expect(detector.countFlood('203.0.113.7' as Address, START + 3_000)).toBe(false)
  detector.configure(POLICY)
  for (let i = 0; i < 300; i++) register('203.0.113.7', START + 20_000 + i * 10)
  expect(verdicts.at(-1)).toMatchObject({ name: 'register-flood', action: 'block' })
})
