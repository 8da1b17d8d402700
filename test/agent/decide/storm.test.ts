import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../../agent/config/read-config.ts'
import { type BaselineHour, type Expected, expectedAt } from '../../../agent/decide/baseline.ts'
import type { AskedInVain } from '../../../agent/decide/outage.ts'
import { StormAccounts } from '../../../agent/decide/storm-accounts.ts'
import {
  nextWeather,
  peacefulSince,
  type WeatherName,
  type WeatherSecond,
  type WeatherState,
} from '../../../agent/decide/weather.ts'
import { policyUnder } from '../../../agent/decide/weather-policy.ts'

const SECOND = 1_000
const HOUR = 3_600_000
const START = Date.UTC(2026, 0, 5)
const TOTAL = 2_000

/** What is usual where so many phones register every `expires` seconds: a challenge and a success each. */
function usualOf(phones: number, expires: number) {
  return { registers: (2 * phones) / expires, successes: phones / expires, share: 0.5, endpoints: phones }
}

function learnt(phones: number, expires: number): Expected {
  const hours: BaselineHour[] = Array.from({ length: 3 * 168 }, (_, i) => ({
    hour: START - (i + 1) * HOUR,
    minutes: 60,
    newSources: 0,
    ...usualOf(phones, expires),
  }))
  return expectedAt(hours, START)
}

const LEARNING: Expected = { kind: 'learning', hours: 3 }

/** A softswitch with its phones, second by second; says each change of state. */
class Town {
  readonly phones: number
  readonly quiet: Partial<WeatherSecond>
  readonly expected: Expected
  now = START
  weather: WeatherState = peacefulSince(START)
  said: string[] = []
  answeredAt: number | null = null
  asked: AskedInVain | null = null

  constructor({ phones = 2_000, expires = 300, isLearnt = true } = {}) {
    this.phones = phones
    const { registers, successes } = usualOf(phones, expires)
    this.quiet = { registers, answered: registers, successes, returned: successes * 30, unknownRegisters: 0 }
    this.expected = isLearnt ? learnt(phones, expires) : LEARNING
  }

  seconds(
    count: number,
    changes: Partial<WeatherSecond> | ((i: number) => Partial<WeatherSecond>) = {},
  ): this {
    for (let i = 0; i < count; i++) {
      this.now += SECOND
      const second = {
        time: this.now,
        seconds: 1,
        registers: 0,
        unknownRegisters: 0,
        answered: 0,
        successes: 0,
        returned: 0,
        phones: this.phones,
        ...this.quiet,
        lowerBounds: false,
        arrivals: null,
        ...(typeof changes === 'function' ? changes(i) : changes),
      }
      const silence = this.#silence(second)
      this.#next({ now: this.now, second: { sightedRegisters: second.registers, silence, ...second } })
    }
    return this
  }

  /** The sensor says nothing. */
  silence(count: number): this {
    for (let i = 0; i < count; i++) {
      this.now += SECOND
      this.#next({ now: this.now })
    }
    return this
  }

  /** Who is no stranger is registered, and our rules let him through. */
  #silence({ answered, registers, unknownRegisters }: Omit<WeatherSecond, 'silence' | 'sightedRegisters'>) {
    if (answered > 0) {
      this.answeredAt = this.now
      this.asked = null
    } else if (registers > unknownRegisters) {
      const phones = (this.asked?.phones ?? 0) + Math.ceil(registers - unknownRegisters)
      const since = this.asked?.since ?? this.now - SECOND
      this.asked = { since, lastAt: this.now, phones, addresses: [] }
    }
    return { answeredAt: this.answeredAt, asked: this.asked }
  }

  get state(): WeatherName {
    return this.weather.state
  }

  #next(seen: Parameters<typeof nextWeather>[2]): void {
    const before = this.weather.state
    this.weather = nextWeather(this.weather, { expected: this.expected, total: TOTAL }, seen)
    if (this.weather.state !== before)
      this.said.push(`${Math.round((this.now - START) / SECOND)}: ${this.weather.state}`)
  }
}

