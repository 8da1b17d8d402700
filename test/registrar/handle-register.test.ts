import { describe, expect, it } from 'vitest'
import { handleRequest } from '../../registrar/handle-register.ts'
import { type Address, parseAddress, type Source } from '../../registrar/net/address.ts'
import { openRegistrar, type RegistrarSettings } from '../../registrar/open-registrar.ts'
import type { SipMessage, SipResponse } from '../../registrar/sip/message.ts'
import { type Answering, answerTo, type RegisterParts, readText, requestOf } from './requests.ts'
import { SETTINGS as TWO_ACCOUNTS } from './settings.ts'

const T = 1_700_000_000_000
const PHONE: Source = { address: parseAddress('192.0.2.1') as Address, port: 5060 }
const OTHER: Source = { address: parseAddress('198.51.100.9') as Address, port: 5060 }
const HASHES = { md5: '3a1dfd6c8f0b5cdef1f17b8bbb8e0e4f', sha256: 'a'.repeat(64) }

const SETTINGS: RegistrarSettings = {
  ...TWO_ACCOUNTS,
  accounts: [...TWO_ACCOUNTS.accounts, { user: 'only-sha', ha1: { sha256: HASHES.sha256 } }],
}

/** A registrar without sockets, at a time that the test sets. */
class Bench {
  now = T
  readonly state
  constructor(settings: Partial<RegistrarSettings> = {}) {
    this.state = openRegistrar({ ...SETTINGS, ...settings }, T).state
  }

  handle(parts: RegisterParts, source = PHONE) {
    const handled = handleRequest(requestOf(parts), source, 'udp', this.now, this.state)
    const response = handled.response && (readText(handled.response) as SipResponse)
    return { ...handled, response, status: response?.status }
  }

  /** Challenged and answered. */
  register(parts: RegisterParts = {}, how: Answering = {}, source = PHONE) {
    const user = how.user ?? parts.user ?? '1001'
    const challenge = this.handle({ ...parts, user: parts.user ?? user }, source)
    if (challenge.status !== 401) return challenge
    const authorization = answerTo(challenge.response as SipMessage, { ...how, user })
    return this.handle(
      { ...parts, user: parts.user ?? user, authorization, cseq: (parts.cseq ?? 1) + 1 },
      source,
    )
  }

  guess(times: number, source = PHONE, user = '1001') {
    return Array.from({ length: times }, () => this.register({ user }, { password: 'wrong' }, source))
  }
}

