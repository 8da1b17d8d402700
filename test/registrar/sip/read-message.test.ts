import { describe, expect, test } from 'vitest'
import { DEFAULT_SIP_LIMITS } from '../../../registrar/sip/message.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import { bytesOf, messageIn, plain, plainReading, registerBytes, requestIn } from './messages.ts'

const START = 'REGISTER sip:example.com SIP/2.0'

describe('messages', () => {
  test('a request is read whole', () => {
    const bytes = bytesOf(
      [
        'INVITE sip:b@example.com SIP/2.0',
        'v:SIP/2.0/UDP h1;branch=z9hG4bK1',
        'VIA : SIP/2.0/UDP h2',
        'Subject\t:  two  spaces  \t',
        'f: "\xd0\xbf\xff" <sip:a@b>',
        'X-Empty:',
        'l: 4',
      ],
      'body and more',
    )
    expect(plainReading(readSipMessage(bytes))).toEqual({
      kind: 'message',
      bytesRead: bytes.length - ' and more'.length,
      message: {
        kind: 'request',
        method: 'INVITE',
        uri: 'sip:b@example.com',
        headers: [
          { name: 'via', value: 'SIP/2.0/UDP h1;branch=z9hG4bK1' },
          { name: 'via', value: 'SIP/2.0/UDP h2' },
          { name: 'subject', value: 'two  spaces' },
          { name: 'from', value: '"\u043f\ufffd" <sip:a@b>' },
          { name: 'x-empty', value: '' },
          { name: 'content-length', value: '4' },
        ],
        body: 'body',
      },
    })
  })

  test('a response is read whole', () => {
    const bytes = bytesOf(['SIP/2.0 401 Not  you', 'CSeq: 1 REGISTER', 'Content-Length: 0'])
    expect(plainReading(readSipMessage(bytes))).toEqual({
      kind: 'message',
      bytesRead: bytes.length,
      message: {
        kind: 'response',
        status: 401,
        reasonPhrase: 'Not  you',
        headers: [
          { name: 'cseq', value: '1 REGISTER' },
          { name: 'content-length', value: '0' },
        ],
        body: '',
      },
    })
  })

  test('headers are found by long name, whatever form they were written in', () => {
    const message = messageIn(
      registerBytes('M: <sip:x@y>', 'contact: <sip:z@y>', 'Contac: no', 'Contacts: no'),
    )
    expect(message.all('contact')).toEqual(['<sip:x@y>', '<sip:z@y>'])
    expect(message.first('contact')).toBe('<sip:x@y>')
    expect(message.first('call-id')).toBe('c1')
    expect(message.first('x-none')).toBeUndefined()
    expect(message.all('x-none')).toEqual([])
    expect(message.first('__proto__')).toBeUndefined()
    expect(message.first('m')).toBeUndefined()
  })

  test('a one-letter header that is no compact form keeps its name', () => {
    const message = messageIn(registerBytes('Z: 1', 'q: 2'))
    expect([message.first('z'), message.first('q')]).toEqual(['1', '2'])
  })

  test.each([
    ['Q: a\r\n b', 'a b'],
    ['Q: a \t\r\n \t b\r\n\tc', 'a b c'],
    ['Q:\r\n a', 'a'],
    ['Q: a\r\n  \r\n b', 'a b'],
    ['Q: a\r\n ', 'a'],
    ['Q: a\n b', 'a b'],
    ['Q: "a  b"\r\n c', '"a  b" c'],
    // A lone CR and a NUL must not get into a message of ours.
    ['Q: a\rVia: b', 'a Via: b'],
    ['Q: a\r\r\r', 'a'],
    ['Q: a\0b', 'a b'],
    ['Q:\0', ''],
    ['Q: \xe2\x82\xac', '\u20ac'],
  ])('the header %j has the value %j', (header, value) => {
    expect(messageIn(registerBytes(header)).first('q')).toBe(value)
  })

  test('a line that is no header is passed over, with what is folded onto it', () => {
    const message = messageIn(registerBytes('no colon', ' folded: too', ': no name', 'b@d: x', 'Q: y'))
    expect(message.headers.slice(5)).toEqual([{ name: 'q', value: 'y' }])
  })

  test('a double CRLF at the end is no body that was announced', () => {
    const bytes = Buffer.concat([registerBytes('Content-Length: 0'), Buffer.from('\r\n\r\n')])
    expect(messageIn(bytes).body.length).toBe(0)
    const without = Buffer.concat([registerBytes(), Buffer.from('abc')])
    expect(messageIn(without).body.toString()).toBe('abc')
  })

  test('the body is a view, and names are looked up in no plain object', () => {
    const bytes = bytesOf([START, '__proto__: x', 'constructor: y', 'Content-Length: 2'], 'ab')
    const message = messageIn(bytes)
    expect(message.body.buffer).toBe(bytes.buffer)
    expect([message.first('__proto__'), message.first('constructor')]).toEqual(['x', 'y'])
  })
})

