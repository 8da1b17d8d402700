import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Field } from '../../../registrar/sip/field.ts'
import { aorOf, readUri, type Uri, unescapeUri } from '../../../registrar/sip/read-uri.ts'

/** A reading with its map as a list, so that order and `__proto__` show. */
function plain(reading: Field<Uri>) {
  return reading.ok ? { ...reading.value, parameters: [...reading.value.parameters] } : reading.fault
}

const SIP = {
  scheme: 'sip',
  user: undefined,
  password: undefined,
  host: 'h',
  port: undefined,
  parameters: [],
  headers: [],
}

describe('readUri', () => {
  test.each([
    ['sip:h', SIP],
    ['SIP:H', SIP],
    ['sips:h', { ...SIP, scheme: 'sips' }],
    ['sip:a@h', { ...SIP, user: 'a' }],
    ['sip:a:b@h:5070', { ...SIP, user: 'a', password: 'b', port: 5070 }],
    ['sip:a:@h', { ...SIP, user: 'a', password: '' }],
    ['sip:a;b?c/d&e=f,+@h', { ...SIP, user: 'a;b?c/d&e=f,+' }],
    ['sip:%41#*@h', { ...SIP, user: '%41#*' }],
    ['sip:192.0.2.1:5060', { ...SIP, host: '192.0.2.1', port: 5060 }],
    ['sip:[2001:DB8:0::10]', { ...SIP, host: '2001:db8::10' }],
    ['sip:a@[2001:db8::10]:5070', { ...SIP, user: 'a', host: '2001:db8::10', port: 5070 }],
    ['sip:[::ffff:192.0.2.2]', { ...SIP, host: '192.0.2.2' }],
    ['sip:h_1.example.', { ...SIP, host: 'h_1.example.' }],
    [
      'sip:a@h;LR;Transport=UDP;__proto__=x;',
      {
        ...SIP,
        user: 'a',
        parameters: [
          ['lr', ''],
          ['transport', 'UDP'],
          ['__proto__', 'x'],
        ],
      },
    ],
    [
      'sip:h;x=1?a=b&c&a=%3d',
      {
        ...SIP,
        parameters: [['x', '1']],
        headers: [
          ['a', 'b'],
          ['c', ''],
          ['a', '%3d'],
        ],
      },
    ],
    ['tel:+1-201-(555).0123', { scheme: 'tel', number: '+12015550123', parameters: [] }],
    [
      'tel:7042;phone-context=example.com',
      { scheme: 'tel', number: '7042', parameters: [['phone-context', 'example.com']] },
    ],
    ['tel:*21#', { scheme: 'tel', number: '*21#', parameters: [] }],
  ])('reads %s', (text, expected) => {
    expect(plain(readUri(text))).toEqual(expected)
  })

  test.each([
    ['', 'bad-uri'],
    ['sip', 'bad-uri'],
    ['sip:', 'bad-uri'],
    ['sip:@h', 'bad-uri'],
    ['sip::p@h', 'bad-uri'],
    ['sip:a@', 'bad-uri'],
    ['sip:a@b@c', 'bad-uri'],
    ['sip:a b@h', 'bad-uri'],
    ['sip:a\tb@h', 'bad-uri'],
    ['sip:a\0@h', 'bad-uri'],
    ['sip:a\x7f@h', 'bad-uri'],
    ['sip:a"b"@h', 'bad-uri'],
    ['<sip:a@h>', 'bad-uri'],
    ['sip:a@h>', 'bad-uri'],
    ['sip:%4@h', 'bad-uri'],
    ['sip:%zz@h', 'bad-uri'],
    ['sip:a@h:', 'bad-uri'],
    ['sip:a@h:0', 'bad-uri'],
    ['sip:a@h:65536', 'bad-uri'],
    ['sip:a@h:000005060', 'bad-uri'],
    ['sip:a@h:50x', 'bad-uri'],
    ['sip:a@-h', 'bad-uri'],
    ['sip:a@.h', 'bad-uri'],
    ['sip:a@h\u00e4', 'bad-uri'],
    ['sip:2001:db8::10', 'bad-uri'],
    ['sip:[2001:db8::10', 'bad-uri'],
    ['sip:[2001:db8::10]x', 'bad-uri'],
    ['sip:[fe80::1%25eth0]', 'bad-uri'],
    ['sip:[192.0.2.1]', 'bad-uri'],
    ['sip:a@h;=x', 'bad-uri'],
    ['sip:a@h;x;X=1', 'duplicate-parameter'],
    [`sip:h${';x'.repeat(65)}`, 'too-many-parameters'],
    [`sip:h?${'a&'.repeat(65)}`, 'too-many-parameters'],
    [`sip:${'a'.repeat(2_045)}`, 'uri-too-long'],
    ['mailto:a@h', 'bad-uri'],
    ['tel:', 'bad-uri'],
    ['tel:+', 'bad-uri'],
    ['tel:+1a', 'bad-uri'],
    ['tel:12x', 'bad-uri'],
    [undefined, 'missing-header'],
  ])('refuses %.50j', (text, fault) => {
    expect(readUri(text)).toEqual({ ok: false, fault })
  })
})

describe('aorOf', () => {
  const aor = (text: string) => {
    const uri = readUri(text)
    return uri.ok ? aorOf(uri.value) : uri.fault
  }

  test.each([
    ['sip:alice@Example.COM', 'alice@example.com'],
    ['sips:alice:secret@example.com:5061;transport=tcp?x=y', 'alice@example.com'],
    ['sip:%61l%69ce@example.com', 'alice@example.com'],
    ['sip:Alice@example.com', 'Alice@example.com'],
    ['sip:a%40b@h', 'a%40b@h'],
    ['sip:a%3ab@h', 'a%3Ab@h'],
    ['sip:%00@h', '%00@h'],
    ['sip:%0d%0A@h', '%0D%0A@h'],
    ['sip:%2525@h', '%2525@h'],
    ['sip:\u00e4@h', '%C3%A4@h'],
    ['sip:%c3%a4@h', '%C3%A4@h'],
    ['sip:%ff@h', '%FF@h'],
    ['sip:#1@h', '%231@h'],
    ['sip:h:5060', 'h'],
    ['sip:a@[2001:DB8::1]:5060', 'a@[2001:db8::1]'],
    ['sip:a@[::ffff:192.0.2.1]', 'a@192.0.2.1'],
    ['tel:+1-201-555', '+1201555'],
  ])('%s is of %s', (text, expected) => {
    expect(aor(text)).toBe(expected)
  })

  test('an AOR is printable, has one @, and is its own AOR', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
        const text = aor(`sip:${escaped}@h`)
        expect(text).toMatch(/^[\x21-\x3f\x41-\x7e]+@h$/)
        expect(aor(`sip:${text}`)).toBe(text)
      }),
    )
  })

  test('users are the same exactly when their bytes are', () => {
    const user = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(user, user, (one, other) => {
        const [a, b] = [one, other].map((text) => aor(`sip:${encodeURIComponent(text)}@h`))
        expect(a === b).toBe(one === other)
        expect(unescapeUri(encodeURIComponent(one))).toBe(one)
      }),
      { numRuns: 500 },
    )
  })
})
