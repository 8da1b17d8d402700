import { describe, expect, it } from 'vitest'
import type { ExchangeEnded } from '../../../agent/observe/observation.ts'
import { RIGHT, START, source, stage } from './stage.ts'

const OWNER = source('192.0.2.7', 5062)
const THIEF = source('203.0.113.66', 5060)
const contact = (uri: string) => ({ contact: uri, expires: 3600 })
const OWN: Partial<ExchangeEnded> = {
  ...RIGHT,
  userAgent: 'Yealink T46',
  bindings: [contact('sip:1001@192.0.2.7:5062')],
}
const TAKEN: Partial<ExchangeEnded> = {
  ...RIGHT,
  userAgent: 'evil',
  bindings: [contact('sip:1001@203.0.113.66')],
}

describe('a live binding that is replaced', () => {
  function takeOver(taken: Partial<ExchangeEnded> = TAKEN, by = THIEF) {
    const staged = stage()
    staged.exchange(OWNER, START, OWN)
    staged.exchange(by, START + 60_000, taken)
    return staged
  }

  it('from another network by another device raises an alert when the old phone speaks again', () => {
    const { exchange, verdicts } = takeOver()
    expect(verdicts).toEqual([])
    exchange(OWNER, START + 90_000, {})
    expect(verdicts).toMatchObject([
      {
        name: 'hijack',
        action: 'alert',
        grade: 'account',
        address: '203.0.113.66',
        port: 5060,
        evidence: {
          account: '1001@example.com',
          from: '192.0.2.7:5062',
          to: '203.0.113.66:5060',
          userAgentBefore: 'Yealink T46',
          userAgentNow: 'evil',
          seconds: 30,
        },
      },
    ])
  })

  it('is told when the old phone calls, too, and told once', () => {
    const { detector, exchange, verdicts } = takeOver()
    for (let i = 0; i < 5; i++) {
      detector.observe({ kind: 'sip', time: START + 70_000 + i * 60_000, source: OWNER })
      exchange(OWNER, START + 75_000 + i * 60_000, OWN)
      exchange(THIEF, START + 78_000 + i * 60_000, TAKEN)
    }
    expect(verdicts.map(({ name }) => name)).toEqual(['hijack'])
  })

  it.each([
    ['by the same device, which roams', { ...TAKEN, userAgent: 'Yealink T46' }, THIEF],
    ['in its own network', TAKEN, source('192.0.99.9')],
    ['by a second phone beside it', { ...TAKEN, bindings: [...OWN.bindings!, ...TAKEN.bindings!] }, THIEF],
  ])('%s is no hijack', (_, taken, by) => {
    const { exchange, verdicts } = takeOver(taken, by)
    exchange(OWNER, START + 90_000, {})
    expect(verdicts).toEqual([])
  })

  it('while the old phone is silent, or long after its registration ended, is none', () => {
    const { exchange, verdicts } = takeOver()
    exchange(source('192.0.2.7', 6_000), START + 90_000, { account: '2002@example.com' })
    exchange(OWNER, START + 4_000_000, {})
    expect(verdicts).toEqual([])
  })
})
