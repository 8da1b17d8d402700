import { describe, expect, it } from 'vitest'
import {
  answerFrom,
  type DigestAnswer,
  digestMatches,
  digestResponse,
  hashPassword,
} from '../../registrar/digest.ts'
import { readCredentials } from '../../registrar/sip/read-authorization.ts'

const RFC7616 = {
  nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
  uri: '/dir/index.html',
  protection: { cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ', nonceCount: '00000001' },
} as const
const MUFASA = hashPassword({ user: 'Mufasa', realm: 'http-auth@example.org', password: 'Circle of Life' })

describe('digestResponse', () => {
  it.each([
    // RFC 7616 section 3.9.1.
    ['MD5', MUFASA.md5, 'GET', RFC7616, '8ca523f5e9506fed4657c9700eebdbec'],
    [
      'SHA-256',
      MUFASA.sha256,
      'GET',
      RFC7616,
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    ],
    // RFC 2617 section 3.5, with qop.
    [
      'MD5',
      hashPassword({ user: 'Mufasa', realm: 'testrealm@host.com', password: 'Circle Of Life' }).md5,
      'GET',
      {
        nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
        uri: '/dir/index.html',
        protection: { cnonce: '0a4f113b', nonceCount: '00000001' },
      },
      '6629fae49393a05397450978507c4ef1',
    ],
    // RFC 3261 section 22.4 keeps the digest of RFC 2069 for clients without qop. Worked by hand with md5sum.
    [
      'MD5',
      hashPassword({ user: 'bob', realm: 'biloxi.com', password: 'zanzibar' }).md5,
      'INVITE',
      { nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093', uri: 'sip:bob@biloxi.com' },
      'bf57e4e0d0bffc0fbaedce64d59add5e',
    ],
  ] as const)('%s of %s', (algorithm, ha1, method, answer, expected) => {
    expect(digestResponse(ha1, method, { algorithm, ...answer })).toBe(expected)
  })
})

describe('digestMatches', () => {
  const answer: DigestAnswer = {
    username: 'Mufasa',
    algorithm: 'MD5',
    response: '8ca523f5e9506fed4657c9700eebdbec',
    ...RFC7616,
  }
  it.each([
    ['the right response', MUFASA, 'GET', answer, true],
    ['upper-case hex', MUFASA, 'GET', { ...answer, response: answer.response.toUpperCase() }, true],
    ['another method', MUFASA, 'POST', answer, false],
    ['a response cut short', MUFASA, 'GET', { ...answer, response: '8ca523' }, false],
    ['a response of letters beyond ASCII', MUFASA, 'GET', { ...answer, response: 'ſ'.repeat(32) }, false],
    ['no such account', undefined, 'GET', answer, false],
    ['an account without that hash', { sha256: MUFASA.sha256 }, 'GET', answer, false],
  ] as const)('%s', (_, hashes, method, given, expected) => {
    expect(digestMatches(hashes, method, given)).toBe(expected)
  })

  it('does not take the hash that stands in for nobody', () => {
    const forNobody = digestResponse('0'.repeat(32), 'GET', answer)
    expect(digestMatches(undefined, 'GET', { ...answer, response: forNobody })).toBe(false)
  })
})

describe('answerFrom', () => {
  const base = 'Digest username="a", realm="r", nonce="n", uri="sip:h", response="0123"'
  it.each([
    [
      base,
      {
        kind: 'answer',
        answer: { username: 'a', nonce: 'n', uri: 'sip:h', response: '0123', algorithm: 'MD5' },
      },
    ],
    [
      `${base}, algorithm=sha-256, qop=auth, nc=0000000A, cnonce="c"`,
      {
        kind: 'answer',
        answer: {
          username: 'a',
          nonce: 'n',
          uri: 'sip:h',
          response: '0123',
          algorithm: 'SHA-256',
          protection: { cnonce: 'c', nonceCount: '0000000A' },
        },
      },
    ],
    [`${base}, algorithm=SHA-256`, { kind: 'unusable', cause: 'unknown-qop' }],
    [`${base}, algorithm=MD5-sess`, { kind: 'unusable', cause: 'unknown-algorithm' }],
    [`${base}, qop=auth-int, nc=00000001, cnonce="c"`, { kind: 'unusable', cause: 'unknown-qop' }],
    [`${base}, qop=auth, nc=00000001`, { kind: 'unusable', cause: 'missing-parameter' }],
    [`${base}, qop=auth, nc=00000000, cnonce="c"`, { kind: 'unusable', cause: 'bad-nonce-count' }],
    [`${base}, userhash=true`, { kind: 'unusable', cause: 'userhash' }],
    [
      'Digest username="", realm="r", nonce="", uri="sip:h", response=""',
      { kind: 'unusable', cause: 'missing-parameter' },
    ],
  ] as const)('%s', (value, expected) => {
    const credentials = readCredentials(value)
    if (!credentials.ok || credentials.value.kind !== 'digest')
      throw new Error('the header could not be read')
    expect(answerFrom(credentials.value)).toEqual(expected)
  })
})
