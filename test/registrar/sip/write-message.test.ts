import { expect, test } from 'vitest'
import {
  type HeaderPair,
  SipWriteError,
  writeRequest,
  writeResponse,
} from '../../../registrar/sip/write-message.ts'

test('a request is written', () => {
  const bytes = writeRequest({
    method: 'OPTIONS',
    uri: 'sip:a@[2001:db8::1]',
    headers: [
      ['Via', 'SIP/2.0/UDP h;branch=z9hG4bK1'],
      ['Subject', 'd\u00fc'],
      ['X-Empty', ''],
    ],
    body: '\u20ac',
  })
  expect(bytes.toString('utf8')).toBe(
    'OPTIONS sip:a@[2001:db8::1] SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nSubject: d\u00fc\r\nX-Empty: \r\n' +
      'Content-Length: 3\r\n\r\n\u20ac',
  )
})

test('a response is written', () => {
  const bytes = writeResponse({ status: 200, reasonPhrase: '', headers: [], body: Buffer.from([0, 255]) })
  expect(bytes.toString('latin1')).toBe('SIP/2.0 200 \r\nContent-Length: 2\r\n\r\n\x00\xff')
})

const GOOD = { method: 'OPTIONS', uri: 'sip:a', headers: [] as HeaderPair[] }

test.each([
  ['a CR in a value', { headers: [['X', 'a\rVia: b']] }],
  ['an LF in a value', { headers: [['X', 'a\nVia: b']] }],
  ['a folded value', { headers: [['X', 'a\r\n b']] }],
  ['a NUL in a value', { headers: [['X', 'a\0']] }],
  ['a CR in a name', { headers: [['X\r\nY', 'a']] }],
  ['a colon in a name', { headers: [['X: y', 'a']] }],
  ['an empty name', { headers: [['', 'a']] }],
  ['a Content-Length of the caller', { headers: [['content-Length', '5']] }],
  ['a compact Content-Length of the caller', { headers: [['L', '5']] }],
  ['a method with a blank', { method: 'A B' }],
  ['no method', { method: '' }],
  ['a URI with a blank', { uri: 'sip:a SIP/2.0' }],
  ['a URI with a line break', { uri: 'sip:a\r\nX:' }],
  ['no URI', { uri: '' }],
])('%s is refused', (_, part) => {
  expect(() => writeRequest({ ...GOOD, ...(part as Partial<typeof GOOD>) })).toThrow(SipWriteError)
})

test.each([
  [99, 'x'],
  [700, 'x'],
  [200.5, 'x'],
  [Number.NaN, 'x'],
  [200, 'OK\r\nX: y'],
])('the status line %d %j is refused', (status, reasonPhrase) => {
  expect(() => writeResponse({ status, reasonPhrase, headers: [] })).toThrow(SipWriteError)
})
