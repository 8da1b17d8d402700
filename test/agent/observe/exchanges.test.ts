import { describe, expect, it } from 'vitest'
import { Exchanges } from '../../../agent/observe/exchanges.ts'
import type {
  ExchangeEnded,
  Observation,
  RegisterSeen,
  Transport,
} from '../../../agent/observe/observation.ts'
import type { Address, Source } from '../../../registrar/net/address.ts'
import type { SipMessage } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import type { HeaderPair } from '../../../registrar/sip/write-message.ts'
import { writeRequest, writeResponse } from '../../written-messages.ts'

const START = 1_700_000_000_000
const SERVER = at('198.51.100.1', 5060)
const PHONE = at('203.0.113.7', 5071)

function at(address: string, port: number): Source {
  return { address: address as Address, port }
}

function read(bytes: Buffer): SipMessage {
  const reading = readSipMessage(bytes)
  if (reading.kind !== 'message') throw new Error(`not a message: ${reading.kind}`)
  return reading.message
}

interface Turn {
  readonly username?: string
  readonly response?: string
  /** The whole Authorization header, where it is an odd one. */
  readonly authorization?: string
  readonly phone?: Source
  readonly cseq?: number
  readonly nonce?: string
  readonly transport?: Transport
  readonly method?: string
  /** In CSeq, where it differs from that of the request line. */
  readonly cseqMethod?: string
  readonly callId?: string
  /** Its Via, where it is not the usual one. */
  readonly via?: HeaderPair
  /** More headers of a request. */
  readonly headers?: readonly HeaderPair[]
}

function common({
  cseq = 1,
  method = 'REGISTER',
  cseqMethod = method,
  callId = 'abc@phone',
  via,
}: Turn): HeaderPair[] {
  return [
    via ?? ['Via', `SIP/2.0/UDP 10.0.0.5:5060;branch=z9hG4bK${cseq};rport`],
    ['From', '<sip:1001@example.com>;tag=1'],
    ['To', '<sip:1001@EXAMPLE.com>'],
    ['Call-ID', callId],
    ['CSeq', `${cseq} ${cseqMethod}`],
  ]
}

class Talk {
  readonly exchanges: Exchanges
  constructor({ mostTransactions = 100 } = {}) {
    this.exchanges = new Exchanges({ mostTransactions })
  }

  #time = START
  /** How far the clock goes between messages. */
  step = 1

  #tick(): number {
    this.#time += this.step
    return this.#time
  }

  request(turn: Turn = {}): Observation[] {
    const headers = common(turn)
    const { nonce, username = '1001', response = '0123456789abcdef0123456789abcdef' } = turn
    const written = `Digest username="${username}", realm="example.com", nonce="${nonce}", uri="sip:example.com", response="${response}"`
    if (turn.authorization !== undefined) headers.push(['Authorization', turn.authorization])
    else if (nonce !== undefined) headers.push(['Authorization', written])
    headers.push(['User-Agent', 'phone/1.0'], ...(turn.headers ?? []))
    const message = read(writeRequest({ method: turn.method ?? 'REGISTER', uri: 'sip:example.com', headers }))
    return this.exchanges.observe({
      time: this.#tick(),
      transport: turn.transport ?? 'udp',
      source: turn.phone ?? PHONE,
      destination: SERVER,
      message,
    })
  }

  answer(
    status: number,
    turn: Turn & { stale?: boolean; headers?: HeaderPair[] } = {},
  ): ExchangeEnded | undefined {
    const headers = [...common(turn), ...(turn.headers ?? [])]
    if (turn.nonce !== undefined) {
      const stale = turn.stale ? ', stale=TRUE' : ''
      headers.push(['WWW-Authenticate', `Digest realm="example.com", nonce="${turn.nonce}"${stale}`])
    }
    const message = read(writeResponse({ status, reasonPhrase: 'x', headers }))
    const observations = this.exchanges.observe({
      time: this.#tick(),
      transport: turn.transport ?? 'udp',
      source: SERVER,
      destination: turn.phone ?? PHONE,
      message,
    })
    return observations.find((observation): observation is ExchangeEnded => observation.kind === 'exchange')
  }
}

