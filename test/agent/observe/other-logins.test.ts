import { describe, expect, it } from 'vitest'
import { Exchanges } from '../../../agent/observe/exchanges.ts'
import type { ExchangeEnded, Transport } from '../../../agent/observe/observation.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import type { SipMessage } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import type { HeaderPair } from '../../../registrar/sip/write-message.ts'
import { writeRequest, writeResponse } from '../../written-messages.ts'

const SERVER = at('198.51.100.1', 5060)
const CALLER = at('203.0.113.7', 5071)
const REALM = 'example.com'

function at(address: string, port: number): Source {
  return { address: address as Address, port }
}

function read(bytes: Buffer): SipMessage {
  const reading = readSipMessage(bytes)
  if (reading.kind !== 'message') throw new Error(`not a message: ${reading.kind}`)
  return reading.message
}

interface Turn {
  readonly method?: string
  readonly nonce?: string
  readonly realm?: string
  readonly transport?: Transport
  readonly maybeForged?: boolean
  readonly from?: Source
  readonly user?: string
}

interface Reply {
  readonly nonce?: string
  readonly realm?: string
  readonly stale?: boolean
}

/** Callers and their softswitch, which is known to give each address nonces of its own unless `learns` is false. */
class Talk {
  readonly exchanges = new Exchanges()
  #time = 1_700_000_000_000
  #cseq = 0
  #nonces = 0

  constructor({ learns = true } = {}) {
    // Three new nonces within a moment are a sign, and ten signs are enough.
    for (let i = 0; learns && i < 36; i++) {
      if (i % 3 === 0) this.#time += 3_000
      this.try(401, {
        turn: { from: at(`192.0.2.${i + 1}`, 5060), method: 'REGISTER' },
        reply: { nonce: this.fresh() },
      })
    }
  }

  fresh(): string {
    return `n${this.#nonces++}`
  }

  /** One request and its final answer: the failures that are told of it. */
  try(status: number, { turn = {}, reply = {} }: { turn?: Turn; reply?: Reply } = {}): ExchangeEnded[] {
    const { method = 'INVITE', from = CALLER, transport = 'udp', user = '1001', maybeForged = false } = turn
    const common: HeaderPair[] = [
      ['Via', `SIP/2.0/UDP ${from.address}:${from.port};branch=z9hG4bK${++this.#cseq};rport`],
      ['From', `<sip:${user}@${REALM}>;tag=1`],
      ['To', method === 'REGISTER' ? `<sip:${user}@${REALM}>` : '<sip:44@example.com>'],
      ['Call-ID', `${from.address}-${from.port}`],
      ['CSeq', `${this.#cseq} ${method}`],
    ]
    const digest = `Digest username="${user}", realm="${turn.realm ?? REALM}", nonce="${turn.nonce}", uri="sip:44@example.com", response="0123456789abcdef0123456789abcdef"`
    const asks: HeaderPair[] = turn.nonce === undefined ? [] : [['Proxy-Authorization', digest]]
    const challenge = `Digest realm="${reply.realm ?? REALM}", nonce="${reply.nonce}"${reply.stale ? ', stale=true' : ''}`
    const answers: HeaderPair[] = reply.nonce === undefined ? [] : [['Proxy-Authenticate', challenge]]
    const request = read(writeRequest({ method, uri: 'sip:44@example.com', headers: [...common, ...asks] }))
    const response = read(writeResponse({ status, reasonPhrase: 'x', headers: [...common, ...answers] }))
    const ends = { transport, maybeForged }
    const told = [
      ...this.exchanges.observe({
        ...ends,
        time: ++this.#time,
        source: from,
        destination: SERVER,
        message: request,
      }),
      ...this.exchanges.observe({
        ...ends,
        time: ++this.#time,
        source: SERVER,
        destination: from,
        message: response,
      }),
    ]
    return told.filter((observation): observation is ExchangeEnded => observation.kind === 'exchange')
  }

  /** A bare request that is challenged: the nonce that came. */
  challenged(turn: Turn = {}): string {
    const nonce = this.fresh()
    this.try(407, { turn, reply: { nonce } })
    return nonce
  }
}

describe('credentials in an INVITE', () => {
  it('that are refused over a nonce of the caller are a failure of the account that they name', () => {
    const talk = new Talk()
    const nonce = talk.challenged()
    const failures = talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })
    expect(failures).toMatchObject([
      {
        method: 'INVITE',
        outcome: 'failure',
        grade: 'path',
        account: '1001@example.com',
        source: CALLER,
        status: 407,
        nonceOfPort: true,
        nonceIssued: true,
      },
    ])
  })

  it.each(['MESSAGE', 'SUBSCRIBE', 'OPTIONS', 'PUBLISH'])('count in %s as well', (method) => {
    const talk = new Talk()
    const nonce = talk.challenged({ method })
    expect(talk.try(401, { turn: { method, nonce }, reply: { nonce: talk.fresh() } })).toMatchObject([
      { method },
    ])
  })

  it.each<[string, (talk: Talk) => ExchangeEnded[]]>([
    [
      'over a nonce that is too old',
      (talk) =>
        talk.try(407, { turn: { nonce: talk.challenged() }, reply: { nonce: talk.fresh(), stale: true } }),
    ],
    [
      'over a nonce that was good for a call before',
      (talk) => {
        const nonce = talk.challenged()
        talk.try(200, { turn: { nonce } })
        return talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })
      },
    ],
    [
      'over a nonce with which somebody was found busy',
      (talk) => {
        const nonce = talk.challenged()
        talk.try(486, { turn: { nonce } })
        return talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })
      },
    ],
    [
      'over a nonce that was good for a REGISTER',
      (talk) => {
        const nonce = talk.challenged({ method: 'REGISTER' })
        talk.try(200, { turn: { method: 'REGISTER', nonce } })
        return talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })
      },
    ],
    [
      'when the next hop asks for its own realm',
      (talk) =>
        talk.try(401, {
          turn: { nonce: talk.challenged() },
          reply: { nonce: talk.fresh(), realm: 'elsewhere.example' },
        }),
    ],
    [
      'with 403, which is of the number as often',
      (talk) => talk.try(403, { turn: { nonce: talk.challenged() } }),
    ],
    ['with 404, which is of the number', (talk) => talk.try(404, { turn: { nonce: talk.challenged() } })],
    [
      'over a nonce that nobody was seen to be given',
      (talk) => talk.try(407, { turn: { nonce: 'made-up' }, reply: { nonce: talk.fresh() } }),
    ],
    [
      'over a nonce that another address was given',
      (talk) => {
        const nonce = talk.challenged({ from: at('203.0.113.9', 5060) })
        return talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })
      },
    ],
  ])('are no failure where they are refused %s', (_, play) => {
    expect(play(new Talk())).toEqual([])
  })

  it('are no failure while nobody knows whether others get the same nonces', () => {
    const talk = new Talk({ learns: false })
    const nonce = talk.challenged()
    expect(talk.try(407, { turn: { nonce }, reply: { nonce: talk.fresh() } })).toEqual([])
  })

  it('need no such knowledge over TCP, unless the segments may be forged', () => {
    const overTcp = (maybeForged: boolean) => {
      const talk = new Talk({ learns: false })
      const turn = { transport: 'tcp', maybeForged } as const
      const nonce = talk.challenged(turn)
      return talk.try(407, { turn: { ...turn, nonce }, reply: { nonce: talk.fresh() } })
    }
    expect(overTcp(false)).toMatchObject([{ outcome: 'failure', transport: 'tcp' }])
    expect(overTcp(true)).toEqual([])
  })
})
