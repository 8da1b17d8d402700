import { expect, test } from 'vitest'
import { SipWriteError, statusLine, writeHeader } from '../../../registrar/sip/write-message.ts'
import { writeRequest, writeResponse } from '../../written-messages.ts'

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

test.each([
  ['a CR in a value', 'X', 'a\rVia: b'],
  ['an LF in a value', 'X', 'a\nVia: b'],
  ['a folded value', 'X', 'a\r\n b'],
  ['a NUL in a value', 'X', 'a\0'],
  ['a CR in a name', 'X\r\nY', 'a'],
  ['a colon in a name', 'X: y', 'a'],
  ['an empty name', '', 'a'],
  ['a Content-Length of the caller', 'content-Length', '5'],
  ['a compact Content-Length of the caller', 'L', '5'],
])('%s is refused', (_, name, value) => {
  expect(() => writeHeader([name, value])).toThrow(SipWriteError)
})

test.each([
  [99, 'x'],
  [700, 'x'],
  [200.5, 'x'],
  [Number.NaN, 'x'],
  [200, 'OK\r\nX: y'],
])('the status line %d %j is refused', (status, reasonPhrase) => {
  expect(() => statusLine(status, reasonPhrase)).toThrow(SipWriteError)
})