/** Each of these is answered by Kamailio 5.6.3 as a REGISTER, but for the last three. */
describe('a REGISTER is seen where a softswitch sees one', () => {
  const whole = registerBytes().toString('latin1')
  test.each([
    ['behind 200 CRLFs', '\r\n'.repeat(200) + whole],
    ['behind a space', ` ${whole}`],
    ['behind a tab', `\t${whole}`],
    ['behind a NUL', `\0${whole}`],
    ['with bare LFs', whole.replaceAll('\r', '')],
    ['without the empty line', whole.slice(0, -2)],
    ['in lower case', whole.replace('REGISTER', 'register')],
    ['in mixed case, with the version in lower case', whole.replace(START, 'Register sip:a sip/2.0')],
    ['with blanks behind the version', whole.replace(START, `${START} \t`)],
    ['with a longer version', whole.replace(START, `${START}x`)],
    ['with a lone CR in a value', whole.replace('c1', 'c\r1')],
    ['with a NUL in a value', whole.replace('c1', 'c\x001')],
    ['with blanks before a colon', whole.replace('Call-ID:', 'Call-ID \t:')],
    ['with a control character in the URI', whole.replace('sip:example', 'sip:\x01example')],
    ['with runs of blanks', whole.replace(START, 'REGISTER \t sip:a  SIP/2.0')],
    ['with a line that is no header', whole.replace('Call-ID', 'junk\r\nCall-ID')],
    ['with angle brackets around its URI', whole.replace('sip:example.com', '<sip:example.com>')],
  ])('%s', (_, text) => {
    const request = requestIn(Buffer.from(text, 'latin1'))
    expect([request.method, request.first('cseq')]).toEqual(['REGISTER', '1 REGISTER'])
  })

  test('only known methods are put in capitals', () => {
    expect(requestIn(bytesOf(['reGister2 sip:a SIP/2.0'])).method).toBe('reGister2')
    expect(requestIn(bytesOf(['RE%47IST%45R sip:a SIP/2.0'])).method).toBe('RE%47IST%45R')
    expect(requestIn(bytesOf(['options sip:a SIP/2.0'])).method).toBe('OPTIONS')
  })
})

