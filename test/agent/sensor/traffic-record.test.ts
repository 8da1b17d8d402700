import { describe, expect, it } from 'vitest'
import { Detector } from '../../../agent/detect/detector.ts'
import { ExchangeTally } from '../../../agent/sensor/exchange-tally.ts'
import { LastExchanges } from '../../../agent/sensor/last-exchanges.ts'
import { TrafficRecord } from '../../../agent/sensor/traffic-record.ts'
import { at, ended, register, START, turn } from '../backtest/traffic.ts'
import { POLICY } from '../policy.ts'

const success = (time: number, rest = {}) => turn(at('198.51.100.7'), time, 'success', rest)[3] as never
const failure = (time: number, rest = {}) => turn(at('198.51.100.7'), time, 'failure', rest)[3] as never

describe('exchanges, put together', () => {
  it('are a row an hour for a phone that registers again and again, and none for challenges', () => {
    const tally = new ExchangeTally()
    for (let i = 0; i < 50; i++) {
      tally.add(success(START + i * 60_000))
      tally.add(ended(at('198.51.100.7'), START + i * 60_000))
    }
    expect(tally.take().exchanges).toMatchObject([
      { slot: START, first: START + 15, last: START + 49 * 60_000 + 15, count: 50, outcome: 'success' },
    ])
    expect(tally.take()).toEqual({ exchanges: [], letGo: 0 })
  })

  it('are rows a minute after a failure, so that the order is kept', () => {
    const tally = new ExchangeTally()
    tally.add(success(START))
    tally.add(failure(START + 60_000))
    tally.add(failure(START + 61_000))
    tally.add(success(START + 120_000))
    tally.add(failure(START + 180_000))
    expect(tally.take().exchanges.map(({ slot, outcome, count }) => [slot - START, outcome, count])).toEqual([
      [0, 'success', 1],
      [60_000, 'failure', 2],
      [120_000, 'success', 1],
      [180_000, 'failure', 1],
    ])
  })

  it('are rows of their own where their nonces prove more or less', () => {
    const tally = new ExchangeTally()
    for (const nonceOfPort of [true, false, true]) tally.add(failure(START, { nonceOfPort }))
    tally.add(failure(START, { nonceOfPort: false, pathCertain: false }))
    const told = tally
      .take()
      .exchanges.map(({ nonceOfPort, pathCertain, count }) => [nonceOfPort, pathCertain, count])
    expect(told).toEqual([
      [true, true, 2],
      [false, true, 1],
      [false, false, 1],
    ])
  })

  it('have a bound and a counter, and are told in bounded portions', () => {
    const tally = new ExchangeTally({ most: 5_000 })
    for (let i = 0; i < 6_000; i++) tally.add(failure(START, { account: `${i}@example.com` }))
    const portions = Array.from({ length: 6 }, () => tally.take())
    expect(portions.map(({ exchanges, letGo }) => [exchanges.length, letGo])).toEqual([
      [1_000, 1_000],
      [1_000, 0],
      [1_000, 0],
      [1_000, 0],
      [1_000, 0],
      [0, 0],
    ])
  })

  it('cut what an attacker wrote', () => {
    const tally = new ExchangeTally()
    const long = 'x'.repeat(5_000)
    const bindings = Array.from({ length: 50 }, () => ({ contact: long, expires: 1 }))
    tally.add(failure(START, { account: long, userAgent: long, bindings }))
    expect(JSON.stringify(tally.take().exchanges).length).toBeLessThan(1_200)
  })
})

describe('the last exchanges of a source', () => {
  it('are the last twenty, newest first, once it sent credentials', () => {
    const last = new LastExchanges()
    last.add(ended(at('198.51.100.7'), START))
    expect(last.of(at('198.51.100.7').address)).toEqual([])
    for (let i = 0; i < 30; i++) last.add(success(START + i))
    const told = last.of(at('198.51.100.7').address)
    expect(told.map(({ time }) => time)).toEqual(Array.from({ length: 20 }, (_, i) => START + 29 - i + 15))
  })

  it('are not pushed out by credentials in forged packets', () => {
    const last = new LastExchanges({ proven: 10, others: 10 })
    last.add(success(START))
    for (let i = 0; i < 1_000; i++) {
      const source = at(`10.0.${i >> 8}.${i & 255}`)
      last.add(ended(source, START, { outcome: 'failure', withCredentials: true }))
    }
    expect(last.of(at('198.51.100.7').address)).toHaveLength(1)
    expect([last.size, last.letGo]).toEqual([11, 990])
  })
})

