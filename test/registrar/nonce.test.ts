import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Address, parseAddress } from '../../registrar/net/address.ts'
import { NonceIssuer } from '../../registrar/nonce.ts'
import { NonceWindow } from '../../registrar/nonce-window.ts'

const HERE = parseAddress('192.0.2.1') as Address
const THERE = parseAddress('2001:db8::1') as Address
const NOW = 1_700_000_000_000

describe('NonceIssuer', () => {
  const issuer = new NonceIssuer({ lifetime: 60_000 })

  it('knows its own nonce, for its address, for its lifetime', () => {
    const nonce = issuer.issue(HERE, NOW)
    expect(nonce).toMatch(/^[\w-]{36}$/)
    expect([0, 60_000, 60_001].map((later) => issuer.check(nonce, HERE, NOW + later))).toEqual([
      { kind: 'own', issuedAt: NOW },
      { kind: 'own', issuedAt: NOW },
      { kind: 'expired' },
    ])
    expect(issuer.check(nonce, THERE, NOW)).toEqual({ kind: 'foreign' })
    expect(new NonceIssuer({ lifetime: 60_000 }).check(nonce, HERE, NOW)).toEqual({ kind: 'foreign' })
  })

  it('does not let nonces live on when the clock is set back', () => {
    expect(issuer.check(issuer.issue(HERE, NOW + 3_600_000), HERE, NOW)).toEqual({ kind: 'expired' })
  })

  it('never issues one nonce twice, not even within a millisecond', () => {
    expect(new Set(Array.from({ length: 1_000 }, () => issuer.issue(HERE, NOW))).size).toBe(1_000)
  })

  it('takes no nonce that was changed anywhere', () => {
    const nonce = issuer.issue(HERE, NOW)
    fc.assert(
      fc.property(
        fc.nat(35),
        fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= '),
        (at, char) => {
          const changed = nonce.slice(0, at) + char + nonce.slice(at + 1)
          return changed === nonce || issuer.check(changed, HERE, NOW).kind === 'foreign'
        },
      ),
    )
    for (const text of ['', 'x', nonce.slice(1), `${nonce}A`])
      expect(issuer.check(text, HERE, NOW).kind).toBe('foreign')
  })
})

describe('NonceWindow', () => {
  const window = (capacity = 100) => new NonceWindow({ lifetime: 60_000, capacity })
  const use = (w: NonceWindow, count: number, nonce = 'n', issuedAt = NOW) =>
    w.use({ nonce, issuedAt, count }, NOW)

  it.each([
    ['counting up', [1, 2, 3], [true, true, true]],
    ['the same again', [1, 1], [true, false]],
    ['late by a few', [5, 3, 4, 3], [true, true, true, false]],
    ['late by too many', [100, 70, 69], [true, true, false]],
    ['after a leap', [1, 0xffff_ffff, 1, 0xffff_fffe], [true, true, false, true]],
    ['without a count, once', [0, 0], [true, false]],
    ['without a count, then with', [0, 1], [true, false]],
    ['with a count, then without', [1, 0], [true, false]],
  ])('%s', (_, counts, expected) => {
    const w = window()
    expect(counts.map((count) => use(w, count))).toEqual(expected)
  })

  it('accepts every count at most once, and any order within its span', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 120 }), (counts) => {
        const w = window()
        const seen = new Set<number>()
        let highest = 0
        for (const count of counts) {
          const expected = !seen.has(count) && count >= highest - 30
          expect(use(w, count)).toBe(expected)
          if (!expected) continue
          seen.add(count)
          highest = Math.max(highest, count)
        }
      }),
    )
  })

  it('opens nothing to replay when it is full: what it forgets counts as used', () => {
    const w = window(2)
    expect([use(w, 1, 'a', NOW), use(w, 1, 'b', NOW + 1), use(w, 1, 'c', NOW + 2)]).toEqual([
      true,
      true,
      true,
    ])
    expect(w.stats).toEqual({ size: 2, letGo: 1 })
    expect(use(w, 1, 'a', NOW)).toBe(false)
    expect(use(w, 1, 'never-used', NOW)).toBe(false)
    expect(use(w, 2, 'b', NOW + 1)).toBe(true)
    expect(use(w, 1, 'fresh', NOW + 3)).toBe(true)
  })

  it('forgets for nothing what is too old to be used', () => {
    const w = window(1)
    w.use({ nonce: 'a', issuedAt: NOW, count: 1 }, NOW)
    w.use({ nonce: 'b', issuedAt: NOW + 60_001, count: 1 }, NOW + 60_001)
    expect(w.stats).toEqual({ size: 1, letGo: 0 })
  })
})
