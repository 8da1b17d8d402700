import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_SIP_LIMITS, type SipReading } from '../../../registrar/sip/message.ts'
import { type FramerOptions, SipFramer } from '../../../registrar/sip/stream-framer.ts'
import { bytesOf, plainReading, registerBytes } from './messages.ts'

const ONE = registerBytes('Content-Length: 0')
const TWO = bytesOf(['OPTIONS sip:b SIP/2.0', 'l: 4'], 'a\r\nb')

/** What each reading is, in short. */
function brief(reading: SipReading): string {
  switch (reading.kind) {
    case 'message':
      return reading.message.kind === 'request' ? reading.message.method : String(reading.message.status)
    case 'malformed':
      return [reading.fault, reading.method ?? ''].join(' ').trim()
    case 'keepalive':
    case 'not-sip':
      return reading.kind
  }
}

function readAll(chunks: readonly (Buffer | string)[], options?: FramerOptions) {
  const framer = new SipFramer(options)
  const readings = chunks.flatMap((chunk) => framer.push(Buffer.from(chunk as string, 'latin1')))
  return { framer, readings }
}

describe('messages on a stream', () => {
  test('follow each other without a gap', () => {
    const { framer, readings } = readAll([Buffer.concat([ONE, TWO, ONE])])
    expect(readings.map(brief)).toEqual(['REGISTER', 'OPTIONS', 'REGISTER'])
    expect(readings[1]).toMatchObject({ bytesRead: TWO.length, message: { body: Buffer.from('a\r\nb') } })
    expect([framer.pendingBytes, framer.broken]).toEqual([0, false])
  })

  test('may be kept over later pushes', () => {
    const whole = Buffer.concat([ONE, TWO, ONE])
    const framer = new SipFramer()
    const readings: SipReading[] = []
    // The pushed buffer is used again and again, as long as no message is whole within one push.
    for (const byte of whole) readings.push(...framer.push(Buffer.from([byte])))
    expect(readings.map(plainReading)).toEqual(new SipFramer().push(whole).map(plainReading))
  })

  test('every second line break between them is a keepalive; other blanks are nothing', () => {
    const between = ['\r\n\r\n', ONE, '\r\n', ONE, '\r\n', '\r', '\n\r\n\r\n', ' \t\0', ONE]
    expect(readAll(between).readings.map(brief)).toEqual([
      'keepalive',
      'REGISTER',
      'REGISTER',
      'keepalive',
      'keepalive',
      'REGISTER',
    ])
  })

  test('that are not whole are told at the end', () => {
    const whole = TWO.toString('latin1')
    const ends = [0, 3, whole.indexOf('l:'), whole.length - 1].map((length) => {
      const { framer } = readAll([whole.slice(0, length)])
      expect(framer.pendingBytes).toBe(length)
      return framer.end().map(brief)
    })
    expect(ends).toEqual([[], ['not-sip'], ['truncated-headers OPTIONS'], ['truncated-body OPTIONS']])
  })
})

