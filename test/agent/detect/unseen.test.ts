import { describe, expect, it } from 'vitest'
import { defaultConfig } from '../../../agent/config/read-config.ts'
import { Detector } from '../../../agent/detect/detector.ts'
import type { Verdict } from '../../../agent/detect/verdict.ts'
import { Exchanges } from '../../../agent/observe/exchanges.ts'
import type { ExchangeEnded } from '../../../agent/observe/observation.ts'
import { Sight } from '../../../agent/observe/sight.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'

const START = 1_700_000_000_000
const MINUTE = 60_000
const SERVER: Source = { address: '198.51.100.1' as Address, port: 5060 }
const OFFICE: Source = { address: '203.0.113.7' as Address, port: 5071 }

function register(cseq: number, user: number, nonce: string) {
  const reading = readSipMessage(
    Buffer.from(
      `REGISTER sip:r SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK${cseq}\r\nTo: <sip:${user}@r>\r\nCall-ID: ${cseq}@a\r\nCSeq: ${cseq} REGISTER\r\nAuthorization: Digest username="${user}", realm="r", nonce="${nonce}", uri="sip:r", response="0"\r\n\r\n`,
    ),
  )
  if (reading.kind !== 'message') throw new Error(reading.kind)
  return reading.message
}

/** A gateway's customers, all behind one address, on a port whose answers take another way. */
function flood({ answersMissing }: { readonly answersMissing: boolean }): Verdict[] {
  const verdicts: Verdict[] = []
  const { policy } = defaultConfig()
  const detector = new Detector({ policy, onVerdict: (verdict) => verdicts.push(verdict) })
  const sight = new Sight({ watched: { udp: [5060], tcp: [] } })
  const exchanges = new Exchanges({ sight })
  if (answersMissing)
    for (let i = 0; i <= 18; i++) sight.request(5060, 'udp', START - 4 * MINUTE + i * 10_000, 'nonce')
  for (let i = 0; i < 2 * policy.flood.registers; i++) {
    const time = START + i * 10
    const message = register(i, 1000, `n${i}`)
    for (const each of exchanges.observe({
      time,
      transport: 'udp',
      source: OFFICE,
      destination: SERVER,
      message,
    }))
      detector.observe(each)
  }
  return verdicts
}

describe('on a port whose answers are not seen', () => {
  it('a rate without a success is limited by the kernel and blocks nobody', () => {
    const actions = flood({ answersMissing: true }).map(({ name, action }) => [name, action])
    expect(new Set(actions.map(String))).toEqual(new Set(['register-flood,limit']))
    expect(flood({ answersMissing: true })[0]!.reason).toContain('no answers of the softswitch are seen')
  })

  it('which is otherwise blocked', () => {
    expect(flood({ answersMissing: false })).toMatchObject([{ name: 'register-flood', action: 'block' }])
  })
})

describe('bindings are learnt', () => {
  const success: ExchangeEnded = {
    kind: 'exchange',
    time: START,
    source: OFFICE,
    serverPort: 5060,
    transport: 'udp',
    account: '1001@r',
    outcome: 'success',
    status: 200,
    answeredIn: 1,
    userAgent: '',
    bindings: [{ contact: 'sip:1001@10.0.0.5', expires: 600, own: true }],
    grade: 'account',
    withCredentials: true,
    answersItsChallenge: true,
    grantedExpires: 600,
  }
  const learnt = (ended: Partial<ExchangeEnded>) => {
    const detector = new Detector({ policy: defaultConfig().policy, onVerdict: () => {} })
    detector.observe({ ...success, ...ended })
    return detector.bindings.size
  }

  it('from successes that prove who registered, and from no others', () => {
    expect(learnt({})).toBe(1)
    expect(learnt({ answersItsChallenge: false })).toBe(0)
    expect(learnt({ withCredentials: false })).toBe(0)
    expect(learnt({ outcome: 'silence', status: 0 })).toBe(0)
  })
})
