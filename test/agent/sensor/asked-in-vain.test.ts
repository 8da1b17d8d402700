import { describe, expect, it } from 'vitest'
import { AskedInVain } from '../../../agent/sensor/asked-in-vain.ts'
import type { Address } from '../../../registrar/net/address.ts'

const phone = (i: number) => ({ address: `10.1.0.${i}` as Address, port: 5_060 })
const SEEN = { wasAllSeen: true }

describe('registered phones that nobody answers', () => {
  it('are counted since the last answer to anybody, once each, a second after they asked', () => {
    const asked = new AskedInVain()
    asked.asked(phone(1), 1_000, 900)
    asked.asked(phone(2), 1_200, 900)
    asked.asked(phone(1), 1_500, 900)
    expect(asked.take({ ...SEEN, answeredAt: 900 })).toEqual({ answeredAt: 900, asked: null })
    asked.asked(phone(3), 2_100, 900)
    expect(asked.take({ ...SEEN, answeredAt: 900 }).asked).toEqual({
      since: 1_000,
      lastAt: 1_500,
      phones: 2,
      addresses: ['10.1.0.1', '10.1.0.2'],
    })
    expect(asked.take({ ...SEEN, answeredAt: 900 }).asked).toMatchObject({
      since: 1_000,
      lastAt: 2_100,
      phones: 3,
    })
  })

  it('are none any more with one answer, whoever it is for', () => {
    const asked = new AskedInVain()
    asked.asked(phone(1), 1_000, null)
    asked.take({ ...SEEN, answeredAt: null })
    expect(asked.take({ ...SEEN, answeredAt: 2_500 })).toEqual({ answeredAt: 2_500, asked: null })
    asked.asked(phone(2), 3_000, 2_500)
    asked.asked(phone(3), 3_100, 3_050)
    asked.take({ ...SEEN, answeredAt: 3_050 })
    expect(asked.take({ ...SEEN, answeredAt: 3_050 }).asked).toMatchObject({ since: 3_100, phones: 1 })
  })

  it('do not count in a second of which frames were lost: the answers may be among them', () => {
    const asked = new AskedInVain()
    asked.asked(phone(1), 1_000, 900)
    asked.take({ answeredAt: 900, wasAllSeen: false })
    asked.asked(phone(2), 2_000, 900)
    asked.take({ ...SEEN, answeredAt: 900 })
    expect(asked.take({ ...SEEN, answeredAt: 900 }).asked).toMatchObject({ since: 2_000, phones: 1 })
  })

  it('are bounded', () => {
    const asked = new AskedInVain()
    for (let i = 0; i < 40_000; i++) {
      asked.asked({ address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` as Address, port: 1 }, i, 0)
      if (i % 10_000 === 0) asked.take({ ...SEEN, answeredAt: 0 })
    }
    asked.take({ ...SEEN, answeredAt: 0 })
    const told = asked.take({ ...SEEN, answeredAt: 0 }).asked!
    expect(told.phones).toBe(16_384)
    expect(told.addresses.length).toBeLessThanOrEqual(8)
  })
})
