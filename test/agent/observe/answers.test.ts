import { describe, expect, it } from 'vitest'
import { BareRegisters } from '../../../agent/observe/bare-registers.ts'
import { Exchanges, type ExchangesOptions } from '../../../agent/observe/exchanges.ts'
import type { ExchangeEnded } from '../../../agent/observe/observation.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import type { SipMessage } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import type { HeaderPair } from '../../../registrar/sip/write-message.ts'
import { writeRequest, writeResponse } from '../../written-messages.ts'

const START = 1_700_000_000_000
const SECOND = 1_000
const SERVER: Source = { address: '198.51.100.1' as Address, port: 5060 }
const PHONE: Source = { address: '203.0.113.7' as Address, port: 5071 }
/** The same customer's address, and a port of it that nobody is registered from. */
const ELSEWHERE: Source = { ...PHONE, port: 40_000 }

function read(bytes: Buffer): SipMessage {
  const reading = readSipMessage(bytes)
  if (reading.kind !== 'message') throw new Error(`not a message: ${reading.kind}`)
  return reading.message
}

interface Turn {
  readonly cseq?: number
  readonly nonce?: string
  readonly phone?: Source
  readonly headers?: readonly HeaderPair[]
  readonly userAgent?: string
}

/** A softswitch that was seen answering, with one registered phone. */
class Watched {
  readonly exchanges: Exchanges
  readonly ended: ExchangeEnded[] = []

  constructor(options: ExchangesOptions = {}) {
    this.exchanges = new Exchanges({
      isBound: ({ address, port }) => address === PHONE.address && port === PHONE.port,
      ...options,
    })
    this.ask(START - 60 * SECOND, { cseq: 1_000 })
    this.answer(START - 60 * SECOND + 7, 401, { cseq: 1_000, nonce: 'n1' })
    this.ended.length = 0
  }

  ask(
    time: number,
    { cseq = 1, nonce, phone = PHONE, headers = [], userAgent = 'phone/1.0' }: Turn = {},
  ): void {
    const own: HeaderPair[] = [...common(cseq), ['User-Agent', userAgent], ...headers]
    if (nonce !== undefined)
      own.push([
        'Authorization',
        `Digest username="1001", realm="r", nonce="${nonce}", uri="sip:r", response="0"`,
      ])
    const message = read(writeRequest({ method: 'REGISTER', uri: 'sip:example.com', headers: own }))
    this.#observe(time, phone, SERVER, message)
  }

  answer(time: number, status: number, { cseq = 1, nonce, phone = PHONE, headers = [] }: Turn = {}): void {
    const own: HeaderPair[] = [...common(cseq), ...headers]
    if (nonce !== undefined) own.push(['WWW-Authenticate', `Digest realm="r", nonce="${nonce}"`])
    this.#observe(time, SERVER, phone, read(writeResponse({ status, reasonPhrase: 'x', headers: own })))
  }

  /** Something else passes, so that time goes on. */
  passes(time: number): void {
    const headers: HeaderPair[] = [...common(1)]
    const message = read(writeRequest({ method: 'OPTIONS', uri: 'sip:example.com', headers }))
    this.#observe(time, { address: '192.0.2.1' as Address, port: 5060 }, SERVER, message)
  }

  #observe(time: number, source: Source, destination: Source, message: SipMessage): void {
    for (const each of this.exchanges.observe({ time, transport: 'udp', source, destination, message }))
      if (each.kind === 'exchange') this.ended.push(each)
  }
}

function common(cseq: number): HeaderPair[] {
  return [
    ['Via', `SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK${cseq};rport`],
    ['From', '<sip:1001@example.com>;tag=1'],
    ['To', '<sip:1001@example.com>'],
    ['Call-ID', 'abc@phone'],
    ['CSeq', `${cseq} REGISTER`],
  ]
}

describe('how long an answer takes', () => {
  it('is measured from the first copy of the request to the first final answer', () => {
    const watched = new Watched()
    watched.ask(START)
    watched.ask(START + 500)
    watched.answer(START + 600, 100)
    watched.answer(START + 730, 401, { nonce: 'n2' })
    watched.answer(START + 731, 401, { nonce: 'n2' })
    expect(watched.ended).toMatchObject([
      { outcome: 'challenge', answeredIn: 730, userAgent: 'phone/1.0', bindings: [] },
    ])
    watched.ask(START + SECOND, { cseq: 2, nonce: 'n2' })
    watched.answer(START + SECOND + 12, 503, { cseq: 2 })
    expect(watched.ended[1]).toMatchObject({ outcome: 'overload', answeredIn: 12, userAgent: 'phone/1.0' })
  })

  it('is not known of a bare REGISTER from where nobody is registered, which is not remembered', () => {
    const watched = new Watched()
    watched.ask(START, { phone: ELSEWHERE })
    watched.answer(START + 9, 401, { phone: ELSEWHERE, nonce: 'n2' })
    expect(watched.ended).toMatchObject([{ outcome: 'challenge', answeredIn: null, userAgent: '' }])
  })

  it('cuts a User-Agent short', () => {
    const watched = new Watched()
    watched.ask(START, { nonce: 'n1', userAgent: 'x'.repeat(4_000) })
    watched.answer(START + 1, 403)
    expect(watched.ended[0]!.userAgent).toBe('x'.repeat(80))
  })
})

