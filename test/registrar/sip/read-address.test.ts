import { describe, expect, test } from 'vitest'
import type { NameAddress } from '../../../registrar/sip/read-address.ts'
import { readAddress, readAddressList, readContacts } from '../../../registrar/sip/read-address.ts'

function plain({ displayName, uri, parameters }: NameAddress) {
  return [displayName, uri, Object.fromEntries(parameters)]
}

describe('readAddress', () => {
  test.each([
    ['sip:a@b', undefined, 'sip:a@b', {}],
    ['sip:a@b;tag=1', undefined, 'sip:a@b', { tag: '1' }],
    ['<sip:a@b;tag=1>', undefined, 'sip:a@b;tag=1', {}],
    [' < sip:a@b > ; Tag = 1 ;x', undefined, 'sip:a@b', { tag: '1', x: '' }],
    ['Bob<sip:a@b>', 'Bob', 'sip:a@b', {}],
    ['A. B. Bell <sip:a@b>', 'A. B. Bell', 'sip:a@b', {}],
    ['"" <sip:a@b>', '', 'sip:a@b', {}],
    ['"a \\"q\\" \\\\ <x>, ;" <sip:a@b>;tag="1;,2"', 'a "q" \\ <x>, ;', 'sip:a@b', { tag: '1;,2' }],
    ['<sip:a,b;c?d@e?f=g>', undefined, 'sip:a,b;c?d@e?f=g', {}],
    ['\u65e5\u672c <tel:+1>', '\u65e5\u672c', 'tel:+1', {}],
    ['<weird:x>', undefined, 'weird:x', {}],
  ])('reads %s', (value, displayName, uri, parameters) => {
    const address = readAddress(value)
    expect(address.ok && plain(address.value)).toEqual([displayName, uri, parameters])
  })

  test.each([
    [undefined, 'missing-header'],
    ['', 'bad-address'],
    ['*', 'bad-address'],
    ['<', 'bad-address'],
    ['<>', 'bad-address'],
    ['< >', 'bad-address'],
    [`<${' '.repeat(2_000)}`, 'bad-address'],
    ['<sip:a@b', 'bad-address'],
    ['"open <sip:a@b>', 'bad-address'],
    ['"open\\"', 'bad-address'],
    ['"name" sip:a@b', 'bad-address'],
    ['a "b" <sip:a@b>', 'bad-address'],
    ['<sip:a b@c>', 'bad-address'],
    ['sip:a@b c', 'bad-address'],
    ['sip:a@b?x=y', 'bad-address'],
    ['a@b', 'bad-address'],
    ['<sip:a@b>x', 'bad-address'],
    ['<sip:a@b>;tag=1, <sip:c@d>', 'bad-address'],
    ['<sip:a@b>;tag="open', 'bad-address'],
    ['<sip:a@b>;tag=1;tag=2', 'duplicate-parameter'],
    [`<sip:a@b>${';x'.repeat(2_000)}`, 'duplicate-parameter'],
    [`<sip:a@b>${Array.from({ length: 65 }, (_, i) => `;x${i}`).join('')}`, 'too-many-parameters'],
    [`<sip:${'a'.repeat(2_045)}>`, 'uri-too-long'],
  ])('refuses %.60j', (value, fault) => {
    expect(readAddress(value)).toEqual({ ok: false, fault })
  })
})

test('a list is read over commas and headers; quotes and brackets hold theirs', () => {
  const list = readAddressList(['"a, b" <sip:a@b,c>;x="d,e", sip:f@g;y ,,', 'sip:h@i'])
  expect(list.ok && list.value.map(plain)).toEqual([
    ['a, b', 'sip:a@b,c', { x: 'd,e' }],
    [undefined, 'sip:f@g', { y: '' }],
    [undefined, 'sip:h@i', {}],
  ])
})

describe('readContacts', () => {
  const read = (...values: string[]) => {
    const contacts = readContacts(values)
    if (!contacts.ok) return contacts.fault
    if (contacts.value.kind === 'all') return '*'
    return contacts.value.contacts.map(({ uri, q, expires }) => ({ uri, q, expires }))
  }
  const one = { uri: 'sip:a@b', q: undefined, expires: undefined }

  test.each([
    [[], []],
    [['*'], '*'],
    [['<sip:a@b>'], [one]],
    [['<sip:a@b>;q=0.5;expires=60'], [{ ...one, q: 0.5, expires: 60 }]],
    [['sip:a@b;Expires="60";Q=1.000'], [{ ...one, q: 1, expires: 60 }]],
    [['<sip:a@b>;expires=0'], [{ ...one, expires: 0 }]],
    [['<sip:a@b>;expires=99999999999999999999'], [{ ...one, expires: 4_294_967_295 }]],
    [['<sip:a@b>;expires=-1'], [{ ...one, expires: 3600 }]],
    [['<sip:a@b>;expires'], [{ ...one, expires: 3600 }]],
    [['<sip:a@b>;q=2'], [one]],
    [['<sip:a@b>;q=0.1234'], [one]],
    [
      ['<sip:a@b>', 'sip:a@b'],
      [one, one],
    ],
    [['*', '<sip:a@b>'], 'bad-address'],
    [['*, <sip:a@b>'], 'bad-address'],
    [['<sip:a@b>, x'], 'bad-address'],
    [['sip:a@b,'.repeat(65)], 'too-many-values'],
  ])('%.60j', (values, expected) => {
    expect(read(...values)).toEqual(expected)
  })
})