/** 20,000 sources, 4 a second each, of which the softswitch answers what it can. */
const BOTNET = { registers: 80_000, unknownRegisters: 80_000, answered: 4_000, successes: 0.5 }
/** The addresses of customers, which are in no lane of strangers. */
const FORGED_CUSTOMERS = { registers: 50_000, unknownRegisters: 0, answered: 3_000, successes: 1 }
const DEAD = { answered: 0, successes: 0, returned: 0 }

describe('an attack', () => {
  it.each([
    { name: 'of a botnet', attack: BOTNET },
    {
      name: 'of a botnet that the kernel keeps away, while every phone is served',
      attack: { registers: 80_013, unknownRegisters: 80_000 },
    },
    {
      name: 'of one source',
      attack: { registers: 290_000, unknownRegisters: 5, answered: 3_000, successes: 0 },
    },
    { name: 'with the addresses of customers', attack: FORGED_CUSTOMERS },
    {
      name: 'of guessers',
      attack: { registers: 500, unknownRegisters: 480, answered: 500, successes: 6 },
    },
  ])('$name is seen within seconds and over a minute after', ({ attack }) => {
    const town = new Town().seconds(600)
    town.seconds(120, attack).seconds(300)
    const seen = town.said.map((change) => change.split(': ')[1])
    expect(seen).toEqual(['attack', 'peace'])
    const [began, ended] = town.said.map((change) => Number.parseInt(change, 10))
    expect(began! - 600).toBeLessThanOrEqual(12)
    expect(ended! - 720).toBeLessThanOrEqual(75)
    expect(ended! - 720).toBeGreaterThanOrEqual(55)
  })

  it('says its figures', () => {
    const { weather } = new Town().seconds(30).seconds(15, BOTNET)
    expect(weather.why).toMatch(
      /^[\d,]+ REGISTERs a second \(usual at this hour: 13, up to 40\), and 0 % of them succeed\.$/,
    )
    expect(weather.figures).toMatchObject({ usualShare: 0.5, phones: 2_000 })
  })

  it('is none while answers are not seen: then the share of successes says nothing', () => {
    expect(new Town().seconds(60).seconds(600, { ...BOTNET, sightedRegisters: 0 }).said).toEqual([])
  })

  it('is judged by what strangers may send while nothing is learnt', () => {
    const town = () => new Town({ isLearnt: false }).seconds(60)
    expect(town().seconds(60, BOTNET).state).toBe('attack')
    expect(town().seconds(60, { ...BOTNET, registers: 1_900, unknownRegisters: 1_900 }).state).toBe('peace')
  })

  it('is not over for a pause of some seconds, nor for ever where the sensor dies', () => {
    const town = new Town().seconds(60)
    for (let i = 0; i < 20; i++) town.seconds(20, BOTNET).seconds(30)
    expect(town.said).toHaveLength(1)
    expect(town.silence(70).state).toBe('peace')
  })

  it('is not held up by a clock that is set back', () => {
    const town = new Town().seconds(600).seconds(30, BOTNET)
    town.now -= 500 * SECOND
    town.seconds(75)
    expect(town.state).toBe('peace')
    expect(town.weather.since).toBeLessThanOrEqual(town.now)
  })

  it('does not begin while the sensor says nothing', () => {
    expect(new Town().seconds(60).seconds(2, BOTNET).silence(60).said).toEqual([])
  })
})

