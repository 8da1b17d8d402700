import { describe, expect, test } from 'vitest'
import { readChallenge, readCredentials } from '../../../registrar/sip/read-authorization.ts'

const CREDENTIALS = {
  kind: 'digest',
  username: 'u',
  realm: 'r',
  nonce: 'n',
  uri: 'sip:h',
  response: 'ab',
  algorithm: undefined,
  cnonce: undefined,
  opaque: undefined,
  qop: undefined,
  nc: undefined,
  userhash: false,
}
const LEAST = 'realm="r", nonce="n", uri="sip:h", response="ab"'

describe('readCredentials', () => {
  test.each([
    [`Digest username="u", ${LEAST}`, CREDENTIALS],
    [`digest username=u,realm=r , nonce = n,uri=sip:h,RESPONSE=AB`, CREDENTIALS],
    [`Digest , ,username="u",,${LEAST}, `, CREDENTIALS],
    [
      `Digest username="u", ${LEAST}, algorithm=SHA-256, cnonce="c", opaque="o", qop=auth, nc=0000000A, x="y"`,
      { ...CREDENTIALS, algorithm: 'SHA-256', cnonce: 'c', opaque: 'o', qop: 'auth', nc: '0000000A' },
    ],
    [
      `Digest username="u", ${LEAST}, algorithm="MD5", qop="auth", nc="00000001"`,
      { ...CREDENTIALS, algorithm: 'MD5', qop: 'auth', nc: '00000001' },
    ],
    [`Digest username="a\\"b\\\\c, d=e", ${LEAST}`, { ...CREDENTIALS, username: 'a"b\\c, d=e' }],
    [
      'Digest username="", realm="", nonce="", uri="", response=""',
      { ...CREDENTIALS, username: '', realm: '', nonce: '', uri: '', response: '' },
    ],
    [`Digest username*=UTF-8''J%c3%a4s%C3%B8n, ${LEAST}`, { ...CREDENTIALS, username: 'J\u00e4s\u00f8n' }],
    [`Digest username*=utf-8'en'a%20b, ${LEAST}`, { ...CREDENTIALS, username: 'a b' }],
    [`Digest username="ab", userhash=true, ${LEAST}`, { ...CREDENTIALS, username: 'ab', userhash: true }],
    [`Digest username="u", ${LEAST}, __proto__="x"`, CREDENTIALS],
    ['Basic dTpw', { kind: 'other', scheme: 'Basic' }],
    ['Digestive x', { kind: 'other', scheme: 'Digestive' }],
    ['Bearer', { kind: 'other', scheme: 'Bearer' }],
  ])('reads %.80j', (value, expected) => {
    expect(readCredentials(value)).toEqual({ ok: true, value: expected })
  })

  test.each([
    [undefined, 'missing-header'],
    ['', 'bad-authorization'],
    ['"Digest"', 'bad-authorization'],
    ['Digest', 'bad-authorization'],
    [`Digest ${LEAST}`, 'bad-authorization'],
    ['Digest username="u", nonce="n", uri="sip:h", response="ab"', 'bad-authorization'],
    [`Digest username="u" ${LEAST}`, 'bad-authorization'],
    [`Digest username="u"x, ${LEAST}`, 'bad-authorization'],
    [`Digest username=u"x", ${LEAST}`, 'bad-authorization'],
    [`Digest username, ${LEAST}`, 'bad-authorization'],
    [`Digest ="u", ${LEAST}`, 'bad-authorization'],
    [`Digest username="u`, 'bad-authorization'],
    [`Digest username="u\\"`, 'bad-authorization'],
    [`Digest username="${'\\'.repeat(8_000)}`, 'bad-authorization'],
    [`Digest username="u", ${LEAST}, nc=1`, 'bad-authorization'],
    [`Digest username="u", ${LEAST}, nc=0000000g`, 'bad-authorization'],
    [`Digest username="u", username*=UTF-8''u, ${LEAST}`, 'bad-authorization'],
    [`Digest username*=latin1''u, ${LEAST}`, 'bad-authorization'],
    [`Digest username*=UTF-8'u, ${LEAST}`, 'bad-authorization'],
    [`Digest username="u", ${LEAST}, nonce="m"`, 'duplicate-parameter'],
    [`Digest username="u", ${LEAST}, Realm="r"`, 'duplicate-parameter'],
    [
      `Digest username="u", ${LEAST}, ${Array.from({ length: 130 }, (_, i) => `x${i}=y`).join()}`,
      'too-many-parameters',
    ],
    [`Digest ${','.repeat(200)}username="u", ${LEAST}`, 'too-many-parameters'],
  ])('refuses %.80j', (value, fault) => {
    expect(readCredentials(value)).toEqual({ ok: false, fault })
  })
})

describe('readChallenge', () => {
  const CHALLENGE = {
    kind: 'digest',
    realm: 'r',
    nonce: 'n',
    opaque: undefined,
    algorithm: undefined,
    qop: [],
    stale: false,
    domain: undefined,
    userhash: false,
  }
  test.each([
    ['Digest realm="r", nonce="n"', CHALLENGE],
    [
      'Digest realm="r", nonce="n", opaque="", algorithm=MD5, qop="auth, Auth-Int", stale=TRUE, domain="sip:h"',
      { ...CHALLENGE, opaque: '', algorithm: 'MD5', qop: ['auth', 'auth-int'], stale: true, domain: 'sip:h' },
    ],
    ['Digest realm="r", nonce="n", qop=auth, stale="false"', { ...CHALLENGE, qop: ['auth'] }],
    ['Negotiate', { kind: 'other', scheme: 'Negotiate' }],
  ])('reads %s', (value, expected) => {
    expect(readChallenge(value)).toEqual({ ok: true, value: expected })
  })

  test.each([
    [undefined, 'missing-header'],
    ['Digest realm="r"', 'bad-authorization'],
    ['Digest nonce="n"', 'bad-authorization'],
    ['Digest realm="r", nonce="n", nonce="n"', 'duplicate-parameter'],
  ])('refuses %j', (value, fault) => {
    expect(readChallenge(value)).toEqual({ ok: false, fault })
  })
})
