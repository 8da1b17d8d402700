import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../agent/capture/frame.ts'
import { Detector } from '../../../agent/detect/detector.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { Pipeline } from '../../../agent/sensor/pipeline.ts'
import { POLICY } from '../policy.ts'
import { ModelSoftswitch, SERVER } from './model-softswitch.ts'
import { START } from './stage.ts'

const VICTIM = '198.51.100.9'
const HOME = 5062
const ATTACKER = '203.0.113.66'

/** Two sensors' worth of state behind one softswitch: what a packet does to a customer is read off the verdicts. */
function stage({ shares, refusesWith }: { shares: boolean; refusesWith: 401 | 403 | 404 }) {
  const verdicts: Verdict[] = []
  const detector = new Detector({ policy: POLICY, onVerdict: (verdict) => verdicts.push(verdict) })
  const pipeline = new Pipeline({
    ports: { udp: new Set([5060]), tcp: new Set([5060]) },
    isProtected: (address) => address === SERVER,
    countFlood: (address, time) => detector.countFlood(address, time),
    onObservation: (observation) => detector.observe(observation),
    onStray: (source, time) => detector.stray(source, time),
  })
  const softswitch = new ModelSoftswitch(
    { shares, refusesWith, refusesUnknown: true, accounts: new Set(['1001', '1002']) },
    (frame: Frame) => pipeline.take(frame),
  )
  return { softswitch, verdicts, detector, pipeline }
}

/** A measure that reaches the customer's registered port. */
function hitsCustomer({ action, address, port }: Verdict): boolean {
  return (
    (action === 'suspend' || action === 'block') && address === VICTIM && (port === null || port === HOME)
  )
}

/** What somebody who gets none of the victim's packets can write, under the victim's address. */
const forgery = fc.record({
  what: fc.constantFrom('bare', 'junk', 'borrowed', 'malformed', 'oversized', 'stray', 'call', 'success'),
  port: fc.constantFrom(HOME, HOME, 5060, 40_000, 40_001, 40_002),
  account: fc.constantFrom('1001', '1002', '9001', '9002', '9003', '9004', '9005', '9006'),
  junk: fc.constantFrom('a', 'b', 'c', ''),
  times: fc.constantFrom(1, 1, 6, 30, 120),
  gap: fc.constantFrom(0, 10, 150, 3_000, 40_000, 600_000),
})