describe('what is no attack', () => {
  it('a quiet day, with chance', () => {
    const town = new Town()
    let random = 1
    const chance = () => {
      random = (random * 48_271) % 2_147_483_647
      return random / 2_147_483_647
    }
    town.seconds(86_400, () => {
      const successes = Math.round(6.7 * (0.4 + 1.2 * chance()))
      const registers = successes * 2 + Math.round(3 * chance())
      return { successes, registers, answered: registers, returned: 150 + Math.round(100 * chance()) }
    })
    expect(town.said).toEqual([])
  })

  it('an office of 200 phones of 2,000 whose power comes back', () => {
    const office = { registers: 60, answered: 60, successes: 27, returned: 400 }
    expect(new Town().seconds(60).seconds(20, office).seconds(200).said).toEqual([])
  })

  it('an office of 200 phones that are all there are: they come back, and nobody is blocked', () => {
    const town = new Town({ phones: 200, expires: 3_600 }).seconds(60)
    town.seconds(15, (i) => ({ registers: 80, answered: 40, successes: 13, returned: 14 * (i + 1) }))
    expect(town.said).toEqual([expect.stringMatching(/recovery/)])
    town.seconds(30, { returned: 200 }).seconds(120)
    expect(town.said.map((change) => change.split(': ')[1])).toEqual(['recovery', 'peace'])
  })

  it('phones that send more than usual, and succeed', () => {
    const busy = { registers: 400, answered: 400, successes: 190, returned: 700 }
    const town = new Town().seconds(60).seconds(300, busy)
    expect(town.said.some((change) => change.includes('attack'))).toBe(false)
  })
})

describe('a recovery', () => {
  /** 20,000 phones that the softswitch forgets for five minutes: more and more of them try, and try again. */
  const outage = (town: Town) =>
    town.seconds(60).seconds(300, (i) => ({ ...DEAD, registers: 70 + Math.min(4_000, i * 14) }))
  /** Then it answers 4,000 REGISTERs a second, and a third of them are successes. */
  const back = (town: Town, changes: Partial<WeatherSecond> = {}) =>
    town.seconds(18, (i) => ({
      registers: 9_000 - i * 400,
      answered: 4_000,
      successes: 1_150,
      returned: Math.min(20_000, 1_150 * (i + 1)),
      ...changes,
    }))

  it.each([{ isLearnt: true }, { isLearnt: false }])(
    'of 20,000 phones after an outage is seen at once, and never taken for an attack (learnt: $isLearnt)',
    ({ isLearnt }) => {
      const town = back(outage(new Town({ phones: 20_000, expires: 600, isLearnt })))
      expect(town.said.map((change) => change.split(': ')[1])).toEqual(['recovery'])
      expect(Number.parseInt(town.said[0]!, 10) - 360).toBeLessThanOrEqual(5)
      expect(town.weather.why).toMatch(
        /^[\d,]+ known accounts registered within half a minute after the softswitch had answered nobody\.$/,
      )
      town.seconds(30, { returned: 20_000 }).seconds(120)
      expect(town.state).toBe('peace')
    },
  )

  it('is not made by an outage alone', () => {
    expect(outage(new Town({ phones: 20_000, expires: 600 })).said).toEqual([])
  })

  it('is not made by the addresses of customers without their passwords', () => {
    const town = outage(new Town({ phones: 20_000, expires: 600 }))
    town.seconds(60, { ...FORGED_CUSTOMERS, returned: 1 })
    expect(town.state).toBe('attack')
    expect(new Town({ phones: 500 }).seconds(60).seconds(60, FORGED_CUSTOMERS).state).toBe('attack')
  })

  it('is not made by one account that registers again and again', () => {
    const town = new Town({ phones: 200 }).seconds(60)
    town.seconds(300, { registers: 900, unknownRegisters: 500, answered: 900, successes: 100, returned: 21 })
    expect(town.state).toBe('attack')
  })

  it('does not hide a flood that goes on beside it', () => {
    const town = outage(new Town({ phones: 20_000, expires: 600 }))
    back(town, { registers: 80_000, unknownRegisters: 70_000 })
    expect(town.state).toBe('attack')
    // When the flood is over, those who still come back are seen.
    back(town)
    expect(town.state).toBe('recovery')
  })

  it('gives way to a flood that begins in it', () => {
    const town = back(outage(new Town({ phones: 20_000, expires: 600 }))).seconds(20, BOTNET)
    expect(town.state).toBe('attack')
  })

  it('ends after a quarter of an hour, and whoever fakes it waits ten minutes', () => {
    const town = new Town({ phones: 200, expires: 3_600 }).seconds(60)
    // The passwords of forty customers are known to somebody.
    const faked = { registers: 100, answered: 100, successes: 40, returned: 40 }
    town.seconds(3_600, faked)
    const at = town.said.map((change) => Number.parseInt(change, 10))
    expect(town.said.map((change) => change.split(': ')[1])).toEqual([
      'recovery',
      'peace',
      'recovery',
      'peace',
      'recovery',
    ])
    expect(at[1]! - at[0]!).toBe(900)
    expect(at[2]! - at[1]!).toBe(600)
  })
})