describe('what is no message', () => {
  const stun = Buffer.alloc(20)
  stun.writeUInt32BE(0x2112a442, 4)
  const rtp = Buffer.from(stun)
  rtp[0] = 0x80
  test.each([
    ['nothing', Buffer.alloc(0), 'keepalive'],
    ['CRLF CRLF', Buffer.from('\r\n\r\n'), 'keepalive'],
    ['a NUL', Buffer.from('\0'), 'keepalive'],
    ['blanks', Buffer.from(' \t \r\n'), 'keepalive'],
    ['STUN', stun, 'keepalive'],
    ['STUN cut short', stun.subarray(0, 19), 'not-sip'],
    ['STUN bytes with the first bit set', rtp, 'not-sip'],
    ['a word', Buffer.from('jaK'), 'not-sip'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), 'not-sip'],
    ['an HTTP answer', Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'not-sip'],
    ['SSDP', Buffer.from('M-SEARCH * HTTP/1.1\r\n\r\n'), 'not-sip'],
    ['TLS', Buffer.from('16030100c8010000', 'hex'), 'not-sip'],
    ['a known method and no URI', Buffer.from('REGISTER\r\n\r\n'), 'not-sip'],
    ['RTSP', Buffer.from('OPTIONS rtsp://a RTSP/1.0\r\n\r\n'), 'not-sip'],
    ['SIP in another place', Buffer.from('x\r\nREGISTER sip:a SIP/2.0\r\n\r\n'), 'not-sip'],
  ])('%s is %s', (_, bytes, kind) => {
    expect(readSipMessage(bytes)).toEqual({ kind })
  })
})

