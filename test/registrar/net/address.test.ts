import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Address,
  addressFromBytes,
  bytesOfAddress,
  familyOf,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixContains,
  prefixOf,
  prefixOfAddress,
  showPrefix,
  sourcePrefixOf,
  splitPrefix,
} from '../../../registrar/net/address.ts'

const address = (text: string) => parseAddress(text) as Address
const prefix = (text: string) => parsePrefix(text) as Prefix

describe('parseAddress', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    // RFC 5952 section 4.1: no leading zeros in a group.
    ['2001:0db8::0001', '2001:db8::1'],
    // Section 4.2.1: as short as it gets.
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    // Section 4.2.2: one zero group is not shortened.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    // Section 4.2.3: the longest run, the first of equal ones.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    // Section 4.3: lower case.
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    // Mapped addresses are the IPv4 addresses they stand for; others that look alike are not.
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['::192.0.2.1', '::c000:201'],
    ['::ffff:0:192.0.2.1', '::ffff:0:c000:201'],
  ])('reads %s as %s', (text, expected) => {
    expect(parseAddress(text)).toBe(expected)
  })

  test.each([
    '',
    ' 192.0.2.1',
    '192.0.2.1 ',
    '192.0.2',
    '1.1',
    '3232235521',
    '0x7f.0.0.1',
    '192.0.2.01',
    '010.0.0.1',
    '192.0.2.256',
    '192.0.2.1.1',
    '192.0.2.1:5060',
    '192.0.2.1/32',
    '192.0.2.1\n',
    '[::1]',
    'fe80::1%eth0',
    '::1%',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '::g',
    '2001:db8:::192.0.2.1',
    '::ffff:192.0.2.01',
    '::ffff:192.0.2',
    'localhost',
    `${'0'.repeat(1_000_000)}::1`,
    ':'.repeat(1_000_000),
  ])('refuses %.40j', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })
})

describe('parsePrefix', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1/32'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['192.0.2.255/31', '192.0.2.254/31'],
    ['203.0.113.9/0', '0.0.0.0/0'],
    ['2001:DB8:1:2:3::/64', '2001:db8:1:2::/64'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['::/0', '::/0'],
    ['::1/128', '::1/128'],
    ['::ffff:192.0.2.77/120', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.77/32'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
  ])('reads %s as %s', (text, expected) => {
    expect(parsePrefix(text)).toBe(expected)
  })

  test.each([
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2.0/+8',
    '192.0.2.0/024',
    '192.0.2.0/24/24',
    '192.0.2.0/24 ',
    '192.0.2.0/255.255.255.0',
    '::/129',
    '/24',
    'fe80::%eth0/64',
    // Wider than the mapped addresses: neither IPv4 nor wholly something else.
    '::ffff:192.0.2.1/64',
    '',
  ])('refuses %j', (text) => {
    expect(parsePrefix(text)).toBeUndefined()
  })
})

test.each([
  ['192.0.2.0/24', '192.0.2.255', true],
  ['192.0.2.0/24', '192.0.3.0', false],
  ['0.0.0.0/0', '203.0.113.7', true],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::/0', '192.0.2.1', false],
  ['2001:db8::/33', '2001:db8:7fff::1', true],
  ['2001:db8::/33', '2001:db8:8000::1', false],
])('%s holds %s: %s', (of, text, expected) => {
  expect(prefixContains(prefix(of), address(text))).toBe(expected)
})

test.each([
  ['192.0.2.7', '192.0.2.7/32', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1:2::/64'],
  ['::ffff:192.0.2.7', '192.0.2.7/32', '192.0.2.7'],
])('the source prefix of %s is %s, shown as %s', (text, source, shown) => {
  expect(sourcePrefixOf(address(text))).toBe(source)
  expect(showPrefix(sourcePrefixOf(address(text)))).toBe(shown)
})

test('a prefix is split into its address and length', () => {
  expect(splitPrefix(prefix('2001:db8::/32'))).toEqual({ address: '2001:db8::', length: 32 })
  expect(prefixOfAddress(address('2001:db8::1'))).toBe('2001:db8::1/128')
  expect(familyOf(prefix('10.0.0.0/8'))).toBe(4)
  expect(familyOf(prefix('::/0'))).toBe(6)
})

const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
const bytes16 = fc.oneof(
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
  // Many zero groups, so that the shortening is met.
  fc
    .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
    .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]))),
)

test('bytes, text and bytes again are the same', () => {
  fc.assert(
    fc.property(fc.oneof(bytes4, bytes16), (bytes) => {
      const text = addressFromBytes(bytes, 0, bytes.length)
      const isMapped = bytes.length === 16 && familyOf(text) === 4
      expect(parseAddress(text)).toBe(text)
      expect(bytesOfAddress(text)).toEqual(isMapped ? bytes.slice(12) : bytes)
      expect(text).toBe(text.toLowerCase())
      expect(text).not.toMatch(/(^|:)0[0-9a-f]/)
    }),
    { numRuns: 2_000 },
  )
})

test('every way of writing an address reads as the same one', () => {
  fc.assert(
    fc.property(fc.ipV6(), (text) => {
      const read = parseAddress(text) as Address
      expect(parseAddress(text.toUpperCase())).toBe(read)
      if (familyOf(read) === 4) return
      // The platform's own URL parser is the second opinion.
      expect(`[${read}]`).toBe(new URL(`http://[${text}]/`).hostname)
    }),
    { numRuns: 2_000 },
  )
})

test('a prefix holds exactly the addresses that share its bits', () => {
  fc.assert(
    fc.property(bytes16, fc.nat(128), fc.nat(127), (bytes, wanted, flip) => {
      const whole = addressFromBytes(bytes, 0, 16)
      if (familyOf(whole) === 4) return
      const of = prefixOf(whole, wanted)
      expect(prefixContains(of, whole)).toBe(true)
      const other = bytes.slice()
      other[flip >> 3] = other[flip >> 3]! ^ (0x80 >> (flip & 7))
      const flipped = addressFromBytes(other, 0, 16)
      if (familyOf(flipped) === 6) expect(prefixContains(of, flipped)).toBe(flip >= wanted)
      expect(parsePrefix(of)).toBe(of)
    }),
    { numRuns: 2_000 },
  )
})
