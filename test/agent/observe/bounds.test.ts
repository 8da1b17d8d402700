import fc from 'fast-check'
import { expect, it } from 'vitest'
import { LearntBindings } from '../../../agent/observe/bindings.ts'
import { Exchanges } from '../../../agent/observe/exchanges.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'

const START = 1_700_000_000_000
const SERVER: Source = { address: '198.51.100.1' as Address, port: 5060 }

/** Any message about a few phones, nonces and calls, with odd headers among them. */
const message = fc.record({
  phone: fc.integer({ min: 1, max: 4 }),
  port: fc.constantFrom(5060, 5061),
  cseq: fc.integer({ min: 1, max: 6 }),
  branch: fc.integer({ min: 1, max: 3 }),
  nonce: fc.option(fc.constantFrom('a', 'b', 'c', '')),
  status: fc.option(fc.constantFrom(100, 200, 302, 401, 403, 404, 407, 423, 503, 600)),
  contact: fc.constantFrom(
    undefined,
    '*',
    '<sip:1@10.0.0.1>;expires=60',
    '<sip:1@10.0.0.2>, <sip:1@10.0.0.1>',
    '<sip:never',
    `<sip:1@${'x'.repeat(900)}>`,
  ),
  expires: fc.constantFrom(undefined, '0', '60', '-1', 'x'),
  later: fc.integer({ min: -5_000, max: 40_000 }),
})

it('whatever comes in whatever order, every answer ends at most one exchange and all stays in bounds', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 120 }), (messages) => {
      const bindings = new LearntBindings({ capacity: 5 })
      const exchanges = new Exchanges({
        mostTransactions: 10,
        isBound: (source, at) => bindings.isBoundAt(source, at),
      })
      let time = START
      let registers = 0
      let ended = 0
      for (const { phone, port, cseq, branch, nonce, status, contact, expires, later } of messages) {
        time += later
        const client: Source = { address: `203.0.113.${phone}` as Address, port }
        const credentials =
          status === null ? 'Authorization: Digest username="1", ' : 'WWW-Authenticate: Digest '
        const reading = readSipMessage(
          Buffer.from(
            [
              status === null ? 'REGISTER sip:r SIP/2.0' : `SIP/2.0 ${status} x`,
              `Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK${branch}`,
              `To: <sip:${phone}@r>`,
              `Call-ID: ${phone}`,
              `CSeq: ${cseq} REGISTER`,
              ...(nonce === null
                ? []
                : [`${credentials}realm="r", nonce="${nonce}", uri="sip:r", response="0"`]),
              ...(contact === undefined ? [] : [`Contact: ${contact}`]),
              ...(expires === undefined ? [] : [`Expires: ${expires}`]),
              '',
              '',
            ].join('\r\n'),
          ),
        )
        if (reading.kind !== 'message') continue
        const [source, destination] = status === null ? [client, SERVER] : [SERVER, client]
        const observed = exchanges.observe({
          time,
          transport: 'udp',
          source,
          destination,
          message: reading.message,
        })
        registers++
        for (const each of observed) {
          if (each.kind !== 'exchange') continue
          ended++
          expect(each.bindings.length).toBeLessThanOrEqual(16)
          expect(each.answeredIn ?? 0).toBeGreaterThanOrEqual(0)
          expect(each.outcome === 'silence').toBe(each.status === 0)
          if (each.outcome === 'success') bindings.learn(each)
        }
        expect(exchanges.pending).toBeLessThanOrEqual(10)
        expect(bindings.size).toBeLessThanOrEqual(5 * 16)
      }
      expect(ended).toBeLessThanOrEqual(registers)
    }),
    { numRuns: 300 },
  )
})