describe('silence', () => {
  it.each<[string, Turn]>([
    ['a bare REGISTER of a registered port', {}],
    ['credentials over the nonce that was sent there', { nonce: 'n1' }],
  ])('is said once of %s after 32 s, by the clock of what passes', (_, turn) => {
    const watched = new Watched()
    watched.ask(START, turn)
    for (let i = 1; i <= 32; i++) watched.ask(START + i * SECOND - 500, turn)
    watched.passes(START + 32 * SECOND)
    expect(watched.ended).toEqual([])
    watched.passes(START + 33 * SECOND)
    watched.passes(START + 34 * SECOND)
    expect(watched.ended).toMatchObject([
      {
        outcome: 'silence',
        status: 0,
        time: START + 33 * SECOND,
        source: PHONE,
        serverPort: 5060,
        account: '1001@example.com',
        answeredIn: null,
        userAgent: 'phone/1.0',
        withCredentials: turn.nonce !== undefined,
        grade: turn.nonce === undefined ? 'packet' : 'path',
      },
    ])
  })

  it.each<[string, (watched: Watched) => void]>([
    [
      'that was answered',
      (watched) => {
        watched.ask(START)
        watched.answer(START + 31 * SECOND, 401, { nonce: 'n2' })
      },
    ],
    ['from a port that nobody is registered from', (watched) => watched.ask(START, { phone: ELSEWHERE })],
    [
      'with credentials from such a port, that our own rules may have dropped',
      (watched) => watched.ask(START, { phone: ELSEWHERE, nonce: 'n1' }),
    ],
    ['over a nonce that was not sent there', (watched) => watched.ask(START, { nonce: 'made up' })],
    [
      'in a crowd from one port, of which the kernel’s limit may have dropped it',
      (watched) => {
        for (let i = 0; i < 20; i++) watched.ask(START + i, { cseq: i + 1 })
      },
    ],
  ])('is not said of a REGISTER %s', (_, happens) => {
    const watched = new Watched()
    happens(watched)
    watched.passes(START + 40 * SECOND)
    watched.passes(START + 80 * SECOND)
    expect(watched.ended.filter(({ outcome }) => outcome === 'silence')).toEqual([])
  })

  it('is not said where answers are not seen, or where the capture lost something', () => {
    const lossy = new Watched({ sawAllSince: (time) => time > START + SECOND })
    lossy.ask(START)
    lossy.ask(START + 2 * SECOND, { cseq: 2, nonce: 'n1' })
    lossy.passes(START + 40 * SECOND)
    expect(lossy.ended.map(({ withCredentials }) => withCredentials)).toEqual([true])

    const unseen = new Exchanges({ isBound: () => true })
    const message = read(writeRequest({ method: 'REGISTER', uri: 'sip:r', headers: common(1) }))
    const seen = { transport: 'udp', source: PHONE, destination: SERVER, message } as const
    unseen.observe({ ...seen, time: START })
    const later = unseen.observe({ ...seen, time: START + 60 * SECOND })
    expect(later.map(({ kind }) => kind)).toEqual(['register'])
  })

  it('waits for a bounded number of bare REGISTERs, those of late', () => {
    const bare = new BareRegisters()
    const register = { transport: 'udp', serverPort: 5060, to: '', userAgent: '' } as const
    for (let i = 0; i < 40_000; i++) {
      const source = { address: `10.0.${i >> 8}.${i & 255}` as Address, port: 5060 }
      bare.asked({ ...register, key: `${i}`, at: START + i, source })
    }
    expect(bare.size).toBe(16_384)
    expect(bare.takeSilent(START + 400 * SECOND, 32 * SECOND)).toHaveLength(16_384)
    expect(bare.size).toBe(0)
  })
})

describe('the bindings of a 200', () => {
  const granted = (contact: string, headers: HeaderPair[] = []): ExchangeEnded['bindings'] => {
    const watched = new Watched()
    watched.ask(START, { nonce: 'n1', headers: [['Contact', '<sip:1001@10.0.0.5:5060;ob>;expires=600']] })
    watched.answer(START + 1, 200, { headers: [['Contact', contact], ...headers] })
    return watched.ended[0]!.bindings
  }

  it('are its contacts, each with its time or that of the Expires header, the own one marked', () => {
    expect(granted('<sip:1001@10.0.0.5:5060;ob>;expires=300;received="sip:203.0.113.7:5071"')).toEqual([
      { contact: 'sip:1001@10.0.0.5:5060;ob', expires: 300, own: true },
    ])
    expect(
      granted('<sip:1001@192.0.2.1>;q=0.5, <sip:1001@10.0.0.5:5060;ob>;expires=10', [['Expires', '77']]),
    ).toEqual([
      { contact: 'sip:1001@192.0.2.1', expires: 77 },
      { contact: 'sip:1001@10.0.0.5:5060;ob', expires: 10, own: true },
    ])
  })

  it('are sixteen at most with the own one among them, and cut short', () => {
    const many = Array.from({ length: 40 }, (_, i) => `<sip:1001@10.1.0.${i}>`)
    const listed = granted([...many, '<sip:1001@10.0.0.5:5060;ob>'].join(', '))
    expect(listed).toHaveLength(16)
    expect(listed.at(-1)).toMatchObject({ own: true })
    expect(granted(`<sip:1001@${'x'.repeat(500)}>`)[0]!.contact).toHaveLength(256)
  })

  it('are none where they cannot be read, or were all removed', () => {
    expect(granted('<sip:never closed')).toEqual([])
    const watched = new Watched()
    watched.ask(START, {
      nonce: 'n1',
      headers: [
        ['Contact', '*'],
        ['Expires', '0'],
      ],
    })
    watched.answer(START + 1, 200)
    expect(watched.ended[0]).toMatchObject({ outcome: 'success', grantedExpires: 0, bindings: [] })
  })
})