/** A REGISTER with what is read of it only when asked for. */
function plain(observation: Observation | undefined) {
  if (observation?.kind !== 'register') return observation
  const { kind, time, source, transport, account, userAgent } = observation
  const { answersOwnNonce, answersChallenge, answersSentNonce } = observation
  return {
    kind,
    time,
    source,
    transport,
    account,
    userAgent,
    answersOwnNonce,
    answersChallenge,
    answersSentNonce,
  }
}

function ended(exchange: ExchangeEnded | undefined) {
  return exchange && [exchange.outcome, exchange.grade, exchange.grantedExpires]
}

describe('an exchange', () => {
  it('of a phone that registers is a challenge and then a success that proves the account', () => {
    const talk = new Talk()
    expect(plain(talk.request()[0])).toEqual({
      kind: 'register',
      time: START + 1,
      source: PHONE,
      transport: 'udp',
      account: '1001@example.com',
      userAgent: 'phone/1.0',
      answersOwnNonce: false,
      answersChallenge: false,
      answersSentNonce: false,
    } satisfies RegisterSeen)
    expect(ended(talk.answer(401, { nonce: 'n1' }))).toEqual(['challenge', 'packet', 0])
    expect(talk.request({ cseq: 2, nonce: 'n1' })[0]).toMatchObject({
      answersOwnNonce: true,
      answersChallenge: true,
      answersSentNonce: true,
    })
    const contact: HeaderPair = [
      'Contact',
      '<sip:1001@10.0.0.5>;expires=600, <sip:1001@10.0.0.6>;expires=900',
    ]
    expect(ended(talk.answer(200, { cseq: 2, headers: [contact] }))).toEqual(['success', 'account', 900])
  })

  it.each<[string, (talk: Talk) => ExchangeEnded | undefined, unknown]>([
    [
      'wrong password: a failure proven by the return path',
      (talk) => talk.answer(401, { cseq: 2, nonce: 'n2' }),
      ['failure', 'path', 0],
    ],
    ['403 to credentials: a failure', (talk) => talk.answer(403, { cseq: 2 }), ['failure', 'path', 0]],
    ['404 to credentials: a failure', (talk) => talk.answer(404, { cseq: 2 }), ['failure', 'path', 0]],
    [
      'stale=true: no failure',
      (talk) => talk.answer(401, { cseq: 2, nonce: 'n2', stale: true }),
      ['stale', 'path', 0],
    ],
    ['503: overload', (talk) => talk.answer(503, { cseq: 2 }), ['overload', 'path', 0]],
    ['302: redirect', (talk) => talk.answer(302, { cseq: 2 }), ['redirect', 'path', 0]],
    ['423: something else', (talk) => talk.answer(423, { cseq: 2 }), ['other', 'path', 0]],
    ['100: not the end', (talk) => talk.answer(100, { cseq: 2 }), undefined],
    [
      '200 without a time: the usual hour',
      (talk) => talk.answer(200, { cseq: 2, headers: [['Contact', '<sip:a@b>']] }),
      ['success', 'account', 3600],
    ],
    [
      '200 without contacts: everything was removed',
      (talk) => talk.answer(200, { cseq: 2 }),
      ['success', 'account', 0],
    ],
  ])('with credentials, %s', (_, finish, expected) => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1' })
    expect(ended(finish(talk))).toEqual(expected)
  })

  it('without credentials that is refused is packet grade', () => {
    const talk = new Talk()
    talk.request()
    expect(ended(talk.answer(403))).toEqual(['refused', 'packet', 0])
  })

  it('over a nonce that was good before and is refused now is stale, whatever the answer omits', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1' })
    talk.answer(200, { cseq: 2 })
    talk.request({ cseq: 3, nonce: 'n1' })
    expect(ended(talk.answer(401, { cseq: 3, nonce: 'n2' }))).toEqual(['stale', 'path', 0])
  })

  it('over a nonce of somebody else, or of nobody, proves nothing about the sender', () => {
    const talk = new Talk()
    const other = at('192.0.2.9', 5060)
    talk.request({ phone: other, callId: 'other' })
    talk.answer(401, { phone: other, callId: 'other', nonce: 'stolen' })
    talk.request({ cseq: 2, nonce: 'stolen' })
    expect(ended(talk.answer(401, { cseq: 2, nonce: 'n2' }))).toEqual(['failure', 'packet', 0])
    talk.request({ cseq: 3, nonce: 'invented' })
    expect(ended(talk.answer(401, { cseq: 3, nonce: 'n3' }))).toEqual(['failure', 'packet', 0])
  })

  it('with a softswitch that gives one nonce to two addresses is packet grade from then on', () => {
    const talk = new Talk()
    const other = at('192.0.2.9', 5060)
    talk.request()
    talk.answer(401, { nonce: 'shared' })
    talk.request({ phone: other, callId: 'other' })
    talk.answer(401, { phone: other, callId: 'other', nonce: 'shared' })
    expect(talk.request({ cseq: 2, nonce: 'shared' })[0]).toMatchObject({
      answersOwnNonce: false,
      answersChallenge: true,
    })
    expect(ended(talk.answer(401, { cseq: 2, nonce: 'n2' }))).toEqual(['failure', 'packet', 0])
    talk.request({ cseq: 3, nonce: 'n2' })
    expect(ended(talk.answer(401, { cseq: 3, nonce: 'n4' }))).toEqual(['failure', 'packet', 0])
  })

  it('over a nonce that was good for somebody else is a failure all the same', () => {
    const talk = new Talk()
    const other = at('192.0.2.9', 5060)
    talk.request({ phone: other, callId: 'other' })
    talk.answer(401, { phone: other, callId: 'other', nonce: 'shared' })
    talk.request({ phone: other, callId: 'other', cseq: 2, nonce: 'shared' })
    talk.answer(200, { phone: other, callId: 'other', cseq: 2 })
    talk.request()
    talk.answer(401, { nonce: 'shared' })
    talk.request({ cseq: 2, nonce: 'shared' })
    expect(ended(talk.answer(401, { cseq: 2, nonce: 'shared' }))).toEqual(['failure', 'packet', 0])
  })

  it('over TCP is return-path grade, since the handshake needed the answers', () => {
    const talk = new Talk()
    talk.request({ transport: 'tcp', nonce: 'invented' })
    expect(ended(talk.answer(401, { transport: 'tcp', nonce: 'n1' }))).toEqual(['failure', 'path', 0])
  })

  it('counts once, however often the request and the answer are retransmitted', () => {
    const talk = new Talk()
    talk.request()
    talk.request()
    expect(ended(talk.answer(401, { nonce: 'n1' }))).toEqual(['challenge', 'packet', 0])
    talk.request()
    expect(talk.answer(401, { nonce: 'n1' })).toBeUndefined()
    talk.request({ cseq: 2, nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1' })
    expect(ended(talk.answer(403, { cseq: 2 }))).toEqual(['failure', 'path', 0])
    talk.request({ cseq: 2, nonce: 'n1' })
    expect(talk.answer(403, { cseq: 2 })).toBeUndefined()
  })

  it('is a new attempt with other credentials, although Call-ID, CSeq and branch stay the same', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    for (const response of ['a', 'b', 'c']) {
      talk.request({ cseq: 2, nonce: 'n1', response: response.repeat(32) })
      expect(ended(talk.answer(401, { cseq: 2, nonce: 'n1' }))).toEqual(['failure', 'path', 0])
    }
  })

  it('is of the account whose password is tried, not of the one that To names', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1' })
    expect(talk.answer(200, { cseq: 2 })?.account).toBe('1001@example.com')
    talk.request({ cseq: 3, nonce: 'n1', username: '2001' })
    const guessed = talk.answer(401, { cseq: 3, nonce: 'n2' })
    expect([guessed?.outcome, guessed?.account]).toEqual(['failure', '2001'])
  })

  it.each([
    'Digest username="1001", foo=bar, foo=baz, realm="example.com", nonce="n1", uri="sip:x", response="0"',
    'Digest nonce="n1"',
    'Digest',
  ])('with credentials that cannot be read (%s) is an attempt all the same', (authorization) => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, authorization })
    expect(talk.answer(401, { cseq: 2, nonce: 'n2' })?.outcome).toBe('failure')
  })

  it('over UDP does not get its grade from a forged TCP segment of the same Call-ID', () => {
    const talk = new Talk()
    talk.request({ transport: 'tcp', nonce: 'invented' })
    talk.request({ nonce: 'invented' })
    expect(ended(talk.answer(401, { nonce: 'n1' }))).toEqual(['failure', 'packet', 0])
  })

  it('survives a NAT that gives the answer to credentials another port', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    const moved = at('203.0.113.7', 6000)
    expect(talk.request({ phone: moved, cseq: 2, nonce: 'n1' })[0]).toMatchObject({ answersOwnNonce: true })
    expect(ended(talk.answer(200, { phone: moved, cseq: 2 }))).toEqual(['success', 'account', 0])
  })

  it('is kept within a bound, however many are begun, and a flood of bare REGISTERs begins none', () => {
    const talk = new Talk()
    talk.step = 0
    for (let i = 0; i < 700; i++) talk.request({ callId: `bare-${i}` })
    expect(talk.exchanges.pending).toBe(0)
    for (let i = 0; i < 700; i++) talk.request({ callId: `flood-${i}-${'x'.repeat(i % 300)}`, nonce: 'n' })
    expect(talk.exchanges.pending).toBe(100)
    expect(talk.exchanges.letGo).toBe(600)
  })
})

