import { describe, expect, it } from 'vitest'
import { prefixOfAddress } from '../../../registrar/net/address.ts'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** So many phones registered behind one address, each from its port. */
function office(address: string, phones: number, at = START) {
  const stageOf = stage()
  for (let i = 0; i < phones; i++)
    stageOf.exchange(source(address, 20_000 + i), at + i, { ...RIGHT, account: `${1000 + i}@example.com` })
  return stageOf
}

describe('200 phones and a guesser behind one address', () => {
  it('his port is suspended when he stays at it, over one account or over many', () => {
    const one = office('192.0.2.50', 200)
    for (let i = 0; i < 6; i++)
      one.exchange(source('192.0.2.50', 40_000), START + 1_000 + i, { ...WRONG, account: 'x' })
    expect(one.measures()).toEqual(['suspend 192.0.2.50:40000'])

    const many = office('192.0.2.50', 200)
    for (let i = 0; i < 20; i++)
      many.exchange(source('192.0.2.50', 40_000), START + 1_000 + i, { ...WRONG, account: `x${i}` })
    expect(many.measures()).toEqual(['suspend 192.0.2.50:40000'])
    expect(many.verdicts[0]?.reason).toBe('20 failed registrations over 20 accounts from port 40000')
  })

  it('hopping from port to port, his ports are suspended one by one until they are more than phones can have', () => {
    const { exchange, verdicts, measures } = office('192.0.2.50', 200)
    for (let port = 40_000; port < 40_200; port++) {
      for (let i = 0; i < 6; i++)
        exchange(source('192.0.2.50', port), START + (port - 40_000) * 1_200 + i * 200, {
          ...WRONG,
          account: 'x',
        })
    }
    const ofAll = verdicts.filter(({ action, port }) => action === 'suspend' && port === null)
    expect(ofAll[0]).toMatchObject({ scope: 'register', grade: 'path', duration: 180 })
    expect(ofAll[0]!.reason).toContain(
      'ports that are not registered are suspended, registered ones stay served',
    )
    expect(Math.abs(measures().indexOf('suspend 192.0.2.50') - 64)).toBeLessThan(4)
    const ofPorts = verdicts.filter(({ action, port }) => action === 'suspend' && port !== null)
    expect(ofPorts.every(({ port }) => port! >= 40_000)).toBe(true)
  })

  it('the admin is told of one who spreads his guesses over ports, accounts and hours', () => {
    const { exchange, verdicts, measures } = office('192.0.2.50', 200)
    for (let i = 0; i < 100; i++)
      exchange(source('192.0.2.50', 40_000 + i), START + MINUTE + i * 20_000, {
        ...WRONG,
        account: `x${i % 50}`,
      })
    expect(measures()).toEqual([])
    const slow = verdicts.filter(({ name }) => name === 'slow-guessing')
    expect(slow.map(({ action }) => action)).toEqual(['limit'])
    expect(slow[0]?.reason).toContain('look for a guesser among the phones of this address')
  })

  it('a phone with a wrong password is suspended as the policy says, its neighbours never notice', () => {
    const { exchange, verdicts } = office('192.0.2.50', 200)
    const bad = source('192.0.2.50', 30_000)
    // baresip: 16 REGISTERs in 6 ms, then quiet for 50 s, for a day.
    for (let at = START + 1_000; at < START + 24 * HOUR; at += 50_000) {
      for (let i = 0; i < 16; i++) exchange(bad, at + i / 3, { ...WRONG, account: '9@example.com' })
      if (at % HOUR < 50_000) {
        for (let i = 0; i < 200; i++)
          exchange(source('192.0.2.50', 20_000 + i), at + 100, {
            ...RIGHT,
            account: `${1000 + i}@example.com`,
          })
      }
    }
    expect(new Set(verdicts.map(({ name, action, port }) => `${name} ${action} ${port}`))).toEqual(
      new Set(['retry-limit suspend 30000']),
    )
  })
})

describe('a small office', () => {
  it.each([
    ['udp', 'three phones with wrong passwords are suspended, their five neighbours never notice'],
    ['tcp', 'the same over TCP, with a new connection for each try'],
  ] as const)('over %s: %s', (transport, _) => {
    const { exchange, verdicts } = office('192.0.2.50', 5)
    let connection = 0
    for (let at = START + 1_000; at < START + 4 * HOUR; at += 50_000) {
      for (let phone = 0; phone < 3; phone++) {
        for (let i = 0; i < 16; i++) {
          const port = transport === 'udp' ? 30_000 + phone : 30_000 + (connection++ % 30_000)
          exchange(source('192.0.2.50', port), at + i, {
            ...WRONG,
            transport,
            account: `bad${phone}@example.com`,
          })
        }
      }
      if (at % (HOUR / 2) < 50_000) {
        for (let i = 0; i < 5; i++)
          exchange(source('192.0.2.50', 20_000 + i), at + 100, {
            ...RIGHT,
            account: `${1000 + i}@example.com`,
          })
      }
    }
    const measures = verdicts.filter(({ action }) => action === 'suspend' || action === 'block')
    expect(measures.length).toBeGreaterThan(100)
    expect(measures.filter(({ port }) => port === null || port < 30_000)).toEqual([])
  })
})