describe('a flood and an outage', () => {
  /** 160 phones that register every few minutes, on a host that has not learnt yet. */
  const town = () =>
    new Town({ phones: 160, isLearnt: false }).seconds(60, {
      registers: 2,
      answered: 2,
      successes: 1,
      returned: 12,
    })
  /** Forged, and the kernel drops them: what strangers are not let through to nobody answers. */
  const FLOOD = { registers: 4_000, unknownRegisters: 4_000, ...DEAD }
  const asUsual = { registers: 8, answered: 8, successes: 4, returned: 30 }
  const down = { ...DEAD, registers: 40 }
  const storm = { registers: 60, answered: 60, successes: 28, returned: 140 }

  it('a flood that the kernel drops is no outage, and phones that register as usual after it are no recovery', () => {
    const flooded = town().seconds(16, FLOOD)
    expect(flooded.weather).toMatchObject({ outage: null, outageSeen: Number.NEGATIVE_INFINITY })
    flooded.seconds(45, { registers: 1, answered: 1, successes: 0, returned: 0 }).seconds(60, asUsual)
    expect(flooded.said.filter((change) => change.includes('recovery'))).toEqual([])
  })

  it('nor is one beside which nobody at all registers', () => {
    expect(town().seconds(600, FLOOD).weather.outage).toBeNull()
  })

  it('an outage after a flood is one, and its phones come back as a recovery', () => {
    const later = town().seconds(16, FLOOD).seconds(90, asUsual).seconds(16, down)
    expect(later.weather.outage).toMatchObject({ since: later.now - 16 * SECOND, phones: 640 })
    later.seconds(6, storm)
    expect(later.weather).toMatchObject({ state: 'recovery', outage: null })
    expect(later.weather.why).toMatch(/after the softswitch had answered nobody\.$/)
  })

  it('an outage during a flood is seen, and the phones come back as a recovery when the flood is over', () => {
    const both = town().seconds(16, { ...FLOOD, registers: 4_040 })
    expect(both.weather.outage).toMatchObject({ phones: 640 })
    both.seconds(20, {
      registers: 4_060,
      unknownRegisters: 4_000,
      answered: 60,
      successes: 28,
      returned: 140,
    })
    expect(both.state).toBe('attack')
    expect(both.weather.outage).toBeNull()
    expect(both.seconds(12, storm).state).toBe('recovery')
  })

  it('a recovery that somebody made does not keep the phones of an outage waiting', () => {
    const faked = new Town({ phones: 200, expires: 3_600 }).seconds(60)
    // The passwords of forty customers are known to somebody.
    faked.seconds(930, { registers: 100, answered: 100, successes: 40, returned: 40 })
    expect(faked.said.map((change) => change.split(': ')[1])).toEqual(['recovery', 'peace'])
    faked.seconds(16, down).seconds(6, storm)
    expect(faked.state).toBe('recovery')
  })

  it('is not hidden by a sensor that begins anew, which has seen no answer yet', () => {
    const dead = town().seconds(16, down)
    dead.answeredAt = null
    dead.asked = null
    expect(dead.seconds(30, { registers: 0, ...DEAD }).weather.outage).not.toBeNull()
    expect(dead.seconds(1, storm).weather.outage).toBeNull()
  })
})