describe('other SIP', () => {
  it('is seen and means nothing more', () => {
    const talk = new Talk()
    expect(talk.request({ method: 'OPTIONS' })).toEqual([{ kind: 'sip', time: START + 1, source: PHONE }])
    expect(talk.answer(200, { method: 'OPTIONS' })).toBeUndefined()
  })
})

describe('for the lanes', () => {
  const BINDINGS: HeaderPair = ['Contact', '<sip:1001@10.0.0.5>;expires=600, <sip:1001@10.0.0.6>;expires=900']

  function registered(headers: readonly HeaderPair[]): ExchangeEnded | undefined {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1', headers })
    return talk.answer(200, { cseq: 2, headers: [BINDINGS] })
  }

  it.each<[string, HeaderPair[], number]>([
    ['a registration', [['Contact', '<sip:1001@10.0.0.5>']], 600],
    ['a registration of the other', [['Contact', '<sip:1001@10.0.0.6>']], 900],
    [
      'one that the softswitch wrote anew, so that nobody can tell which',
      [['Contact', '<sip:1001@10.0.0.7>']],
      900,
    ],
    ['a question for the bindings', [], 900],
    ['a question with Expires: 0', [['Expires', '0']], 900],
    [
      'all of an account',
      [
        ['Contact', '*'],
        ['Expires', '0'],
      ],
      0,
    ],
    ['one contact by its parameter', [['Contact', '<sip:1001@10.0.0.5>;expires=0']], 0],
    ['one contact with blanks', [['Contact', '<sip:1001@10.0.0.5> ; Expires = 0']], 0],
    [
      'one contact by the header',
      [
        ['Contact', '<sip:1001@10.0.0.5>'],
        ['Expires', '0'],
      ],
      0,
    ],
    [
      'one contact and another one not',
      [
        ['Contact', '<sip:1001@10.0.0.5>;expires=0'],
        ['Contact', '<sip:1001@10.0.0.7>;expires=60'],
      ],
      900,
    ],
    [
      'a parameter that is stronger than the header',
      [
        ['Contact', '<sip:1001@10.0.0.5>;expires=60'],
        ['Expires', '0'],
      ],
      600,
    ],
    ['an expiry of 05', [['Contact', '<sip:1001@10.0.0.5>;expires=05']], 600],
  ])('%s grants what the answer says, or nothing', (_, headers, granted) => {
    // The answer lists the bindings of the account's other phones as well.
    expect(registered(headers)).toMatchObject({ withCredentials: true, grantedExpires: granted })
  })

  it('one that names no contact only asks, unless where it came from is listed', () => {
    const asked = (listed: string) => {
      const talk = new Talk()
      talk.request()
      talk.answer(401, { nonce: 'n1' })
      talk.request({ cseq: 2, nonce: 'n1' })
      return talk.answer(200, { cseq: 2, headers: [['Contact', listed]] })
    }
    const { address, port } = PHONE
    const own = `<sip:1001@${address}:${port};ob>;expires=100`
    expect(asked('<sip:1001@10.0.0.5>;expires=600')?.isQuery).toBe(true)
    expect(asked(`${own}, <sip:1001@10.0.0.5>;expires=600`)).toMatchObject({ grantedExpires: 100 })
    expect(asked(`${own}, <sip:1001@10.0.0.5>;expires=600`)?.isQuery).toBeUndefined()
  })

  it('a 200 that lists nothing and says a time grants that', () => {
    const grants = (headers: HeaderPair[]) => {
      const talk = new Talk()
      talk.request()
      talk.answer(401, { nonce: 'n1' })
      talk.request({ cseq: 2, nonce: 'n1', headers: [['Contact', '<sip:1001@10.0.0.5>']] })
      return talk.answer(200, { cseq: 2, headers })?.grantedExpires
    }
    expect(grants([['Expires', '120']])).toBe(120)
    expect(grants([])).toBe(0)
  })

  it('a contact that was mended for a NAT is the one at its source', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1', headers: [['Contact', '<sip:1001@192.168.1.9:5060>']] })
    const listed = `<sip:1001@192.0.2.8:5060>;expires=3600, <sip:1001@${PHONE.address}:${PHONE.port}>;expires=100`
    expect(talk.answer(200, { cseq: 2, headers: [['Contact', listed]] })).toMatchObject({
      grantedExpires: 100,
    })
  })

  it('an answer to a bare REGISTER is one without credentials', () => {
    const talk = new Talk()
    talk.request()
    expect(talk.answer(200, { headers: [BINDINGS] })).toMatchObject({
      outcome: 'success',
      withCredentials: false,
    })
  })

  it('a shared nonce is told from one that was sent to this very port', () => {
    const talk = new Talk()
    const neighbour = at('198.51.100.77', 5060)
    const otherPort = at(PHONE.address, 9)
    for (const phone of [PHONE, neighbour]) {
      talk.request({ phone, callId: phone.address })
      talk.answer(401, { phone, nonce: 'shared', callId: phone.address })
    }
    const answer = (phone: Source) => talk.request({ phone, cseq: 2, nonce: 'shared', callId: 'x' })[0]
    expect(answer(PHONE)).toMatchObject({
      answersOwnNonce: false,
      answersChallenge: true,
      answersSentNonce: true,
    })
    expect(answer(otherPort)).toMatchObject({ answersChallenge: true, answersSentNonce: false })
    expect(answer(at('192.0.2.1', 5060))).toMatchObject({ answersChallenge: true, answersSentNonce: false })
    talk.request({ cseq: 3, callId: 'y' })
    talk.answer(401, { cseq: 3, nonce: 'later', callId: 'y' })
    // It was sent to this port all the same: who guesses over one nonce is sent a new one each time.
    expect(answer(PHONE)).toMatchObject({ answersSentNonce: true })
  })
})

