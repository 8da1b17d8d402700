import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Address, parseAddress, type Source } from '../../../registrar/net/address.ts'
import type { SipRequest } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import { respond, responseTarget } from '../../../registrar/sip/respond.ts'
import { bytesOf, messageIn, registerBytes, requestIn } from './messages.ts'

const source = (address: string, port = 40_000): Source => ({
  address: parseAddress(address) as Address,
  port,
})

/** The top Via that the answer to a request with this Via carries. */
function answeredVia(via: string, from: Source): string | undefined {
  const request = requestIn(bytesOf(['REGISTER sip:a SIP/2.0', `Via: ${via}`]))
  return messageIn(respond(request, { status: 200, receivedFrom: from })).first('via')
}

test('an answer carries what RFC 3261 section 8.2.6.2 asks, in order, and nothing else of the request', () => {
  const request = requestIn(
    bytesOf(
      [
        'REGISTER sip:example.com SIP/2.0',
        'v: SIP/2.0/UDP h1;branch=z9hG4bK1;rport, SIP/2.0/TCP h2',
        'Contact: <sip:c@d>',
        'Via: SIP/2.0/UDP h3\r\n ;x',
        'CSeq: 7  REGISTER',
        'i: c1@h',
        't: "T\xfc" <sip:a@b>',
        'f: <sip:a@b>;tag=f',
      ],
      'body',
    ),
  )
  const answer = respond(request, {
    status: 401,
    headers: [['WWW-Authenticate', 'Digest realm="\u00fc", nonce="n"']],
    toTag: 't1',
    receivedFrom: source('192.0.2.7', 5071),
  })
  expect(answer.toString('latin1').split('\r\n')).toEqual([
    'SIP/2.0 401 Unauthorized',
    'Via: SIP/2.0/UDP h1;branch=z9hG4bK1;rport=5071;received=192.0.2.7, SIP/2.0/TCP h2',
    'Via: SIP/2.0/UDP h3 ;x',
    'From: <sip:a@b>;tag=f',
    'To: "T\xfc" <sip:a@b>;tag=t1',
    'Call-ID: c1@h',
    'CSeq: 7  REGISTER',
    'WWW-Authenticate: Digest realm="\xc3\xbc", nonce="n"',
    'Content-Length: 0',
    '',
    '',
  ])
})

describe('the top Via', () => {
  test.each([
    // RFC 3261 section 18.2.1: only what differs is noted, unless RFC 3581 asks.
    ['SIP/2.0/UDP 192.0.2.7:5060;branch=b', '192.0.2.7', 'SIP/2.0/UDP 192.0.2.7:5060;branch=b'],
    ['SIP/2.0/UDP h;branch=b', '192.0.2.7', 'SIP/2.0/UDP h;branch=b;received=192.0.2.7'],
    [
      'SIP/2.0/UDP 192.0.2.7;rport;branch=b',
      '192.0.2.7',
      'SIP/2.0/UDP 192.0.2.7;branch=b;rport=40000;received=192.0.2.7',
    ],
    ['SIP/2.0/UDP 10.0.0.1', '192.0.2.7', 'SIP/2.0/UDP 10.0.0.1;received=192.0.2.7'],
    // What the client claims of itself is not kept.
    [
      'SIP/2.0/UDP h;received=198.51.100.1;rport=9;x',
      '192.0.2.7',
      'SIP/2.0/UDP h;x;rport=40000;received=192.0.2.7',
    ],
    ['SIP/2.0/UDP 192.0.2.7;RECEIVED = 198.51.100.1', '192.0.2.7', 'SIP/2.0/UDP 192.0.2.7'],
    ['SIP/2.0/UDP h;x="; received=1";y', '192.0.2.7', 'SIP/2.0/UDP h;x="; received=1";y;received=192.0.2.7'],
    ['SIP/2.0/UDP [2001:DB8::1]', '2001:db8::1', 'SIP/2.0/UDP [2001:DB8::1]'],
    ['SIP/2.0/UDP [2001:DB8::1]', '2001:db8::2', 'SIP/2.0/UDP [2001:DB8::1];received=2001:db8::2'],
    [
      'SIP/2.0/UDP h, SIP/2.0/UDP 10.0.0.1',
      '192.0.2.7',
      'SIP/2.0/UDP h;received=192.0.2.7, SIP/2.0/UDP 10.0.0.1',
    ],
    ['unreadable', '192.0.2.7', 'unreadable'],
  ])('%s from %s becomes %s', (via, from, expected) => {
    expect(answeredVia(via, source(from))).toBe(expected)
  })
})