describe('a registration', () => {
  it('is challenged, answered and kept', () => {
    const bench = new Bench()
    const bare = bench.handle({})
    expect(bare.outcome).toEqual({ kind: 'challenge', account: '1001' })
    expect(bare.remember).toBe(false)
    expect(bare.response?.all('www-authenticate')).toEqual([
      expect.stringMatching(/^Digest realm="ringfence",nonce="[\w-]{36}",algorithm=MD5,qop="auth"$/),
    ])
    const good = bench.handle({ cseq: 2, expires: '120', authorization: answerTo(bare.response!) })
    expect(good.outcome).toEqual({ kind: 'success', account: '1001', wish: 'set' })
    expect(good.status).toBe(200)
    expect(good.response?.all('contact')).toEqual(['<sip:1001@192.0.2.1:5060>;expires=120'])
    expect(bench.state.bindings.of('1001', T)).toEqual([
      {
        user: '1001',
        contact: 'sip:1001@192.0.2.1:5060',
        q: 1,
        instance: null,
        callId: 'call@192.0.2.1',
        cseq: 2,
        source: PHONE,
        transport: 'udp',
        userAgent: 'test phone',
        registeredAt: T,
        refreshedAt: T,
        expiresAt: T + 120_000,
      },
    ])
  })

  it.each([
    ['SHA-256', { algorithms: ['SHA-256', 'MD5'] }, { algorithm: 'SHA-256' }],
    ['MD5 where SHA-256 is offered first', { algorithms: ['SHA-256', 'MD5'] }, { algorithm: 'MD5' }],
    ['SHA-256 though only MD5 is offered', {}, { algorithm: 'SHA-256' }],
    ['the digest of RFC 2069', {}, { legacy: true }],
    ['another port of the same host in the digest URI', {}, { uri: 'sip:ringfence.example:5060' }],
  ] as const)('succeeds with %s', (_, settings, how) => {
    expect(new Bench(settings).register({}, how).status).toBe(200)
  })

  it('offers the strongest algorithm first where it is told to, all with one nonce', () => {
    const challenges = new Bench({ algorithms: ['SHA-256', 'MD5'] })
      .handle({})
      .response!.all('www-authenticate')
    expect(challenges.map((value) => /algorithm=([^,]+)/.exec(value)?.[1])).toEqual(['SHA-256', 'MD5'])
    expect(new Set(challenges.map((value) => /nonce="([^"]+)"/.exec(value)?.[1])).size).toBe(1)
  })

  it('offers an account only what it has a hash for', () => {
    const [challenge] = new Bench().handle({ user: 'only-sha' }).response!.all('www-authenticate')
    expect(challenge).toContain('algorithm=SHA-256')
  })

  it('goes on with a kept nonce as long as the count goes up', () => {
    const bench = new Bench()
    const challenge = bench.handle({}).response!
    const statuses = ['00000001', '00000002', '00000002', '00000003'].map((nc, i) => {
      return bench.handle({ cseq: i + 2, authorization: answerTo(challenge, { nc }) }).status
    })
    expect(statuses).toEqual([200, 200, 401, 200])
  })

  it('fetches, refreshes, adds and removes', () => {
    const bench = new Bench()
    const contacts = (parts: RegisterParts) => bench.register(parts).response?.all('contact')
    expect(contacts({ contact: '<sip:a@192.0.2.1>;q=0.5' })).toEqual(['<sip:a@192.0.2.1>;expires=3600;q=0.5'])
    bench.now += 1_000
    expect(contacts({ cseq: 3, contact: '<sip:b@192.0.2.1>;expires=90' })).toEqual([
      '<sip:a@192.0.2.1>;expires=3599;q=0.5',
      '<sip:b@192.0.2.1>;expires=90',
    ])
    expect(contacts({ cseq: 5, contact: null })).toHaveLength(2)
    expect(contacts({ cseq: 7, contact: '<sip:a@192.0.2.1>', expires: '0' })).toEqual([
      '<sip:b@192.0.2.1>;expires=90',
    ])
    expect(contacts({ cseq: 9, contact: '*', expires: '0' })).toEqual([])
    expect(bench.state.bindings.size).toBe(0)
  })
})

describe('what is refused', () => {
  it.each([
    ['a wrong password', {}, { password: 'wrong' }, 403],
    ['an account that is not there, the same way', { user: 'nobody' }, {}, 403],
    ['credentials of another account', { user: '1001' }, { user: '1002', password: 'geheim' }, 403],
    ['an extension that is asked for', { headers: ['Require: path'] }, {}, 420],
    ['too brief a time', { expires: '59' }, {}, 423],
    ['a contact that is none', { contact: '<nonsense>' }, {}, 400],
    ['a contact beside *', { contact: '*, <sip:a@b>' }, {}, 400],
    ['* without Expires 0', { contact: '*' }, {}, 400],
    ['a digest URI of another host', {}, { uri: 'sip:elsewhere.example' }, 400],
    ['a contact of more than 512 bytes', { contact: `<sip:${'a'.repeat(512)}@b>` }, {}, 400],
  ] as const)('%s', (_, parts, how, status) => {
    const bench = new Bench()
    expect(bench.register(parts, how).status).toBe(status)
    expect(bench.state.bindings.size).toBe(0)
  })

  it.each([
    ['a To without a user', { headers: [], user: '' }, 400],
    ['a CSeq of another method', { headers: [], method: 'REGISTER', cseq: Number.NaN }, 400],
    ['a Call-ID without end', { callId: 'x'.repeat(256) }, 400],
    ['credentials that are none', { authorization: 'Digest username=' }, 400],
    ['a nonce count that is none', { authorization: answerTo('nonce', { nc: '0000000g' }) }, 400],
    ['another scheme', { authorization: 'Basic YTpi' }, 401],
    ['credentials for another realm', { authorization: answerTo('nonce', { realm: 'elsewhere' }) }, 401],
    [
      'auth-int, which was not offered',
      { authorization: answerTo('n').replace('qop=auth', 'qop=auth-int') },
      401,
    ],
  ] as const)('%s, without counting it as a failure', (_, parts, status) => {
    const bench = new Bench()
    const handled = bench.handle(parts)
    expect([handled.status, handled.remember]).toEqual([status, false])
    expect(bench.state.policy.stats.failing).toBe(0)
  })

  it('answers nobody without a usable Via', () => {
    for (const via of ['Via: nonsense', 'X-Via: none']) {
      expect(new Bench().handle({ via })).toMatchObject({
        response: undefined,
        outcome: { kind: 'ignored', reason: 'no-usable-via' },
      })
    }
  })

  it('says 423 with the time that is enough', () => {
    expect(new Bench().register({ expires: '1' }).response?.first('min-expires')).toBe('60')
  })

  it('says which extensions it does not have', () => {
    const response = new Bench().register({ headers: ['Require: path, gruu'] }).response
    expect(response?.first('unsupported')).toBe('path, gruu')
  })
})

describe('a nonce', () => {
  it.each([
    ['too old', 60_001, PHONE, 'expired'],
    ['of another address', 0, OTHER, 'foreign'],
  ] as const)('%s is stale, and the right password does not change that', (_, later, source, cause) => {
    const bench = new Bench()
    const authorization = answerTo(bench.handle({}).response!)
    bench.now += later
    const handled = bench.handle({ cseq: 2, authorization }, source)
    expect(handled.outcome).toEqual({ kind: 'stale', account: '1001', cause })
    expect(handled.response?.first('www-authenticate')).toContain('stale=true')
  })

  it('that is made up says nothing about the password, and costs the guesser nothing and gains him nothing', () => {
    const bench = new Bench()
    const tries = ['secret', 'wrong'].map((password) => {
      const { outcome, status } = bench.handle({ authorization: answerTo('A'.repeat(36), { password }) })
      return { outcome, status }
    })
    expect(tries[0]).toEqual(tries[1])
    expect(bench.state.policy.stats.failing).toBe(0)
  })

  it('may come back from another port: a NAT may have changed it', () => {
    const bench = new Bench()
    const authorization = answerTo(bench.handle({}).response!)
    expect(bench.handle({ cseq: 2, authorization }, { ...PHONE, port: 40_000 }).status).toBe(200)
  })

  it('cannot be used for a second guess under the same count', () => {
    const bench = new Bench()
    const challenge = bench.handle({}).response!
    const outcomes = ['wrong', 'secret'].map((password, i) => {
      return bench.handle({ cseq: i + 2, authorization: answerTo(challenge, { password }) }).outcome.kind
    })
    expect(outcomes).toEqual(['failure', 'stale'])
  })

  it('of the digest without a count is good once', () => {
    const bench = new Bench()
    const authorization = answerTo(bench.handle({}).response!, { legacy: true })
    expect([2, 3].map((cseq) => bench.handle({ cseq, authorization }).status)).toEqual([200, 401])
  })
})

describe('suspension', () => {
  it('comes with the sixth wrong password and refuses even the right one for its time', () => {
    const bench = new Bench()
    const outcomes = bench.guess(6).map(({ outcome }) => outcome)
    expect(outcomes.map((outcome) => outcome.kind === 'failure' && outcome.policy.kind)).toEqual([
      ...Array(5).fill('none'),
      'suspend',
    ])
    expect(bench.register()).toMatchObject({
      status: 403,
      outcome: { kind: 'suspended', until: T + 180_000 },
    })
    bench.now += 180_000
    expect(bench.register().status).toBe(200)
  })

  it('does not touch other accounts, other addresses, or a phone registered from another port', () => {
    const bench = new Bench()
    const deskPhone = { ...PHONE, port: 2_048 }
    expect(bench.register({}, {}, deskPhone).status).toBe(200)
    bench.guess(6)
    expect(bench.register({ user: '1002' }, { password: 'geheim' }).status).toBe(200)
    expect(bench.register({ callId: 'x', contact: '<sip:1001@198.51.100.9>' }, {}, OTHER).status).toBe(200)
    expect(bench.register({ cseq: 5 }, {}, deskPhone).status).toBe(200)
    expect(bench.register({ cseq: 9 }, {}, { ...PHONE, port: 3_333 }).status).toBe(403)
  })

  it('counts against the name that is guessed, not against the one in To', () => {
    const bench = new Bench()
    for (let i = 0; i < 6; i++) bench.register({ user: '1002' }, { user: '1001', password: 'wrong' })
    expect(bench.register().outcome.kind).toBe('suspended')
    expect(bench.register({ user: '1002' }, { password: 'geheim' }).status).toBe(200)
  })

  it('locks an address out after twenty failures over several accounts, silently, but not its registered phones', () => {
    const bench = new Bench()
    const deskPhone = { ...PHONE, port: 2_048 }
    bench.register({}, {}, deskPhone)
    const kinds = Array.from({ length: 20 }, (_, i) => bench.guess(1, PHONE, `user${i}`)[0]!.outcome)
    expect(kinds.at(-1)).toMatchObject({ kind: 'failure', policy: { kind: 'lockout' } })
    expect(bench.handle({ user: '1002' })).toMatchObject({
      response: undefined,
      outcome: { kind: 'locked-out' },
    })
    expect(bench.register({ cseq: 5 }, {}, deskPhone).status).toBe(200)
    expect(bench.register({ user: '1002' }, { password: 'geheim' }, OTHER).status).toBe(200)
  })
})

describe('other requests', () => {
  it.each([
    ['OPTIONS', 200],
    ['INVITE', 405],
    ['SUBSCRIBE', 405],
    ['CANCEL', 481],
    ['BYE', 481],
    ['ACK', undefined],
  ])('%s: %s', (method, status) => {
    const handled = new Bench().handle({ method, contact: null })
    expect([handled.status, handled.remember]).toEqual([status, false])
  })
})

describe('what an answer costs', () => {
  it('is no more than a phone’s own REGISTER for whoever has proven nothing', () => {
    const bench = new Bench()
    const request = requestOf({
      headers: ['Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, SUBSCRIBE, INFO, MESSAGE, REFER'],
    })
    const { response } = handleRequest(request, PHONE, 'udp', T, bench.state)
    expect(response!.length).toBeLessThan(600)
  })
})