describe('who hides a guess', () => {
  const failures = (talk: Talk, turn: Omit<Turn, 'headers'>, count: number) =>
    Array.from({ length: count }, () => talk.answer(401, { ...turn, nonce: 'next' })?.outcome)
  const challenged = (turn: Pick<Turn, 'transport'> = {}) => {
    const talk = new Talk()
    talk.request(turn)
    talk.answer(401, { ...turn, nonce: 'mine' })
    return talk
  }
  const digest = (parameters: string) =>
    `Digest ${parameters}username="1001",realm="example.com",nonce="mine",uri="sip:x",response="0123456789abcdef0123456789abcdef"`

  it.each([
    ['a parameter twice before the nonce', 'cnonce="zz",cnonce="yy",'],
    ['another nonce before it', 'nonce="zz",'],
    ['an unknown parameter twice', 'x="1",x="2",'],
    ['a parameter without a value', 'x,'],
  ])('behind %s is seen to answer his own nonce', (_, parameters) => {
    const talk = challenged()
    expect(talk.request({ cseq: 2, authorization: digest(parameters) })[0]).toMatchObject({
      answersOwnNonce: true,
    })
    expect(talk.answer(401, { cseq: 2, nonce: 'next' })).toMatchObject({
      outcome: 'failure',
      grade: 'path',
      account: '1001@example.com',
      nonceOfPort: true,
      nonceIssued: true,
    })
  })

  it('under one Call-ID, CSeq and branch over TCP fails as often as he is refused', () => {
    const turn = { transport: 'tcp', cseq: 2 } as const
    const talk = challenged({ transport: 'tcp' })
    for (let i = 0; i < 40; i++)
      talk.request({ ...turn, nonce: 'mine', response: String(i).padStart(32, '0') })
    expect(failures(talk, turn, 40)).toEqual(new Array(40).fill('failure'))
    // What is answered once more than asked for was answered twice.
    expect(failures(talk, turn, 1)).toEqual([undefined])
  })

  it('and whoever is answered twice fails once', () => {
    const talk = challenged()
    talk.request({ cseq: 2, nonce: 'mine' })
    talk.request({ cseq: 2, nonce: 'mine' })
    expect(failures(talk, { cseq: 2 }, 3)).toEqual(['failure', undefined, undefined])
  })
})