describe('a guesser who owns one good account', () => {
  const ADDRESS = '203.0.113.66'

  function guess(tries: number, account: (i: number) => string, everyMs = 200) {
    const staged = office(ADDRESS, 1)
    let suspendedUntil = 0
    let made = 0
    for (let i = 0; i < tries; i++) {
      const at = START + 1_000 + i * everyMs
      // What the kernel drops is never refused by the softswitch. The registered port stays served throughout.
      if (at < suspendedUntil) continue
      made++
      staged.exchange(source(ADDRESS, 30_000 + (i % 30_000)), at, { ...WRONG, account: account(i) })
      const last = staged.verdicts.filter(({ port, action }) => port === null && action === 'suspend').at(-1)
      if (last) suspendedUntil = last.time + last.duration * 1000
    }
    return { ...staged, made }
  }

  it('is stopped with a new port and a new account for every try', () => {
    const { made, measures, verdicts } = guess(36_000, (i) => `user${i}`)
    // Two hours at five a second.
    expect(made).toBe(60)
    expect(new Set(measures())).toEqual(new Set([`suspend ${ADDRESS}`]))
    const durations = (name: string) =>
      verdicts.filter((verdict) => verdict.name === name).map(({ duration }) => duration)
    expect(durations('retry-limit')).toEqual([180, 360, 720])
    // The sixtieth failure is slow guessing too.
    expect(durations('slow-guessing')).toEqual([14_400])
    expect(verdicts[0]?.reason).toBe(
      '20 failed registrations from 20 ports, though 1 account is registered here: ports that are not registered are suspended, registered ones stay served',
    )
  })

  it('is slowed to the policy’s pace on one account, and a success of his own account helps him nothing', () => {
    const { exchange, verdicts, measures } = office(ADDRESS, 1)
    for (let port = 30_000; port < 30_003; port++) {
      for (let i = 0; i < 6; i++) {
        exchange(source(ADDRESS, port), START + port + i * 10, { ...WRONG, account: 'victim' })
        exchange(source(ADDRESS, 20_000), START + port + i * 10 + 5, {
          ...RIGHT,
          account: '1000@example.com',
        })
      }
    }
    expect(measures()).toEqual([`suspend ${ADDRESS}:30000`, `suspend ${ADDRESS}:30001`, `suspend ${ADDRESS}`])
    expect(verdicts.at(-1)).toMatchObject({ scope: 'register', grade: 'path', duration: 180 })
  })

  it('or two, and hammers one account, is slowed to it as well', () => {
    const { exchange, measures } = office(ADDRESS, 2)
    for (let port = 30_000; port < 30_010; port++) {
      for (let i = 0; i < 6; i++)
        exchange(source(ADDRESS, port), START + port + i * 10, { ...WRONG, account: 'victim' })
    }
    expect(measures()).toContain(`suspend ${ADDRESS}`)
  })

  it('is stopped just the same where he changes his address within an IPv6 /64', () => {
    const { exchange, measures } = stage()
    exchange(source('2001:db8:1:2::1'), START, RIGHT)
    for (let i = 0; i < 20; i++)
      exchange(source(`2001:db8:1:2::${(i + 16).toString(16)}`), START + 1_000 + i, {
        ...WRONG,
        account: `user${i}`,
      })
    expect(measures()).toEqual(['suspend 2001:db8:1:2::23'])
  })

  it('and guesses from his registered port loses that port', () => {
    const { exchange, measures } = office(ADDRESS, 1)
    for (let i = 0; i < 20; i++)
      exchange(source(ADDRESS, 20_000), START + 1_000 + i, { ...WRONG, account: `user${i}` })
    expect(measures()).toEqual([`suspend ${ADDRESS}:20000`])
  })

  it('just after a restart, when nobody knows who is good there, costs a port alone', () => {
    const { detector, exchange, measures } = stage()
    detector.sources.known(prefixOfAddress(source(ADDRESS).address), START, START + HOUR, 200)
    for (let i = 0; i < 60; i++)
      exchange(source(ADDRESS, 30_000 + i), START + i, { ...WRONG, account: `user${i}` })
    expect(measures().filter((measure) => !measure.includes(':'))).toEqual([])
  })
})