describe('the tag of To', () => {
  const tagOf = (request: SipRequest, status = 200, toTag?: string) =>
    /;tag=([^;]*)$/.exec(
      messageIn(respond(request, toTag ? { status, toTag } : { status })).first('to') ?? '',
    )?.[1]

  test('is kept where there is one', () => {
    const request = requestIn(bytesOf(['BYE sip:a SIP/2.0', 'To: <sip:a@b>;tag=old']))
    expect(tagOf(request, 200, 'new')).toBe('old')
  })

  test('in a URI or a display name is none', () => {
    const request = requestIn(bytesOf(['BYE sip:a SIP/2.0', 'To: ";tag=x" <sip:a@b;tag=y>']))
    expect(tagOf(request, 200, 'new')).toBe('new')
  })

  test('is not given by a 100', () => {
    expect(tagOf(requestIn(registerBytes()), 100)).toBeUndefined()
  })

  test('is the same for a retransmission and another for another request', () => {
    const one = tagOf(requestIn(registerBytes()))
    expect(one).toMatch(/^[0-9a-f]{16}$/)
    expect(tagOf(requestIn(registerBytes('User-Agent: x')), 403)).toBe(one)
    const other = Buffer.from(registerBytes().toString('latin1').replace('c1', 'c2'))
    expect(tagOf(requestIn(other))).not.toBe(one)
  })
})

test.each([
  ['SIP/2.0/UDP h:5070;rport', 40_000],
  ['SIP/2.0/UDP h:5070;rport=9', 40_000],
  ['SIP/2.0/UDP h:5070', 5070],
  ['SIP/2.0/UDP h;maddr=198.51.100.1', 5060],
  ['unreadable', 40_000],
])('the answer to %s goes to port %d of the source', (via, port) => {
  const request = requestIn(bytesOf(['REGISTER sip:a SIP/2.0', `Via: ${via}`]))
  expect(responseTarget(request, source('192.0.2.7'))).toEqual({ address: '192.0.2.7', port })
})

test('a request that was not read from bytes is answered too', () => {
  const written = requestIn(registerBytes())
  const request: SipRequest = {
    kind: 'request',
    method: 'REGISTER',
    uri: 'sip:a',
    headers: written.headers,
    headerCount: written.headers.length,
    body: Buffer.alloc(0),
    first: (name) => written.first(name),
    all: (name) => written.all(name).map((value) => `${value}\r\nX: y`),
  }
  expect(messageIn(respond(request, { status: 200 })).first('x')).toBeUndefined()
})

test('answering never throws and never lets a header in, whatever the request holds', () => {
  const value = fc
    .array(
      fc.oneof(fc.constantFrom(...'\r\n\0\t ;,"<>=\\'), fc.string({ unit: 'binary-ascii', maxLength: 4 })),
      {
        maxLength: 12,
      },
    )
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(value, value, value, value, value, (via, from, to, callId, cseq) => {
      const bytes = bytesOf([
        'REGISTER sip:a SIP/2.0',
        `Via: SIP/2.0/UDP h;x=${via}`,
        `From: ${from}`,
        `To: ${to}`,
        `Call-ID: ${callId}`,
        `CSeq: ${cseq}`,
      ])
      const reading = readSipMessage(bytes)
      if (reading.kind !== 'message' || reading.message.kind !== 'request') return
      const answer = messageIn(respond(reading.message, { status: 403, receivedFrom: source('192.0.2.7') }))
      const names = new Set(answer.headers.map((header) => header.name))
      for (const name of ['via', 'from', 'to', 'call-id', 'cseq', 'content-length']) names.delete(name)
      expect([...names]).toEqual([])
      expect(answer.first('call-id')).toBe(reading.message.first('call-id'))
      expect(answer.body.length).toBe(0)
    }),
    { numRuns: 2_000 },
  )
})
