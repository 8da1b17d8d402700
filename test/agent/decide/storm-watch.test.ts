import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readConfig } from '../../../agent/config/read-config.ts'
import { viewWeather } from '../../../agent/control/weather-view.ts'
import { type WatchedSecond, WeatherWatch } from '../../../agent/decide/weather-watch.ts'
import type { Journal } from '../../../agent/journal/journal.ts'
import { openJournal } from '../../../agent/journal/open-journal.ts'
import type { Address } from '../../../registrar/net/address.ts'

const SECOND = 1_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const WEEK = 7 * DAY
const MONDAY = Date.UTC(2026, 0, 5)
/** Days go by faster with longer summaries; a minute has three of them. */
const SPAN = 20
const BLOCKED = '10.9.9.9'
const NO_SILENCE = { answeredAt: null, asked: null }

beforeEach(() => vi.useFakeTimers({ now: MONDAY }))
afterEach(() => {
  for (const end of ends.splice(0).reverse()) end()
  vi.useRealTimers()
})
const ends: (() => void)[] = []

function configOf(text = '') {
  const reading = readConfig(`protect: { interfaces: [eth0] }\n${text}`, { file: 'F' })
  if (reading.kind === 'refused') throw new Error(JSON.stringify(reading.problems))
  return reading.config
}

function memory(): Journal {
  const { journal } = openJournal({ file: ':memory:', now: Date.now })
  ends.push(() => journal.close())
  return journal
}

/** 2,000 phones that register every five minutes. */
const QUIET = { registers: 13.4, successes: 6.7, answered: 13.4, unknownRegisters: 0 }
const BOTNET = { registers: 80_000, successes: 0.5, answered: 4_000, unknownRegisters: 80_000 }

function stage({ config = configOf(), journal = memory(), phones = 2_000 } = {}) {
  const said: string[] = []
  const lanes = { proven: phones, returning: phones }
  const strict: { state: 'peace' | 'strict'; order: 'auto' | 'on' | 'off' } = {
    state: 'peace',
    order: 'auto',
  }
  const watch = new WeatherWatch({
    config: () => config,
    journal,
    clock: Date.now,
    lanes: () => lanes,
    strict: () => strict,
    isBlocked: (address) => address === BLOCKED,
    onState: ({ state }, before) => said.push(`${before} -> ${state}`),
    onAnomaly: ({ figure, direction }, what) => said.push(`${what}: ${figure} ${direction}`),
    onMeter: () => said.push(`left: ${watch.leftForUnknown}`),
    keep: (write) => write(),
  })
  watch.start()
  ends.push(() => watch.close())
  /** So many seconds of traffic, at rates a second. */
  const pass = (
    seconds: number,
    rates: Partial<typeof QUIET & Pick<WatchedSecond, 'known' | 'lowerBounds' | 'silence'>> = {},
    span = SPAN,
  ) => {
    const { registers, successes, answered, unknownRegisters, ...others } = { ...QUIET, ...rates }
    const { known = null, lowerBounds = false, silence = NO_SILENCE } = others
    for (let at = 0; at < seconds; at += span) {
      vi.setSystemTime(Date.now() + span * SECOND)
      watch.summarised({
        time: Date.now(),
        seconds: span,
        registers: registers * span,
        unknownRegisters: unknownRegisters * span,
        answered: answered * span,
        successes: successes * span,
        sightedRegisters: registers * span,
        sources: 5_000,
        whole: true,
        lowerBounds,
        silence,
        known,
      })
    }
  }
  const report = () => viewWeather(watch.facts(), config.limits, Date.now())
  return { watch, report, journal, said, lanes, strict, pass }
}