describe('neighbours behind one address', () => {
  const NEIGHBOUR = at(PHONE.address, 6_000)

  it.each(['udp', 'tcp'] as const)(
    'over %s: an answer to one ends nothing that was asked from the other’s port',
    (transport) => {
      const talk = new Talk()
      talk.request({ transport, phone: NEIGHBOUR })
      talk.answer(401, { transport, phone: NEIGHBOUR, nonce: 'theirs' })
      const same = { transport, cseq: 2, nonce: 'theirs', callId: 'same' } as const
      // Somebody forges it from the port of a registered phone, and the neighbour sends it himself.
      talk.request({ ...same, phone: PHONE })
      talk.request({ ...same, phone: NEIGHBOUR })
      expect(talk.answer(401, { ...same, phone: NEIGHBOUR, nonce: 'next' })).toMatchObject({
        outcome: 'failure',
        source: NEIGHBOUR,
        nonceOfPort: true,
      })
    },
  )

  it('a nonce of the neighbour is not one of this port', () => {
    const talk = new Talk()
    talk.request({ phone: NEIGHBOUR })
    talk.answer(401, { phone: NEIGHBOUR, nonce: 'theirs' })
    talk.request({ cseq: 2, nonce: 'theirs' })
    expect(talk.answer(401, { cseq: 2, nonce: 'next' })).toMatchObject({ grade: 'path', nonceOfPort: false })
  })

  it('in IPv6 a nonce is good for the whole /64, as an address is', () => {
    const talk = new Talk()
    const [one, two] = [at('2001:db8:1:2::1', 5060), at('2001:db8:1:2:ffff::2', 5060)]
    talk.request({ phone: one })
    talk.answer(401, { phone: one, nonce: 'theirs' })
    talk.request({ phone: two, cseq: 2, nonce: 'theirs' })
    expect(talk.answer(401, { phone: two, cseq: 2, nonce: 'next' })).toMatchObject({
      outcome: 'failure',
      grade: 'path',
    })
  })
})

