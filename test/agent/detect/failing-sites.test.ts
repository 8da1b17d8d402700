import { describe, expect, it } from 'vitest'
import type { Prefix } from '../../../registrar/net/address.ts'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const DAY = 86_400_000
const network = (i: number, port = 5_060) =>
  source(`2001:db8:7:ab${(i % 256).toString(16).padStart(2, '0')}::1`, port)
const SITE = '2001:db8:7:ab00::/56'
const SHARED = { ...FORGED, answersItsChallenge: true } as const

describe('256 networks of one IPv6 site', () => {
  it.each([
    ['own nonces', WRONG],
    ['shared nonces', SHARED],
  ] as const)('with five accounts are suspended together, over %s', (_, wrong) => {
    const { exchange, verdicts } = stage()
    let until = 0
    let made = 0
    for (let i = 0; i < 20_000; i++) {
      const at = START + i * 90
      if (at < until) continue
      made++
      exchange(network(Math.floor(i / 6), 40_000 + i), at, { ...wrong, account: `${i % 5}` })
      const last = verdicts.filter(({ prefix }) => prefix !== undefined).at(-1)
      if (last) until = last.time + last.duration * 1_000
    }
    const whole = verdicts.filter(({ prefix }) => prefix === (SITE as Prefix))
    expect(whole[0]).toMatchObject({
      name: 'lockout',
      action: 'suspend',
      scope: 'register',
      port: null,
      duration: 180,
    })
    expect(whole.map(({ duration }) => duration)).toEqual([180, 360, 720, 1_440])
    expect(made).toBeLessThan(150)
  })

  it('with an account each are no phones when they are more than a site has', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 100; i++)
      exchange(network(Math.floor(i / 5)), START + i * 100, { ...WRONG, account: `${Math.floor(i / 5)}` })
    expect(verdicts.some(({ prefix }) => prefix === (SITE as Prefix))).toBe(true)
  })

  it.each([
    ['four phones with wrong passwords, a network each', 4, 0, false],
    ['a site where somebody registered five days ago', 256, 5, true],
  ] as const)('%s: nothing but each by itself', (_, networks, daysAgo, registered) => {
    const { exchange, verdicts } = stage()
    if (registered) exchange(network(200), START, RIGHT)
    for (let i = 0; i < 600; i++) {
      const which = i % networks
      exchange(network(which), START + daysAgo * DAY + 1 + i * 500, {
        ...WRONG,
        account: `${networks === 4 ? which : i % 5}`,
      })
    }
    expect(verdicts.filter(({ prefix }) => prefix !== undefined)).toEqual([])
  })

  it('over made-up nonces, which anybody can write, are nobody’s', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 2_000; i++) exchange(network(i), START + i * 50, { ...FORGED, account: `${i % 5}` })
    expect(verdicts.filter(({ prefix }) => prefix !== undefined)).toEqual([])
  })
})