describe('the weather', () => {
  it('is learnt in a day, kept over a restart, and says so', () => {
    const first = stage()
    first.pass((24 * HOUR) / SECOND)
    expect(first.report().baseline).toMatchObject({ state: 'learning', hours: 23, usual: null })
    first.pass((2 * HOUR) / SECOND)
    const { baseline } = first.report()
    expect(baseline).toMatchObject({ state: 'learnt', hours: 25, hoursNeeded: 24 })
    expect(baseline.usual).toMatchObject({ endpoints: 2_000, newSources: 0 })
    expect(baseline.usual!.registers).toBeCloseTo(13.4)
    expect(baseline.bound).toBeCloseTo(40.2)
    expect(stage({ journal: first.journal }).report().baseline).toEqual(baseline)
  })

  it('tightens the policy under attack, records it with its figures, and takes it back', () => {
    const { watch, report, journal, said, pass } = stage()
    pass((26 * HOUR) / SECOND)
    pass(60, BOTNET, 1)
    expect(report()).toMatchObject({
      state: 'attack',
      policy: { registerRetry: 3, registerSuspendTime: 900 },
    })
    expect(watch.policy.registerRetry).toBe(3)
    pass(90, {}, 1)
    expect(report()).toMatchObject({
      state: 'peace',
      policy: { registerRetry: 6, registerSuspendTime: 180 },
    })
    expect(said).toEqual(['peace -> attack', 'attack -> peace'])
    const [back, attack] = journal.listWeather({ limit: 9 })
    expect(back).toMatchObject({ what: 'weather', state: 'peace' })
    expect(attack).toMatchObject({ what: 'weather', state: 'attack' })
    expect(attack!.figures).toMatchObject({ usualRegisters: 13.4, usualShare: 0.5, phones: 2_000 })
    expect(attack!.figures.registers).toBeGreaterThan(1_000)
    expect(report().changes.map(({ state }) => state)).toEqual(['peace', 'attack'])
    expect(stage({ journal }).report().changes).toEqual(report().changes)
  })

  it('goes on with the figures of what stands: the most that came, and when it was over', () => {
    const { watch, journal, pass } = stage()
    pass((26 * HOUR) / SECOND)
    pass(6, { ...BOTNET, registers: 900, unknownRegisters: 900 }, 1)
    const begun = Date.now()
    for (let i = 0; i < 20; i++) {
      watch.arrived(10_012)
      pass(1, { ...BOTNET, registers: 5_000, unknownRegisters: 4_900, lowerBounds: true }, 1)
    }
    const attack = () => journal.listWeather({ limit: 9 }).find(({ state }) => state === 'attack')!
    expect(attack().figures).toMatchObject({ peakRegisters: 5_000, peakAtLeast: true, peakArrivals: 10_012 })
    // Counters that were read some seconds ago are no figure of now.
    pass(90, {}, 1)
    const { figures } = attack()
    expect(figures).toMatchObject({ atLeast: false, peakRegisters: 5_000, peakArrivals: 10_012 })
    expect(figures.endedAt).toBeGreaterThan(begun + 60 * SECOND)
    expect(figures.endedAt).toBeLessThanOrEqual(Date.now())
    expect(watch.facts().changes.find(({ state }) => state === 'attack')).toEqual(attack())
  })

  it('records the strict limits with the rate that they were decided from', () => {
    const { watch, journal, pass } = stage()
    pass(60, {}, 1)
    const since = Date.now()
    pass(2, { ...BOTNET, registers: 4_700, unknownRegisters: 4_700 }, 1)
    const strict = { state: 'strict', why: 'W', strictUntil: null, lastBusy: since } as const
    watch.recordStrict({ ...strict, since: Date.now(), overSince: since })
    const [entry] = journal.listWeather({ limit: 1 })
    expect(entry!.figures).toMatchObject({
      registers: 4_700,
      unknownRegisters: 4_700,
      seconds: 2,
      atLeast: false,
    })
    watch.close()
  })

  it('says an outage while it lasts and records it, but not for phones that the operator has blocked', () => {
    const { report, journal, pass } = stage({ phones: 160 })
    pass(30, {}, 1)
    const since = Date.now()
    const asking = (address: string, seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        const asked = {
          since,
          lastAt: Date.now(),
          phones: 40,
          addresses: [address as Address, BLOCKED as Address],
        }
        pass(1, { registers: 9, answered: 0, successes: 0, silence: { answeredAt: since - 5, asked } }, 1)
      }
    }
    asking(BLOCKED, 30)
    expect(report().outage).toBeNull()
    asking('10.1.1.1', 4)
    expect(report().outage).toEqual({
      since,
      phones: 40,
      sentence:
        'The softswitch has answered nobody for 34 s, though 40 registered phones ask: look whether it runs.',
    })
    pass(1, { silence: { answeredAt: Date.now(), asked: null } }, 1)
    expect(report().outage).toBeNull()
    expect(journal.listWeather({ limit: 9 })).toMatchObject([
      { what: 'outage', state: 'ended', why: 'The softswitch answers again, after 35 s.' },
      { what: 'outage', state: 'began', figures: { phones: 40 } },
    ])
  })

  it('does not learn an attack that lasts two days', () => {
    const { report, said, pass } = stage()
    pass((3 * DAY) / SECOND)
    const before = report().baseline
    pass((2 * DAY) / SECOND, BOTNET)
    expect(report().state).toBe('attack')
    pass((2 * DAY) / SECOND)
    const { baseline, state, anomalies } = report()
    expect(state).toBe('peace')
    expect(anomalies).toEqual([])
    expect(baseline.usual).toEqual(before.usual)
    expect(baseline.bound).toBe(before.bound)
    // Not one hour of the attack was kept, but for minutes at its ends.
    expect(baseline.hours).toBeLessThanOrEqual(5 * 24 + 1)
    expect(said).toEqual([
      'peace -> attack',
      'began: registers rise',
      'began: share fall',
      'attack -> peace',
      'ended: registers rise',
      'ended: share fall',
    ])
  })

  it('says what is unusual, and when it is usual again', () => {
    const { report, said, lanes, journal, pass } = stage()
    pass(WEEK / SECOND + 26 * 3_600)
    lanes.proven = 1_400
    pass(600)
    expect(report().anomalies).toEqual([
      {
        since: expect.any(Number),
        sentence: '1,400 registered endpoints; usual at this hour: 2,000, down to 1,600.',
      },
    ])
    lanes.proven = 2_000
    pass(600)
    expect(report().anomalies).toEqual([])
    expect(said).toEqual(['began: endpoints fall', 'ended: endpoints fall'])
    expect(journal.listWeather({ limit: 9 }).map(({ what, state }) => `${what} ${state}`)).toEqual([
      'anomaly ended',
      'anomaly began',
    ])
  })

  it('sees known accounts come back, each counted once', () => {
    const { watch, said, pass } = stage()
    pass((26 * HOUR) / SECOND)
    for (let i = 0; i < 3_000; i++) watch.returned('one@example.com')
    pass(20, { registers: 300, answered: 300, successes: 100 }, 1)
    expect(said).toEqual([])
    for (let second = 0; second < 10; second++) {
      for (let i = 0; i < 150; i++) watch.returned(`${second * 150 + i}@example.com`)
      pass(1, { registers: 600, answered: 400, successes: 150 }, 1)
    }
    expect(said).toEqual(['peace -> recovery'])
    expect(watch.policy.flood.informs).toBe(true)
    expect(watch.policy.registerRetry).toBe(6)
  })

  it('has the limit of strangers follow the capacity where that is asked for', () => {
    const config = configOf('limits: { total: { perSecond: auto }, strict: { total: { perSecond: auto } } }')
    const { report, said, pass } = stage({ config })
    expect(report().capacity).toMatchObject({ perSecond: null, how: 'unknown', leftForUnknown: 2_000 })
    const late = { answered: 900, silent: 50, latencyP99: 2_000 }
    pass(60, { registers: 1_000, answered: 900, successes: 300, known: late }, 1)
    expect(report().capacity).toMatchObject({ perSecond: 900, how: 'measured' })
    expect(said.filter((line) => line.startsWith('left'))).toEqual(['left: 210'])
    pass(120, {}, 1)
    expect(report().capacity.leftForUnknown).toBeGreaterThan(750)
  })

  it('keeps the numbers of the configuration where it has them', () => {
    const { report, said, pass } = stage()
    const late = { answered: 900, silent: 50, latencyP99: 2_000 }
    pass(60, { registers: 1_000, answered: 900, successes: 300, known: late }, 1)
    expect(report().capacity).toMatchObject({
      perSecond: 900,
      leftForUnknown: null,
      why: 'Beyond that its answers came late, or not at all. limits.total lets 2,000 of unknown sources through: say perSecond: auto there.',
    })
    expect(said.filter((line) => line.startsWith('left'))).toEqual([])
  })

  it('keeps the capacity over a restart, and is not stopped by a journal that refuses', () => {
    const journal = memory()
    const first = stage({ journal })
    first.pass(60, { known: { answered: 10, silent: 0, latencyP99: 5 } }, 1)
    first.watch.close()
    expect(stage({ journal }).report().capacity).toMatchObject({ perSecond: 13, how: 'at-least' })
    const broken = {
      ...journal,
      recordWeather: () => {
        throw new Error('full')
      },
    } as Journal
    const kept: unknown[] = []
    const watch = new WeatherWatch({
      config: () => configOf(),
      journal: broken,
      clock: Date.now,
      lanes: () => ({ proven: 0, returning: 0 }),
      strict: () => ({ state: 'peace', order: 'auto' }),
      isBlocked: () => false,
      onState: () => {},
      onAnomaly: () => {},
      onMeter: () => {},
      keep: (write) => {
        try {
          write()
        } catch (error) {
          kept.push(error)
        }
      },
    })
    watch.recordStrict({
      state: 'strict',
      since: 1,
      why: 'W',
      strictUntil: 2,
      overSince: 1,
      lastBusy: 1,
    })
    expect(kept).toHaveLength(1)
    expect(watch.facts().changes).toMatchObject([{ what: 'strict', state: 'strict', why: 'W' }])
  })
})