describe('a phone that does not ask for its own port', () => {
  it.each([
    ['is answered at that of its Via', 5_060],
    ['or at its own, by softswitches that always do', PHONE.port],
  ])('%s', (_, port) => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'mine' })
    const via: HeaderPair = ['Via', 'SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK2']
    talk.request({ cseq: 2, nonce: 'mine', via })
    expect(talk.answer(200, { cseq: 2, via, phone: at(PHONE.address, port) })).toMatchObject({
      outcome: 'success',
      source: PHONE,
    })
  })
})

describe('a guess cannot be hidden', () => {
  const credentials = (realm: string, nonce: string, username = '1001'): HeaderPair => [
    'Authorization',
    `Digest username="${username}", realm="${realm}", nonce="${nonce}", uri="sip:example.com", response="0123456789abcdef0123456789abcdef"`,
  ]
  /** Somebody who registered with an account of his own, over the nonce `good`. */
  function insider() {
    const talk = new Talk()
    talk.request({ callId: 'own' })
    talk.answer(401, { callId: 'own', nonce: 'good' })
    const own = { callId: 'own', cseq: 2, headers: [credentials('example.com', 'good', 'zz')] }
    talk.request(own)
    talk.answer(200, { callId: 'own', cseq: 2, headers: [['Contact', '<sip:a@b>']] })
    return talk
  }

  it('by CSeq, which softswitches do not compare with the request line', () => {
    const talk = new Talk()
    talk.request({ cseqMethod: 'OPTIONS' })
    talk.answer(401, { cseqMethod: 'OPTIONS', nonce: 'n1' })
    const guess = { cseq: 2, cseqMethod: 'OPTIONS', nonce: 'n1' }
    talk.request(guess)
    expect(ended(talk.answer(401, { ...guess, nonce: 'n2' }))).toEqual(['failure', 'path', 0])
    // A true OPTIONS with the same fields may be what a 200 answers.
    const next = { cseq: 3, cseqMethod: 'OPTIONS', nonce: 'n2' }
    talk.request(next)
    expect(talk.answer(200, { ...next, nonce: undefined as never })).toBeUndefined()
    expect(ended(talk.answer(403, { cseq: 3, cseqMethod: 'OPTIONS' }))).toEqual(['failure', 'path', 0])
  })

  it.each([
    ['before', ['other.example', 'example.com']],
    ['behind', ['example.com', 'other.example']],
  ])('by a good nonce for another realm %s it', (_where, realms) => {
    const talk = insider()
    talk.request({ cseq: 7 })
    talk.answer(401, { cseq: 7, nonce: 'fresh' })
    const headers = realms.map((realm) =>
      realm === 'example.com' ? credentials(realm, 'fresh') : credentials(realm, 'good', 'zz'),
    )
    talk.request({ cseq: 8, headers })
    const exchange = talk.answer(401, { cseq: 8, nonce: 'next' })
    expect([exchange?.outcome, exchange?.account]).toEqual(['failure', '1001@example.com'])
  })

  it('by more headers than a phone has', () => {
    const talk = insider()
    talk.request({ cseq: 7 })
    talk.answer(401, { cseq: 7, nonce: 'fresh' })
    const decoys = Array.from({ length: 12 }, (_, i) => credentials(`r${i}`, 'good', 'zz'))
    talk.request({ cseq: 8, headers: [...decoys, credentials('example.com', 'fresh')] })
    expect(talk.answer(401, { cseq: 8, nonce: 'next' })).toMatchObject({
      outcome: 'failure',
      account: '1001@example.com',
    })
  })

  it('by a nonce made good for the victim beside his own account', () => {
    const talk = new Talk()
    talk.request()
    talk.answer(401, { nonce: 'good' })
    const both = [credentials('example.com', 'good', '1001'), credentials('example.com', 'good', 'zz')]
    talk.request({ cseq: 2, headers: both })
    talk.answer(200, { cseq: 2, headers: [['Contact', '<sip:a@b>']] })
    talk.request({ cseq: 3, nonce: 'good' })
    expect(talk.answer(401, { cseq: 3, nonce: 'next' })?.outcome).toBe('failure')
  })
})