describe('the figures of an attack', () => {
  it('are of the seconds since it began, not thinned by those before', () => {
    const { weather } = new Town()
      .seconds(60)
      .seconds(5, { ...BOTNET, registers: 8_000, unknownRegisters: 8_000 })
    expect(weather).toMatchObject({
      state: 'attack',
      figures: { registers: 8_000, answered: 4_000, seconds: 5 },
    })
    expect(weather.why).toMatch(/^8,000 REGISTERs a second/)
  })

  it('say that they are lower bounds, and what the kernel counted', () => {
    const sample = { ...BOTNET, registers: 973, unknownRegisters: 973, lowerBounds: true, arrivals: 10_012 }
    const { weather } = new Town().seconds(60).seconds(5, sample)
    expect(weather.figures).toMatchObject({ atLeast: true, arrivals: 10_012 })
    expect(weather.why).toMatch(/^At least 973 REGISTERs of 10,012 packets a second \(usual/)
  })
})

describe('the state', () => {
  it('is one of three whatever comes, and holds no more than ten seconds', () => {
    const second = fc.record({
      registers: fc.nat(300_000),
      unknownRegisters: fc.nat(300_000),
      answered: fc.nat(5_000),
      successes: fc.nat(5_000),
      sightedRegisters: fc.constantFrom(0, 1_000),
      returned: fc.nat(70_000),
    })
    fc.assert(
      fc.property(fc.array(second, { maxLength: 120 }), (seconds) => {
        const town = new Town()
        for (const each of seconds) {
          town.seconds(1, each)
          expect(['peace', 'attack', 'recovery']).toContain(town.state)
          expect(town.weather.recent.length).toBeLessThanOrEqual(10)
          if (town.weather.figures.share === null) expect(town.weather.attackSince).toBeNull()
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('the policy', () => {
  const policyOf = (text: string) => {
    const reading = readConfig(`protect: { interfaces: [eth0] }\n${text}`, { file: 'F' })
    if (reading.kind === 'refused') throw new Error('bad configuration')
    return reading.config.policy
  }

  it.each([
    { state: 'peace', text: '', retry: 6, time: 180, informs: undefined },
    { state: 'attack', text: '', retry: 3, time: 900, informs: undefined },
    { state: 'recovery', text: '', retry: 6, time: 180, informs: true },
    {
      state: 'attack',
      text: 'policy: { registerRetry: 2, registerSuspendTime: 1h, attack: { registerRetry: 5 } }',
      retry: 2,
      time: 3_600,
      informs: undefined,
    },
    {
      state: 'attack',
      text: 'policy: { attack: { registerRetry: 1, registerSuspendTime: 30m } }',
      retry: 1,
      time: 1_800,
      informs: undefined,
    },
  ] as const)('in $state, of "$text"', ({ state, text, retry, time, informs }) => {
    const policy = policyUnder(state, policyOf(text))
    expect([policy.registerRetry, policy.registerSuspendTime, policy.flood.informs]).toEqual([
      retry,
      time,
      informs,
    ])
    expect(policy.block).toEqual(policyOf(text).block)
  })
})

describe('accounts that come back', () => {
  it('are counted once each, for half a minute, and within a bound', () => {
    const accounts = new StormAccounts(30_000)
    for (let i = 0; i < 1_000; i++) accounts.registered(`${i % 10}@a`, i)
    expect(accounts.count(1_000)).toBe(10)
    expect(accounts.count(30_995)).toBe(4)
    expect(accounts.count(40_000)).toBe(0)
    for (let i = 0; i < 70_000; i++) accounts.registered(`${i}@b`, 50_000)
    expect(accounts.count(50_000)).toBeLessThanOrEqual(65_536)
    expect(accounts.count(50_000)).toBeGreaterThan(65_000)
  })
})