describe('malformed messages', () => {
  const many = (count: number) => Array.from({ length: count }, () => 'X: y')
  const register = (...headers: string[]) => bytesOf([START, ...headers])
  test.each([
    ['SIP/2.0 4294967301 x', bytesOf(['SIP/2.0 4294967301 x']), 'bad-status'],
    ['a status below 100', bytesOf(['SIP/2.0 099 x']), 'bad-status'],
    ['a status above 699', bytesOf(['SIP/2.0 700 x']), 'bad-status'],
    ['no status', bytesOf(['SIP/2.0']), 'bad-status'],
    ['a status with a letter', bytesOf(['SIP/2.0 20O OK']), 'bad-status'],
    ['a response of another version', bytesOf(['SIP/3.0 200 OK']), 'bad-version'],
    ['a version cut short', bytesOf(['SIP/2']), 'bad-version'],
    ['a method that is no token', bytesOf(['REG\xcfSTER sip:a SIP/2.0']), 'bad-method'],
    ['a method of 200 bytes', bytesOf([`${'A'.repeat(200)} sip:a SIP/2.0`]), 'bad-method'],
  ])('%s', (_, bytes, fault) => {
    expect(readSipMessage(bytes)).toEqual({ kind: 'malformed', fault })
  })

  test.each([
    ['no version', bytesOf(['REGISTER sip:a']), 'bad-start-line'],
    ['no line break at all', Buffer.from('REGISTER sip:a'), 'bad-start-line'],
    ['only CRs', Buffer.from(`${START}\rX: y\r\r`), 'bad-start-line'],
    ['no URI', bytesOf(['REGISTER SIP/2.0']), 'bad-start-line'],
    ['another version', bytesOf(['REGISTER sip:a SIP/7.0']), 'bad-version'],
    ['a URI with a blank', bytesOf(['REGISTER sip:a; lr SIP/2.0']), 'bad-uri'],
    ['a URI with a lone CR', bytesOf(['REGISTER sip:a\rb SIP/2.0']), 'bad-uri'],
    ['a URI with a NUL', bytesOf(['REGISTER sip:a\0b SIP/2.0']), 'bad-uri'],
    ['a URI of 2049 bytes', bytesOf([`REGISTER sip:${'a'.repeat(2_045)} SIP/2.0`]), 'uri-too-long'],
    ['a first header that is folded', register(' x', 'A: b'), 'bad-header'],
    ['129 headers', register(...many(129)), 'too-many-headers'],
    ['129 lines that are no header', register(...many(129).map(() => 'x')), 'too-many-headers'],
    ['a header of 8193 bytes', register(`X: ${'y'.repeat(8_189)}\r`), 'header-too-long'],
    ['a folded header of 8193 bytes', register(`X: y${'\r\n '.repeat(2_730)}`), 'header-too-long'],
    ['nothing behind the start line but half a line', Buffer.from(`${START}\r\nX: y`), 'truncated-headers'],
    ['half a name', Buffer.from(`${START}\r\nX`), 'truncated-headers'],
    ['half a folded line', Buffer.from(`${START}\r\nX: y\r\n z`), 'truncated-headers'],
    ['no line break behind the start line', Buffer.from(START), 'truncated-headers'],
    ['a CR at the end', Buffer.from(`${START}\r\nX: y\r\n\r`), 'truncated-headers'],
  ])('a REGISTER with %s', (_, bytes, fault) => {
    expect(readSipMessage(bytes)).toEqual({ kind: 'malformed', fault, method: 'REGISTER' })
  })

  test.each([
    ['-1', 'bad-content-length'],
    ['+1', 'bad-content-length'],
    ['', 'bad-content-length'],
    ['1 1', 'bad-content-length'],
    ['0x1', 'bad-content-length'],
    ['abc', 'bad-content-length'],
    ['4', 'truncated-body'],
    ['65000', 'truncated-body'],
    ['65535', 'message-too-long'],
    ['9'.repeat(400), 'message-too-long'],
    ['0\r\nl: 1', 'conflicting-content-length'],
    ['0\r\nContent-Length: x', 'bad-content-length'],
  ])('Content-Length %.20j is %s, and the headers can still be seen', (length, fault) => {
    const lines = [START, 'Call-ID: c1', `Content-Length: ${length}`]
    const reading = readSipMessage(bytesOf(lines, 'abc'))
    expect(reading).toMatchObject({ kind: 'malformed', fault, method: 'REGISTER' })
    if (reading.kind !== 'malformed' || !reading.message) throw new Error('no message')
    expect([reading.message.first('call-id'), reading.message.body.length]).toEqual(['c1', 0])
  })

  test.each(['3', '003', ' 3 ', '\r\n 3', '3\r\nl: 03'])('Content-Length %j is 3', (length) => {
    expect(messageIn(bytesOf([START, `Content-Length:${length}`], 'abcdef')).body.toString()).toBe('abc')
  })

  test('each limit is where it says', () => {
    const good = [
      register(...many(128)),
      register(`X: ${'y'.repeat(8_189 - 1)}`),
      bytesOf([`REGISTER sip:${'a'.repeat(2_044)} SIP/2.0`]),
      bytesOf([START], 'x'.repeat(65_535 - START.length - 4)),
    ]
    expect(good.map((bytes) => readSipMessage(bytes).kind)).toEqual(good.map(() => 'message'))
    const over = readSipMessage(bytesOf([START], 'x'.repeat(65_536 - START.length - 4)))
    expect(over).toMatchObject({ kind: 'malformed', fault: 'message-too-long' })
  })

  test('limits can be set', () => {
    const limits = { ...DEFAULT_SIP_LIMITS, headerCount: 1 }
    expect(readSipMessage(register('A: b', 'C: d'), { limits })).toMatchObject({ fault: 'too-many-headers' })
    expect(readSipMessage(register('A: b'), { limits })).toMatchObject({ kind: 'message' })
  })

  test('a stream needs Content-Length', () => {
    const reading = readSipMessage(register('A: b'), { transport: 'stream' })
    expect(reading).toMatchObject({ kind: 'malformed', fault: 'missing-header', method: 'REGISTER' })
    const whole = readSipMessage(bytesOf([START, 'l: 1'], 'xREG'), { transport: 'stream' })
    expect(whole).toMatchObject({ kind: 'message', bytesRead: START.length + 2 + 6 + 2 + 1 })
  })
})

test('leading junk is counted among the bytes read', () => {
  const bytes = Buffer.concat([Buffer.from('\r\n\r\n'), registerBytes('l: 0')])
  expect(readSipMessage(bytes)).toMatchObject({ bytesRead: bytes.length })
  expect(plain(messageIn(bytes)).headers).toHaveLength(6)
})
