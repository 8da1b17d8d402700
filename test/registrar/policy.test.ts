import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Address,
  parseAddress,
  parsePrefix,
  type Source,
  sourcePrefixOf,
} from '../../registrar/net/address.ts'
import { DEFAULT_POLICY, type PolicySettings, RetryPolicy } from '../../registrar/policy.ts'

const T = 1_700_000_000_000
const at = (address: string, port = 5060): Source => ({ address: parseAddress(address) as Address, port })
const OFFICE = at('192.0.2.1', 1024)

function policyWith(settings: Partial<PolicySettings> = {}, capacity?: number): RetryPolicy {
  return new RetryPolicy({ settings: { ...DEFAULT_POLICY, ...settings }, ...(capacity ? { capacity } : {}) })
}

function fail(policy: RetryPolicy, times: number, account = '1001', source = OFFICE, when = T) {
  const outcomes = []
  for (let i = 0; i < times; i++) {
    outcomes.push(policy.recordFailure({ account, source, at: when + i * 1000, grade: 'path' }))
  }
  return outcomes
}

describe('RetryPolicy: suspension', () => {
  it('suspends at the sixth failure in a row, with its evidence', () => {
    const policy = policyWith()
    const outcomes = fail(policy, 6)
    expect(outcomes.slice(0, 5)).toEqual([1, 2, 3, 4, 5].map((failures) => ({ kind: 'none', failures })))
    expect(outcomes[5]).toEqual({
      kind: 'suspend',
      account: '1001',
      source: OFFICE,
      unit: 'account-address',
      prefix: '192.0.2.1/32',
      until: T + 5_000 + 180_000,
      grade: 'path',
      evidence: { account: '1001', failures: 6, accounts: 1, goodAccounts: 0, sinceMs: 5_000 },
    })
  })

  it('holds an account only, at its address only, for its time only', () => {
    const policy = policyWith()
    fail(policy, 6)
    const ask = (account: string, source: Source, now = T + 6_000, proven = false) =>
      policy.suspendedUntil({ account, source, now, proven })
    expect(ask('1001', OFFICE)).toBe(T + 185_000)
    expect(ask('1001', at('192.0.2.1', 9))).toBe(T + 185_000)
    expect(ask('1002', OFFICE)).toBeUndefined()
    expect(ask('1001', at('192.0.2.2', 1024))).toBeUndefined()
    expect(ask('1001', OFFICE, T + 185_000)).toBeUndefined()
    expect(fail(policy, 5, '1001', OFFICE, T + 200_000).map(({ kind }) => kind)).toEqual(
      Array(5).fill('none'),
    )
  })

  it('spares a phone of that account that is registered from another port, but not the one that failed', () => {
    const policy = policyWith()
    fail(policy, 6)
    const ask = (port: number) =>
      policy.suspendedUntil({ account: '1001', source: at('192.0.2.1', port), now: T + 6_000, proven: true })
    expect(ask(2048)).toBeUndefined()
    expect(ask(1024)).toBe(T + 185_000)
  })

  it('judges IPv6 by /64', () => {
    const policy = policyWith()
    for (let i = 1; i <= 6; i++) fail(policy, 1, '1001', at(`2001:db8::${i}`))
    const standing = { account: '1001', now: T + 1, proven: false }
    expect(policy.suspendedUntil({ ...standing, source: at('2001:db8::ffff:1') })).toBe(T + 180_000)
    expect(policy.suspendedUntil({ ...standing, source: at('2001:db8:0:1::1') })).toBeUndefined()
  })

  it.each([
    ['registerSuspend off', { registerSuspend: false }, 10, 'none'],
    ['another limit', { registerRetry: 3 }, 3, 'suspend'],
  ] as const)('%s', (_, settings, times, expected) => {
    expect(fail(policyWith(settings), times).at(-1)?.kind).toBe(expected)
  })

  it('forgets failures after an hour of peace', () => {
    const policy = policyWith()
    fail(policy, 5)
    expect(fail(policy, 1, '1001', OFFICE, T + 3_700_000)).toEqual([{ kind: 'none', failures: 1 }])
  })

  it('takes unproven failures against an unproven address and port only', () => {
    const policy = policyWith()
    const forged = { account: '1001', source: OFFICE, grade: 'packet' } as const
    for (let i = 0; i < 20; i++) policy.recordFailure({ ...forged, at: T + i, proven: true })
    expect(policy.stats.failing).toBe(0)
    const outcomes = Array.from({ length: 6 }, (_, i) => policy.recordFailure({ ...forged, at: T + i }))
    expect(outcomes[5]).toMatchObject({ kind: 'suspend', unit: 'account-port', grade: 'packet' })
    const standing = { account: '1001', now: T + 10, proven: false }
    expect(policy.suspendedUntil({ ...standing, source: OFFICE })).toBe(T + 5 + 180_000)
    expect(policy.suspendedUntil({ ...standing, source: at('192.0.2.1', 1025) })).toBeUndefined()
  })

  it('never locks an address out on unproven failures', () => {
    const policy = policyWith({ registerSuspend: false })
    for (let i = 0; i < 100; i++) {
      policy.recordFailure({ account: `${i}`, source: OFFICE, at: T + i, grade: 'packet' })
    }
    expect(policy.lockedOutUntil({ source: OFFICE, now: T + 100 })).toBeUndefined()
  })
})