function stage() {
  const detector = new Detector({ policy: POLICY, onVerdict: () => {} })
  const record = new TrafficRecord({ find: (address) => detector.sources.find(address) })
  const see = (source: ReturnType<typeof at>, time: number, rest = {}) => {
    if (detector.countFlood(source.address, time)) {
      record.counted(source.address, time)
      return
    }
    const seen = register(source, time, rest)
    detector.observe(seen)
    record.observe(seen)
  }
  return { detector, record, see }
}

describe('REGISTERs a minute', () => {
  it('are counted in slices of ten seconds, of sources over the floor, whether they were read or not', () => {
    const { record, see } = stage()
    for (let i = 0; i < 600; i++) see(at('203.0.113.66'), START + i * 50, { account: `${i % 5}@x` })
    for (let i = 0; i < 10; i++) see(at('198.51.100.7'), START + i * 1_000)
    const batch = record.take(START + 60_000)
    expect(batch?.registers).toMatchObject([
      { minute: START, source: '203.0.113.66/32', slices: [200, 200, 200, 0, 0, 0], accounts: 5 },
    ])
    expect(batch?.registers[0]?.names).toHaveLength(5)
    expect(batch?.totals).toMatchObject([{ registers: 610, sources: 1, ofSources: 600, sourcesLetGo: 0 }])
  })

  it('of tens of thousands of forged sources and a thousand real flooders are a bounded number of rows', () => {
    const { record, see } = stage()
    let time = START
    for (let i = 0; i < 60_000; i++) {
      see(at(`${10 + (i % 40)}.${(i >> 14) & 255}.${(i >> 7) & 255}.${i & 127}`), time)
      time += 0.05
    }
    for (let round = 0; round < 25; round++)
      for (let i = 0; i < 1_000; i++) see(at(`203.0.${113 + (i >> 8)}.${i & 255}`), time++)
    const batch = record.take(START + 120_000)
    expect(batch?.registers.length).toBe(200)
    expect(batch?.totals).toHaveLength(1)
    expect(batch?.totals[0]?.sourcesLetGo).toBeGreaterThanOrEqual(800)
    const { registers = 0, ofSources = 0, ofSourcesLetGo = 0 } = batch?.totals[0] ?? {}
    expect(registers).toBe(85_000)
    expect(ofSources + ofSourcesLetGo).toBeLessThanOrEqual(registers)
  })

  it('cost less than 1.5 µs a REGISTER under a flood', () => {
    const { record, see } = stage()
    const sources = Array.from({ length: 6_000 }, (_, i) => at(`10.${i >> 14}.${(i >> 7) & 127}.${i & 127}`))
    const { detector } = stage()
    const floods = 60
    const run = (take: (source: ReturnType<typeof at>, time: number) => void) => {
      // Time of this process: others may work on the host.
      const start = process.cpuUsage()
      for (let round = 0; round < floods; round++)
        for (const source of sources) take(source, START + round * 250)
      const { user, system } = process.cpuUsage(start)
      return (user + system) / (floods * sources.length)
    }
    const without = run((source, time) => {
      if (!detector.countFlood(source.address, time)) detector.observe(register(source, time))
    })
    const withRecord = run(see)
    process.stderr.write(
      `REGISTER of a flood: ${without.toFixed(2)} µs, recorded too ${withRecord.toFixed(2)} µs\n`,
    )
    expect(record.take(START + 60_000)?.registers.length).toBe(200)
    expect(withRecord - without).toBeLessThan(1.5)
  })
})
