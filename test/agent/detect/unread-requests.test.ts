import { describe, expect, it } from 'vitest'
import { RIGHT, START, source, stage } from './stage.ts'

const HIDING = source('203.0.113.66', 5_066)
const PHONE = source('198.51.100.7', 5_060)
const OTHER = source('198.51.100.8', 5_060)

/** Two phones that register as phones do, so that it is known that REGISTERs pass here. */
function withPhone() {
  const hands = stage()
  for (const phone of [PHONE, OTHER]) {
    hands.register(phone, START)
    hands.exchange(phone, START + 1, {})
    hands.register(phone, START + 2)
    hands.exchange(phone, START + 3, RIGHT)
  }
  return hands
}

describe('challenges to REGISTERs that nobody saw', () => {
  it('block a stranger from registering, and no sooner than twenty', () => {
    const hands = withPhone()
    for (let i = 0; i < 19; i++) hands.exchange(HIDING, START + i * 100, {})
    expect(hands.said()).toEqual([])
    for (let i = 19; i < 60; i++) hands.exchange(HIDING, START + i * 100, {})
    expect(hands.actions()).toEqual([
      {
        name: 'malformed',
        action: 'block',
        scope: 'register',
        address: HIDING.address,
        port: null,
        grade: 'packet',
      },
    ])
  })

  it('cut the connection over TCP', () => {
    const hands = withPhone()
    for (let i = 0; i < 60; i++) hands.exchange(HIDING, START + i * 100, { transport: 'tcp' })
    expect(hands.actions()).toEqual([
      {
        name: 'malformed',
        action: 'block',
        scope: 'sip',
        address: HIDING.address,
        port: 5_066,
        grade: 'path',
      },
    ])
  })

  it('only alert about an address where somebody registered, since they can be forged', () => {
    const hands = withPhone()
    for (let i = 0; i < 60; i++) hands.exchange(PHONE, START + 10 + i * 100, {})
    expect(hands.said()).toEqual([`malformed: alert ${PHONE.address}`])
  })

  it('say nothing of who registers in the end, of who is seen to ask, or where nobody is seen to', () => {
    const comes = withPhone()
    for (let i = 0; i < 60; i++) comes.exchange(HIDING, START + i * 100, i % 10 === 9 ? RIGHT : {})
    expect(comes.said()).toEqual([])
    const asks = withPhone()
    for (let i = 0; i < 60; i++) {
      asks.register(HIDING, START + i * 1_000)
      asks.exchange(HIDING, START + i * 1_000 + 1, {})
    }
    expect(asks.said()).toEqual([])
    const elsewhere = stage()
    for (let i = 0; i < 60; i++)
      for (const phone of [HIDING, PHONE]) elsewhere.exchange(phone, START + i * 1_000, {})
    expect(elsewhere.said()).toEqual([])
  })
})