describe('no sequence of packets without a returned nonce blocks or suspends a registered customer', () => {
  it.each([
    [false, 401],
    [false, 403],
    [false, 404],
    [true, 401],
    [true, 403],
  ] as const)('shared nonces %s, refusals %i', (shares, refusesWith) => {
    fc.assert(
      fc.property(fc.array(forgery, { minLength: 1, maxLength: 25 }), (forgeries) => {
        const { softswitch, verdicts, pipeline } = stage({ shares, refusesWith })
        let at = START
        let refreshed = Number.NEGATIVE_INFINITY
        const live = () => {
          // The phone refreshes at half of its hour, with a neighbour behind the same NAT.
          if (at - refreshed < 1_800_000) return
          refreshed = at
          softswitch.register({ at, address: VICTIM, port: HOME }, '1001')
        }
        let number = 0
        for (const { what, port, account, junk, times, gap } of forgeries) {
          at += gap
          live()
          for (let i = 0; i < times; i++) {
            at += 25
            live()
            const from = { at, address: VICTIM, port }
            switch (what) {
              case 'bare':
                softswitch.ask(from, account)
                break
              case 'junk':
                softswitch.tell(from, account, {
                  nonce: `${junk}${junk === 'c' ? number++ : ''}`,
                  password: 'guess',
                })
                break
              case 'borrowed': {
                // The attacker's own nonce, which is everybody's where nonces are shared, right after he made the
                // softswitch send one to the victim.
                softswitch.ask(from, account)
                const nonce = softswitch.ask({ at, address: ATTACKER, port: 5060 }, '1002') ?? ''
                softswitch.tell({ ...from, at: at + 2 }, account, { nonce, password: 'guess' })
                break
              }
              case 'success': {
                // He owns an account, and registers it under the victim's address.
                const nonce = softswitch.ask({ at, address: ATTACKER, port: 5060 }, '1002') ?? ''
                softswitch.tell({ ...from, at: at + 2 }, '1002', { nonce, password: 'right' })
                break
              }
              case 'malformed':
                softswitch.send(from, `REGISTER sip:r SIP/2.0\r\nX: ${'y'.repeat(9_000)}\r\n\r\n`)
                break
              case 'oversized':
                softswitch.ask(from, account, `Contact: <sip:${'z'.repeat(3_000)}@r>\r\n`)
                break
              case 'stray':
                softswitch.send(from, 'x'.repeat(60))
                break
              case 'call':
                softswitch.send(
                  from,
                  `INVITE sip:1@r SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nCall-ID: ${number++}\r\nCSeq: 1 INVITE\r\n\r\n`,
                )
                break
            }
          }
        }
        expect(pipeline.frames).toBeGreaterThan(0)
        expect(verdicts.filter(hitsCustomer)).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('nor one who is known from before a restart and has not spoken since', () => {
    for (const shares of [false, true]) {
      const { softswitch, verdicts, detector } = stage({ shares, refusesWith: 401 })
      detector.sources.known(`${VICTIM}/32` as never, START - 1_000, START + 3_600_000)
      for (let i = 0; i < 2_000; i++) {
        const from = { at: START + i * 50, address: VICTIM, port: i % 2 === 0 ? HOME : 40_000 + (i % 50) }
        softswitch.ask(from, '1001')
        softswitch.tell(from, i % 3 === 0 ? '1001' : `90${i % 20}`, { nonce: `j${i % 7}`, password: 'guess' })
      }
      expect(verdicts.filter(({ action }) => action === 'suspend' || action === 'block')).toEqual([])
    }
  })

  it('while a guesser who does return nonces is stopped', () => {
    const { softswitch, verdicts } = stage({ shares: false, refusesWith: 401 })
    for (let i = 0; i < 60; i++) {
      const from = { at: START + i * 1_000, address: ATTACKER, port: 5060 }
      const nonce = softswitch.ask(from, '1001') ?? ''
      softswitch.tell({ ...from, at: from.at + 5 }, '1001', { nonce, password: `guess${i}` })
    }
    expect(verdicts[0]).toMatchObject({ name: 'retry-limit', action: 'suspend', grade: 'path', port: 5060 })
  })
})

describe('what is remembered', () => {
  it('of requests that wait for answers has an end, whatever comes', () => {
    const softwareOf = (pipeline: Pipeline) =>
      new ModelSoftswitch({ shares: false }, (frame) => {
        // Answers are lost: nothing is ever over.
        if (frame.bytes.readUInt16BE(36) === 5060) pipeline.take(frame)
      })
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 300 }), { minLength: 1, maxLength: 20 }), (names) => {
        const pipeline = new Pipeline({
          ports: 'any',
          exchanges: { mostTransactions: 40 },
          onObservation: () => {},
        })
        const softswitch = softwareOf(pipeline)
        for (let i = 0; i < 200; i++) {
          const from = { at: START + i, address: `10.0.0.${i % 250}`, port: 1_024 + i }
          const nonce = `${i}${names[i % names.length]!.replace(/["\r\n]/g, '')}`
          softswitch.tell(from, `${i}`, { nonce, password: 'guess' })
        }
        expect(pipeline.frames).toBe(200)
        expect(pipeline.exchanges.pending).toBeLessThanOrEqual(40)
        expect(pipeline.exchanges.letGo).toBeGreaterThan(100)
      }),
      { numRuns: 20 },
    )
  })

  const BOUND = 50
  /** Tables that sources, accounts and ports have entries in. */
  const TABLES = 19
  const LONG = 'n'.repeat(400)
  const seen = fc.record({
    outcome: fc.constantFrom('success', 'failure', 'refused', 'challenge', 'stale'),
    grade: fc.constantFrom('packet', 'path', 'account'),
    status: fc.constantFrom(200, 401, 403, 404),
    transport: fc.constantFrom('udp', 'tcp'),
    own: fc.boolean(),
    long: fc.boolean(),
    six: fc.boolean(),
    // Accounts come back, so that there are some who are known.
    again: fc.boolean(),
  } as const)

  it('has an end, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.array(seen, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 5_000 }),
        (kinds, step) => {
          const detector = new Detector({ policy: POLICY, maxSources: BOUND, onVerdict: () => {} })
          for (let i = 0; i < 600; i++) {
            const { own, long, six, again, ...kind } = kinds[i % kinds.length]!
            const who = again ? i % 100 : i
            const account = `${who}${long ? LONG : ''}@r`
            const address = six ? `2001:db8:${who.toString(16)}::1` : `10.0.${who >> 8}.${who & 255}`
            detector.observe({
              ...kind,
              kind: 'exchange',
              time: START + i * step,
              source: { address: address as never, port: 1_024 + i },
              serverPort: 5060,
              account,
              withCredentials: kind.outcome !== 'challenge',
              answersItsChallenge: own,
              grantedExpires: kind.outcome === 'success' ? 3_600 : 0,
              answeredIn: 1,
              userAgent: account,
              bindings: [],
            })
          }
          expect(detector.size).toBeLessThanOrEqual(TABLES * BOUND)
        },
      ),
      { numRuns: 30 },
    )
  })
})