describe('forged failures', () => {
  const CUSTOMER = source('198.51.100.9', 5060)

  it('over made-up nonces never suspend a port of somebody who registered within days', () => {
    for (const [gone, port] of [
      [10, 5060],
      [2 * HOUR, 5060],
      [2 * HOUR, 5099],
      [5 * 24 * HOUR, 5060],
    ] as const) {
      const { exchange, verdicts } = stage()
      exchange(CUSTOMER, START, RIGHT)
      for (let i = 0; i < 100; i++)
        exchange(source(CUSTOMER.address, port), START + gone + i, { ...FORGED, account: `${i % 4}` })
      expect(verdicts).toEqual([])
    }
  })

  it('suspend a stranger’s port, which nobody needs', () => {
    const { exchange, measures } = stage()
    for (let i = 0; i < 6; i++) exchange(CUSTOMER, START + i, FORGED)
    expect(measures()).toEqual(['suspend 198.51.100.9:5060'])
  })

  it('make no address out of a port: what a new customer mistypes afterwards costs his port alone', () => {
    const { exchange, measures } = stage()
    for (let port = 7_000; port < 7_010; port++) {
      for (let i = 0; i < 6; i++)
        exchange(source(CUSTOMER.address, port), START + i, { ...FORGED, account: `${port}` })
    }
    for (let i = 0; i < 6; i++) exchange(CUSTOMER, START + 100 + i, WRONG)
    expect(measures().at(-1)).toBe('suspend 198.51.100.9:5060')
  })

  it('over a nonce that everybody was given suspend another port, and never the registered one', () => {
    const { exchange, measures } = stage()
    exchange(CUSTOMER, START, RIGHT)
    const shared = { ...FORGED, answersItsChallenge: true }
    for (let i = 0; i < 100; i++) exchange(CUSTOMER, START + i, shared)
    expect(measures()).toEqual([])
    for (let i = 0; i < 6; i++) exchange(source(CUSTOMER.address, 7777), START + i, shared)
    expect(measures()).toEqual(['suspend 198.51.100.9:7777'])
    // However many ports: the address has a registration.
    for (let port = 8_000; port < 8_020; port++) {
      for (let i = 0; i < 6; i++) exchange(source(CUSTOMER.address, port), START + port + i, shared)
    }
    expect(measures().filter((measure) => !measure.includes(':'))).toEqual([])
  })

  it('a stale nonce is none, however often', () => {
    const { exchange, verdicts } = stage()
    for (let i = 0; i < 100; i++) exchange(CUSTOMER, START + i, { ...WRONG, outcome: 'stale' })
    expect(verdicts).toEqual([])
  })
})

describe('an SBC with many accounts', () => {
  function sbc(vias: number, port: (i: number) => number) {
    const staged = stage()
    for (let i = 0; i < 40; i++)
      staged.exchange(source('192.0.2.200', port(i)), START + i, { ...RIGHT, account: `${i}@sbc`, vias })
    return staged
  }

  it.each([
    ['by one port', 1, () => 5060],
    ['by the Vias of its phones', 2, (i: number) => 5060 + i],
  ] as const)('is recognised %s', (_, vias, port) => {
    const { detector } = sbc(vias, port)
    const record = detector.sources.find(source('192.0.2.200').address)!
    expect(detector.behind(record, START + MINUTE)).toEqual({ aggregator: true, accounts: 40 })
  })

  it('is no office, whose phones have a port each', () => {
    const { detector } = sbc(1, (i) => 20_000 + i)
    const record = detector.sources.find(source('192.0.2.200').address)!
    expect(detector.behind(record, START + MINUTE)).toEqual({ aggregator: false, accounts: 40 })
  })

  it('its failing accounts only inform, whatever they do', () => {
    const { exchange, measures, verdicts } = sbc(2, () => 5060)
    for (let i = 0; i < 1_000; i++)
      exchange(source('192.0.2.200', 5060), START + 1_000 + i * 1_000, {
        ...WRONG,
        account: `bad${i % 25}@sbc`,
      })
    for (let i = 0; i < 100; i++)
      exchange(source('192.0.2.200', 5060), START + i, {
        outcome: 'refused',
        status: 404,
        account: `none${i}@sbc`,
      })
    expect(measures()).toEqual([])
    expect(new Set(verdicts.map(({ action }) => action))).toEqual(new Set(['limit']))
  })

  it('known from before a restart, its port is not suspended for a failing account before its others came back', () => {
    const { detector, exchange, measures } = stage()
    detector.sources.known(prefixOfAddress(source('192.0.2.200').address), START, START + HOUR, 40)
    for (let i = 0; i < 6; i++) exchange(source('192.0.2.200'), START + i, { ...WRONG, account: 'bad@sbc' })
    expect(measures()).toEqual([])
  })
})
