import { describe, expect, it } from 'vitest'
import { Sight } from '../../../agent/observe/sight.ts'

const START = 1_700_000_000_000
const SECOND = 1_000
const MINUTE = 60_000

function watching(): { sight: Sight; state: () => string } {
  const sight = new Sight({ watched: { udp: [5060], tcp: [5061] }, now: START })
  return { sight, state: () => sight.list().map(({ state }) => state)[0]! }
}

describe('the sight of a port', () => {
  it('begins quiet, for the ports that are watched and no others', () => {
    const { sight } = watching()
    sight.request(5070, 'udp', START, 'nonce')
    sight.opaque(5062, START, { carries: 'tls', leaves: true })
    expect(sight.list()).toEqual([
      { port: 5060, transport: 'udp', state: 'quiet', since: START, detail: 'no SIP was seen yet' },
      { port: 5061, transport: 'tcp', state: 'quiet', since: START, detail: 'no SIP was seen yet' },
    ])
    expect(sight.seesAnswers(5060, 'udp')).toBe(false)
    expect(sight.missesAnswers(5060, 'udp')).toBe(false)
  })

  it('is sighted once both directions were seen', () => {
    const { sight, state } = watching()
    sight.request(5060, 'udp', START, 'none')
    expect(state()).toBe('quiet')
    sight.answer(5060, 'udp', START + 1)
    expect(state()).toBe('sighted')
    expect(sight.seesAnswers(5060, 'udp')).toBe(true)
  })

  it.each(['nonce', 'dialog'] as const)(
    'is half-sighted where requests prove an answer (%s) and none is seen',
    (proof) => {
      const { sight, state } = watching()
      for (let i = 0; i <= 17; i++) sight.request(5060, 'udp', START + i * 10 * SECOND, proof)
      expect(state()).toBe('quiet')
      sight.request(5060, 'udp', START + 3 * MINUTE, proof)
      expect(state()).toBe('half-sighted')
      expect(sight.missesAnswers(5060, 'udp')).toBe(true)
      expect(sight.list()[0]!.detail).toMatch(/^requests are seen that were answered, and no answers/)
      // One answer, which nobody can forge, takes it back.
      sight.answer(5060, 'udp', START + 3 * MINUTE + 1)
      expect(state()).toBe('sighted')
    },
  )

  it.each<[string, (sight: Sight) => void]>([
    [
      'requests that prove nothing',
      (sight) => {
        for (let i = 0; i < 3_600; i++) sight.request(5060, 'udp', START + i * SECOND, 'none')
      },
    ],
    [
      'a burst that proves much',
      (sight) => {
        for (let i = 0; i < 10_000; i++) sight.request(5060, 'udp', START + i, 'nonce')
      },
    ],
    [
      'two of them an hour apart',
      (sight) => {
        for (let i = 0; i < 2; i++) sight.request(5060, 'udp', START + i * 60 * MINUTE, 'nonce')
      },
    ],
    [
      'the beginnings of TLS handshakes that only go in, for a moment',
      (sight) => {
        for (let i = 0; i < 10_000; i++) sight.opaque(5061, START + i, { carries: 'tls', leaves: false })
      },
    ],
  ])('is not half-sighted or blind by %s', (_, happens) => {
    const { sight } = watching()
    happens(sight)
    expect(sight.list().map(({ state }) => state)).toEqual(['quiet', 'quiet'])
  })

  it('stays sighted for ten minutes, and by calls in progress, when the softswitch has died', () => {
    const { sight, state } = watching()
    sight.request(5060, 'udp', START, 'none')
    sight.answer(5060, 'udp', START)
    for (let i = 1; i <= 60; i++) sight.request(5060, 'udp', START + i * MINUTE, 'dialog')
    expect(state()).toBe('sighted')
    for (let i = 60; i < 70; i++) sight.request(5060, 'udp', START + i * MINUTE, 'nonce')
    expect(state()).toBe('sighted')
    sight.request(5060, 'udp', START + 70 * MINUTE, 'nonce')
    expect(state()).toBe('half-sighted')
  })

  it('is half-sighted where answers leave and no request is seen for minutes', () => {
    const { sight, state } = watching()
    for (let i = 0; i <= 18; i++) sight.answer(5060, 'udp', START + i * 10 * SECOND)
    expect(state()).toBe('half-sighted')
    expect(sight.list()[0]!.detail).toMatch(/^answers are seen, and no requests/)
    sight.request(5060, 'udp', START + 3 * MINUTE + 1, 'none')
    expect(state()).toBe('sighted')
  })

  it.each(['tls', 'websocket'] as const)('is blind where the softswitch itself speaks %s', (carries) => {
    const { sight } = watching()
    sight.opaque(5061, START, { carries, leaves: true })
    expect(sight.list()[1]).toMatchObject({ state: 'blind', since: START })
    expect(sight.missesAnswers(5061, 'tcp')).toBe(true)
  })

  it('is blind where handshakes go in for minutes and nothing is seen to leave', () => {
    const { sight } = watching()
    for (let i = 0; i <= 18; i++)
      sight.opaque(5061, START + i * 10 * SECOND, { carries: 'tls', leaves: false })
    expect(sight.list()[1]!.state).toBe('blind')
  })

  it('is not blinded by who begins a TLS handshake with a port that speaks SIP in clear', () => {
    const { sight } = watching()
    for (let i = 0; i < 60; i++) {
      const at = START + i * MINUTE
      sight.request(5061, 'tcp', at, 'none')
      sight.answer(5061, 'tcp', at)
      sight.opaque(5061, at, { carries: 'tls', leaves: false })
      sight.opaque(5061, at, { carries: 'tls', leaves: true })
    }
    expect(sight.list()[1]!.state).toBe('sighted')
  })

  it('keeps a bounded number of ports where it is told of none', () => {
    const sight = new Sight()
    for (let port = 1; port < 65_536; port++) sight.request(port, 'udp', START, 'nonce')
    expect(sight.list()).toHaveLength(256)
  })
})
