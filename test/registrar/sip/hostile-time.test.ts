import { describe, expect, test } from 'vitest'
import { DEFAULT_SIP_LIMITS } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import { SipFramer } from '../../../registrar/sip/stream-framer.ts'
import { hostileMessages } from '../../../scripts/bench/hostile-messages.ts'
import { readEverything } from '../../../scripts/bench/sip-reader.ts'

/** The least processor time of several runs, in milliseconds: what others do on the machine hardly shows in it. */
function best(run: () => void, runs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < runs; i++) {
    const start = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(start)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}

const SIZE = 65_507
const ENDLESS = {
  messageBytes: 1 << 30,
  headerCount: 1 << 30,
  headerBytes: 1 << 30,
  uriBytes: 1 << 30,
}

describe('a hostile datagram of 64 kB', () => {
  // The benchmark shows that each takes well below 1 ms; ten times that is still far from what is not linear.
  test.each(hostileMessages(SIZE))('$name is read, every field of it, in time', ({ bytes }) => {
    expect(bytes.length).toBeLessThanOrEqual(SIZE + 200)
    expect(best(() => readEverything(bytes), 25)).toBeLessThan(10)
  })
})

describe('without limits, sixteen times the bytes', () => {
  const small = hostileMessages(SIZE)
  const large = hostileMessages(SIZE * 16)
  test.each(small.map(({ name }, i) => [name, i] as const))('%s costs no more than linear', (_, i) => {
    const read = (bytes: Buffer) => () => {
      const reading = readSipMessage(bytes, { limits: ENDLESS })
      if (reading.kind === 'message') void reading.message.headers
    }
    // Quadratic growth would be a factor of 256. Below a fifth of a millisecond there is only noise to compare.
    const one = Math.max(best(read(small[i]!.bytes), 8), 0.2)
    expect(best(read(large[i]!.bytes), 3) / one).toBeLessThan(100)
  })
})

test.each(hostileMessages(SIZE))('$name in segments of one byte costs no more than linear', ({ bytes }) => {
  const run = (length: number) => () => {
    for (const onFault of ['stop', 'resynchronise'] as const) {
      const framer = new SipFramer({ onFault, limits: { ...DEFAULT_SIP_LIMITS, headerBytes: 1 << 20 } })
      for (let at = 0; at < length; at++) framer.push(bytes.subarray(at, at + 1))
      framer.end()
    }
  }
  const one = Math.max(best(run(2_000), 4), 0.5)
  // Sixteen times the bytes; a framer that searched from the start each time would take 256 times as long.
  expect(best(run(32_000), 2) / one).toBeLessThan(100)
})
