import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { FORGED, RIGHT, START, source, stage, WRONG } from './stage.ts'

const ADDRESS = '192.0.2.50'
const HOUR = 3_600_000
const SHARED = { ...FORGED, answersItsChallenge: true } as const

/** What the kernel would drop: who is cut off makes no more failures until that has run out. */
class Kernel {
  #whole = 0
  readonly #ports = new Map<number, number>()

  hear(verdicts: readonly Verdict[]): void {
    for (const { action, port, time, duration } of verdicts) {
      if (action !== 'suspend' && action !== 'block') continue
      const until = time + duration * 1_000
      if (port === null) this.#whole = Math.max(this.#whole, until)
      else this.#ports.set(port, Math.max(until, this.#ports.get(port) ?? 0))
    }
  }

  drops(port: number, at: number): boolean {
    return at < this.#whole || at < (this.#ports.get(port) ?? 0)
  }
}

const wrongs = fc.constantFrom(WRONG, SHARED)

describe('an office, whenever its phones start and whatever passwords they have', () => {
  const phone = fc.record({
    isRight: fc.boolean(),
    starts: fc.integer({ min: 0, max: 1_200_000 }),
    every: fc.constantFrom(300, 2_000, 15_000, 50_000),
    burst: fc.constantFrom(1, 1, 4, 16),
  })
  it.each(['udp', 'tcp'] as const)(
    'over %s: a measure reaches a phone that fails, and no address',
    (transport) => {
      fc.assert(
        fc.property(
          fc.array(phone, { minLength: 1, maxLength: 24 }),
          wrongs,
          fc.boolean(),
          (phones, wrong, wasThere) => {
            // More than eight wrong ones, where nobody is right yet, are no office any more.
            let bad = 0
            const plan = phones.map((each) => ({ ...each, isRight: each.isRight || ++bad > 8 }))
            const { exchange, verdicts, detector } = stage()
            const kernel = new Kernel()
            if (wasThere) detector.sources.known(`${ADDRESS}/32` as never, START - 86_400_000, START, 10)
            const events = plan.flatMap((each, i) =>
              Array.from(
                { length: Math.min(400, Math.ceil((1_800_000 - each.starts) / each.every)) },
                (_, n) => ({
                  at: START + each.starts + n * each.every,
                  i,
                }),
              ),
            )
            for (const { at, i } of events.sort((a, b) => a.at - b.at)) {
              const { isRight, burst } = plan[i]!
              const from = source(ADDRESS, 20_000 + i)
              for (let time = 0; time < (isRight ? 1 : burst); time++) {
                if (kernel.drops(from.port, at)) continue
                const before = verdicts.length
                const how = transport === 'tcp' && !isRight ? WRONG : isRight ? RIGHT : wrong
                exchange(from, at + time, { ...how, transport, account: `${1_000 + i}@x` })
                kernel.hear(verdicts.slice(before))
              }
            }
            const measures = verdicts.filter(({ action }) => action === 'suspend' || action === 'block')
            expect(measures.filter(({ port }) => port === null)).toEqual([])
            expect(measures.filter(({ port }) => plan[port! - 20_000]!.isRight)).toEqual([])
          },
        ),
        { numRuns: 40 },
      )
    },
  )
})

describe('a guesser where nobody ever registered, however he spreads', () => {
  it('makes at most as many tries in an hour as the policy grants eight phones', () => {
    fc.assert(
      fc.property(
        fc.record({
          accounts: fc.integer({ min: 1, max: 40 }),
          triesAPort: fc.integer({ min: 1, max: 30 }),
          ports: fc.integer({ min: 1, max: 4_000 }),
          triesAnAccount: fc.integer({ min: 1, max: 30 }),
          every: fc.constantFrom(50, 200, 1_000),
          transport: fc.constantFrom('udp', 'udp', 'tcp'),
          wrong: wrongs,
        } as const),
        ({ accounts, triesAPort, ports, triesAnAccount, every, transport, wrong }) => {
          const { exchange, verdicts } = stage()
          const kernel = new Kernel()
          const how = transport === 'tcp' ? WRONG : wrong
          let made = 0
          let tries = 0
          let hop = 0
          for (let at = START; at < START + HOUR; at += every) {
            const port = 10_000 + (Math.floor(tries / triesAPort + hop) % ports)
            if (kernel.drops(port, at)) {
              // He goes on to his next port at once.
              hop++
              continue
            }
            const before = verdicts.length
            exchange(source('203.0.113.66', port), at, {
              ...how,
              transport,
              account: `${Math.floor(tries / triesAnAccount) % accounts}@x`,
            })
            kernel.hear(verdicts.slice(before))
            tries++
            made++
          }
          expect(made).toBeLessThan(8 * 6 * (3_600 / 180))
        },
      ),
      { numRuns: 40 },
    )
  })
})