describe('what rests on a nonce that others may have', () => {
  it('a nonce that went to somebody else for an INVITE proves nothing', () => {
    const talk = new Talk()
    const attacker = at('192.0.2.66', 5060)
    talk.request({ method: 'INVITE', phone: attacker, callId: 'x' })
    talk.answer(407, { method: 'INVITE', phone: attacker, callId: 'x', nonce: 'n1' })
    // Forged, under the phone's address, within the same second.
    talk.request()
    talk.answer(401, { nonce: 'n1' })
    talk.request({ cseq: 2, nonce: 'n1' })
    expect(ended(talk.answer(401, { cseq: 2, nonce: 'n2' }))).toEqual(['failure', 'packet', 0])
  })

  it('is not certain before it is known that the softswitch gives each address its own', () => {
    const talk = new Talk()
    let calls = 0
    const fail = (transport: Transport) => {
      const callId = `call-${++calls}`
      talk.request({ transport, callId })
      talk.answer(401, { transport, callId, nonce: callId })
      const guess = { transport, callId, cseq: 2 }
      talk.request({ ...guess, nonce: callId })
      return talk.answer(401, { ...guess, nonce: 'n2' })
    }
    expect(fail('udp')).toMatchObject({ grade: 'path', pathCertain: false })
    expect(fail('tcp')).toMatchObject({ grade: 'path' })
    expect(fail('tcp')).not.toHaveProperty('pathCertain')
    const server = '198.51.100.1:5060'
    const unique = { server, state: 'unique', since: START, shared: 0, unique: 10 } as const
    talk.exchanges.nonces.sharing.restore([unique], START)
    expect(fail('udp')).not.toHaveProperty('pathCertain')
  })
})