describe('RetryPolicy: lockout', () => {
  it('locks an address out at the twentieth failure over any accounts', () => {
    const policy = policyWith()
    const outcomes = Array.from(
      { length: 20 },
      (_, i) => fail(policy, 1, `user${i}`, OFFICE, T + i * 1000)[0],
    )
    expect(outcomes.slice(0, 19).every((outcome) => outcome?.kind === 'none')).toBe(true)
    expect(outcomes[19]).toEqual({
      kind: 'lockout',
      prefix: '192.0.2.1/32',
      source: OFFICE,
      scope: 'sip',
      until: T + 19_000 + 3_600_000,
      grade: 'path',
      evidence: { lastAccount: 'user19', failures: 20, accounts: 20, goodAccounts: 0, sinceMs: 19_000 },
    })
    expect(policy.lockedOutUntil({ source: at('192.0.2.1', 1), now: T + 20_000 })).toBe(T + 3_619_000)
    expect(policy.lockedOutUntil({ source: at('192.0.2.2'), now: T + 20_000 })).toBeUndefined()
    expect(policy.lockedOutUntil({ source: OFFICE, now: T + 3_619_000 })).toBeUndefined()
  })

  it('counts within its window only', () => {
    const policy = policyWith({ registerSuspend: false })
    const outcomes = Array.from({ length: 60 }, (_, i) => fail(policy, 1, 'a', OFFICE, T + i * 31_000)[0])
    expect(outcomes.every((outcome) => outcome?.kind === 'none')).toBe(true)
  })

  it.each([
    ['an office with more good accounts than failing ones is spared', 30, 10, 'none'],
    ['a guesser with one good account of his own is not', 1, 3, 'lockout'],
    ['a phone with a wrong password is only ever suspended', 0, 1, 'none'],
    ['nor one who tries more accounts than are good', 5, 20, 'lockout'],
  ])('%s', (_, good, failing, expected) => {
    const policy = policyWith({ registerSuspend: false })
    for (let i = 0; i < good; i++) policy.recordSuccess({ account: `good${i}`, source: OFFICE, at: T })
    const kinds = Array.from(
      { length: 40 },
      (_, i) => fail(policy, 1, `bad${i % failing}`, OFFICE, T + i)[0]!.kind,
    )
    expect(kinds.includes('lockout')).toBe(expected === 'lockout')
  })
})

describe('RetryPolicy: release and bounds', () => {
  it('releases one account, or all that stands against a source', () => {
    const policy = policyWith()
    fail(policy, 6, 'a')
    fail(policy, 6, 'b')
    for (let i = 0; i < 20; i++) fail(policy, 1, `c${i}`)
    const prefix = sourcePrefixOf(OFFICE.address)
    expect(policy.release({ prefix: parsePrefix('192.0.2.9')! })).toEqual({ suspensions: 0, lockouts: 0 })
    expect(policy.release({ prefix, account: 'a' })).toEqual({ suspensions: 1, lockouts: 0 })
    expect(policy.suspendedUntil({ account: 'a', source: OFFICE, now: T, proven: false })).toBeUndefined()
    expect(policy.release({ prefix })).toEqual({ suspensions: 1, lockouts: 1 })
    expect(policy.stats).toMatchObject({ suspended: 0, lockedOut: 0 })
  })

  it('holds no more than its capacity and says what it let go', () => {
    const policy = policyWith({}, 10)
    for (let i = 0; i < 100; i++) fail(policy, 1, 'a', at(`198.51.100.${i}`))
    expect(policy.stats).toEqual({ failing: 10, suspended: 0, lockedOut: 0, sources: 10, letGo: 180 })
  })

  it('keeps no account name longer than it needs to', () => {
    const policy = policyWith()
    const long = 'x'.repeat(10_000)
    expect(fail(policy, 6, long).at(-1)?.kind).toBe('suspend')
  })
})

describe('RetryPolicy: whatever happens', () => {
  const sources = [at('192.0.2.1', 1), at('192.0.2.1', 2), at('192.0.2.2', 1), at('2001:db8::1', 1)]
  const step = fc.record({
    good: fc.boolean(),
    account: fc.constantFrom('a', 'b', 'c'),
    source: fc.constantFrom(...sources),
    gap: fc.integer({ min: 0, max: 60_000 }),
  })

  it('suspends an account at an address exactly after six failures in a row of just that account there', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const policy = policyWith({ block: { failures: 1_000_000, within: 1, for: 1 } })
        const counts = new Map<string, number>()
        let now = T
        for (const { good, account, source, gap } of steps) {
          now += gap
          const key = `${account}@${source.address}`
          if (good) {
            policy.recordSuccess({ account, source, at: now })
            counts.set(key, 0)
            continue
          }
          const outcome = policy.recordFailure({ account, source, at: now, grade: 'path' })
          const count = (counts.get(key) ?? 0) + 1
          expect(outcome.kind).toBe(count === 6 ? 'suspend' : 'none')
          counts.set(key, count === 6 ? 0 : count)
        }
      }),
    )
  })

  it('never touches a source that did not fail, nor an account that did not', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const policy = policyWith()
        for (const { account, source } of steps)
          policy.recordFailure({ account, source, at: T, grade: 'path' })
        const bystander = at('203.0.113.7', 1)
        expect(policy.lockedOutUntil({ source: bystander, now: T })).toBeUndefined()
        for (const account of ['a', 'b', 'c']) {
          expect(policy.suspendedUntil({ account, source: bystander, now: T, proven: false })).toBeUndefined()
        }
        for (const source of sources) {
          expect(policy.suspendedUntil({ account: 'd', source, now: T, proven: false })).toBeUndefined()
        }
      }),
    )
  })
})
