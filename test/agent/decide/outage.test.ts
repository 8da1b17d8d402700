import { describe, expect, it } from 'vitest'
import { type AskedInVain, nextOutage, sayOutage } from '../../../agent/decide/outage.ts'

const asked = (changes: Partial<AskedInVain> = {}): AskedInVain => ({
  since: 100_000,
  lastAt: 110_000,
  phones: 40,
  addresses: [],
  ...changes,
})

describe('an outage', () => {
  it.each<{ name: string; seen: AskedInVain | null; now: number; is: boolean }>([
    { name: 'several phones for ten seconds', seen: asked(), now: 110_000, is: true },
    { name: 'several phones for nine', seen: asked(), now: 109_000, is: false },
    {
      name: 'one phone for ten seconds, which may ask what nobody answers',
      seen: asked({ phones: 1 }),
      now: 111_000,
      is: false,
    },
    {
      name: 'one phone that asked once, and then no more',
      seen: asked({ phones: 1, lastAt: 100_000 }),
      now: 900_000,
      is: false,
    },
    {
      name: 'one phone that asks for half a minute',
      seen: asked({ phones: 1, lastAt: 131_500 }),
      now: 132_000,
      is: true,
    },
    { name: 'nobody', seen: null, now: 900_000, is: false },
    { name: 'a clock that was set back', seen: asked(), now: 50_000, is: false },
  ])('of $name: $is', ({ seen, now, is }) => {
    expect(nextOutage(null, { answeredAt: 99_000, asked: seen }, now) !== null).toBe(is)
  })

  it('stands until anything is answered, and counts who asks meanwhile', () => {
    const before = { since: 100_000, phones: 40 }
    const stays = (silence: Parameters<typeof nextOutage>[1]) => nextOutage(before, silence, 200_000)
    expect(stays({ answeredAt: 99_000, asked: asked({ phones: 160 }) })).toEqual({
      since: 100_000,
      phones: 160,
    })
    expect(stays({ answeredAt: null, asked: null })).toBe(before)
    expect(stays({ answeredAt: 199_990, asked: null })).toBeNull()
  })

  it('is said with how long and how many', () => {
    expect(sayOutage({ since: 0, phones: 1 }, 31_400)).toBe(
      'The softswitch has answered nobody for 31 s, though 1 registered phone asks: look whether it runs.',
    )
  })
})