describe('a success answers the challenge of its source', () => {
  const other = { address: '203.0.113.99' as Source['address'], port: 5060 }
  it.each<[string, (talk: Talk) => void, Turn, boolean]>([
    ['over a nonce of its own', (talk) => talk.answer(401, { nonce: 'n1' }), {}, true],
    [
      'over a nonce that others were sent too, but last to its port',
      (talk) => {
        talk.answer(401, { nonce: 'n1', phone: other })
        talk.answer(401, { nonce: 'n1' })
      },
      {},
      true,
    ],
    [
      'over a nonce that only another was sent',
      (talk) => talk.answer(401, { nonce: 'n1', phone: other }),
      {},
      false,
    ],
    ['over a nonce that nobody was sent', () => {}, {}, false],
    ['over TCP', () => {}, { transport: 'tcp' }, true],
  ])('%s: %#', (_, before, turn, answers) => {
    const talk = new Talk()
    before(talk)
    talk.request({ ...turn, cseq: 7, nonce: 'n1' })
    expect(talk.answer(200, { transport: turn.transport ?? 'udp', cseq: 7 })).toMatchObject({
      outcome: 'success',
      answersItsChallenge: answers,
    })
  })
})

describe('what is kept of a message', () => {
  it('tells long nonces apart by all of their text', () => {
    const long = (end: string) => 'n'.repeat(2_000) + end
    const talk = new Talk()
    talk.answer(401, { nonce: long('1') })
    expect(talk.request({ cseq: 2, nonce: long('2') })[0]).toMatchObject({ answersSentNonce: false })
    expect(talk.request({ cseq: 3, nonce: long('1') })[0]).toMatchObject({
      answersOwnNonce: true,
      answersSentNonce: true,
    })
    expect(ended(talk.answer(200, { cseq: 3 }))?.slice(0, 2)).toEqual(['success', 'account'])
  })
})