describe('faults on a stream', () => {
  const start = 'REGISTER sip:a SIP/2.0\r\n'
  test.each([
    ['no Content-Length', `${start}X: y\r\n\r\n`, 'missing-header REGISTER'],
    ['a bad Content-Length', `${start}l: x\r\n\r\n`, 'bad-content-length REGISTER'],
    ['two of them', `${start}l: 1\r\nl: 2\r\n\r\n`, 'conflicting-content-length REGISTER'],
    ['too long a body', `${start}l: 65535\r\n\r\n`, 'message-too-long REGISTER'],
    ['endless headers', `${start}${'X: y\r\n'.repeat(20_000)}`, 'message-too-long REGISTER'],
    ['an endless header', `${start}X: ${'y'.repeat(100_000)}`, 'message-too-long REGISTER'],
    ['too many headers', `${start}${'X: y\r\n'.repeat(129)}\r\n`, 'too-many-headers REGISTER'],
    ['HTTP', 'GET / HTTP/1.1\r\n', 'not-sip'],
    ['a TLS handshake, at its first byte', '\x16', 'not-sip'],
    ['another version', 'REGISTER sip:a SIP/3.0\r\n', 'bad-version REGISTER'],
    ['an endless start line', `REGISTER sip:${'a'.repeat(20_000)}`, 'bad-start-line REGISTER'],
    ['endless letters', 'a'.repeat(20_000), 'not-sip'],
  ])('%s breaks it', (_, text, fault) => {
    const { framer, readings } = readAll([text, ONE])
    expect(readings.map(brief)).toEqual([fault])
    expect([framer.broken, framer.pendingBytes]).toEqual([true, 0])
    expect(framer.push(ONE)).toEqual([])
  })

  test.each([
    ['a message without Content-Length', `${start}X: y\r\n\r\nbody\r\n`, 'missing-header REGISTER'],
    ['lines of another protocol', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'not-sip'],
    ['bytes with a line break', '\x16\x03\x01\n', 'not-sip'],
    ['too many headers', `${start}${'X: y\r\n'.repeat(129)}\r\n`, 'too-many-headers REGISTER'],
    ['a long line', `${'a'.repeat(20_000)}\r\n`, 'not-sip'],
  ])('a sensor reads on behind %s', (_, text, fault) => {
    const { framer, readings } = readAll([text, ONE, TWO], { onFault: 'resynchronise' })
    expect(readings.map(brief)).toEqual([fault, 'REGISTER', 'OPTIONS'])
    expect(framer.broken).toBe(false)
  })

  test('a sensor reads on behind a gap, at the next start line', () => {
    const framer = new SipFramer({ onFault: 'resynchronise' })
    framer.push(ONE.subarray(0, 50))
    framer.skipGap()
    expect(framer.pendingBytes).toBe(0)
    const middle = Buffer.from('rest of a line\r\nbody sip:a SIP/2.0\r\n')
    expect(framer.push(Buffer.concat([middle, ONE])).map(brief)).toEqual(['REGISTER'])
  })

  test('what is kept has an end', () => {
    const limits = { ...DEFAULT_SIP_LIMITS, messageBytes: 2_000 }
    for (const onFault of ['stop', 'resynchronise'] as const) {
      const framer = new SipFramer({ limits, onFault })
      let most = 0
      for (let i = 0; i < 1_000; i++) {
        framer.push(Buffer.from(i % 50 === 0 ? `\r\n${start}` : 'X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n'))
        most = Math.max(most, framer.pendingBytes)
      }
      expect(most).toBeLessThan(2_000)
      expect(most).toBeGreaterThan(1_500)
    }
  })
})

test('however a stream is cut, its readings are the same', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ONE,
      TWO,
      bytesOf(['SIP/2.0 200 OK', 'Content-Length: 3'], 'abc'),
      Buffer.from('\r\n\r\n'),
      Buffer.from('\r'),
      Buffer.from('\n'),
      Buffer.from('REGISTER sip:a SIP/2.0\r\n'),
      Buffer.from('X: y\r\n'.repeat(20)),
      Buffer.from('a'.repeat(400)),
      Buffer.from('\x16\x03'),
    ),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
  )
  const stream = fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.concat(pieces))
  const limits = { messageBytes: 500, headerCount: 20, headerBytes: 200, uriBytes: 100 }
  fc.assert(
    fc.property(
      stream,
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
      fc.constantFrom('stop' as const, 'resynchronise' as const),
      (bytes, sizes, onFault) => {
        const whole = new SipFramer({ limits, onFault })
        const expected = whole.push(bytes).map(plainReading)
        const cut = new SipFramer({ limits, onFault })
        const readings: SipReading[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length]!
          readings.push(...cut.push(Buffer.from(bytes.subarray(at, at + size))))
          at += size
        }
        expect(readings.map(plainReading)).toEqual(expected)
        expect([cut.broken, cut.pendingBytes]).toEqual([whole.broken, whole.pendingBytes])
        expect(cut.end().map(plainReading)).toEqual(whole.end().map(plainReading))
      },
    ),
    { numRuns: 1_500 },
  )
})
