import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readAsteriskLine } from '../../../agent/logs/asterisk.ts'

const HEAD = '[2026-01-15 10:23:45] SECURITY[1234] res_security_log.c: '
const LOCAL = 'IPV4/TLS/192.0.2.1/5061'
const REMOTE = 'IPV4/TLS/198.51.100.7/43210'

/** A line as Asterisk writes it: nothing is escaped. */
function lineOf(
  event: string,
  {
    head = HEAD,
    service = 'PJSIP',
    account = '1001',
    session = 'a84b4c76e66710',
    local = LOCAL,
    remote = REMOTE,
    tail = '',
  } = {},
): string {
  return `${head}SecurityEvent="${event}",EventTV="2026-01-15T10:23:45.123+0000",Severity="Error",Service="${service}",EventVersion="2",AccountID="${account}",SessionID="${session}",LocalAddress="${local}",RemoteAddress="${remote}"${tail}`
}

const CREDENTIALS = ',Challenge="1432446136/6d16ccf2",Response="849dfcf133d8",ExpectedResponse=""'
const SUBJECT = {
  account: '1001',
  address: '198.51.100.7',
  port: 43210,
  transport: 'tls',
  serverPort: 5061,
}

describe("Asterisk's security log", () => {
  it.each([
    ['InvalidPassword', ',Challenge="41d26de5",ReceivedChallenge="41d26de5",ReceivedHash="7a6a"', 'failure'],
    ['ChallengeResponseFailed', CREDENTIALS, 'failure'],
    ['SuccessfulAuth', ',UsingPassword="1"', 'success'],
    ['ChallengeSent', ',Challenge="1432446136/6d16ccf2"', 'challenge'],
    ['InvalidAccountID', '', 'unknown-account'],
    ['FailedACL', ',ACLName="domain_must_match"', 'refused'],
  ])('reads %s', (event, tail, kind) => {
    expect(readAsteriskLine(lineOf(event, { tail }))).toEqual({ kind, ...SUBJECT })
  })

  it.each([
    ['UDP', 'udp'],
    ['TCP', 'tcp'],
    ['WS', 'ws'],
    ['WSS', 'wss'],
    ['SCTP', 'unknown'],
    ['', 'unknown'],
  ])('knows the transport %s as %s', (written, transport) => {
    const remote = `IPV4/${written}/198.51.100.7/43210`
    expect(readAsteriskLine(lineOf('InvalidAccountID', { remote }))).toMatchObject({ transport })
  })

  it('reads IPv6, and real lines of other versions and of syslog', () => {
    expect(
      readAsteriskLine(
        lineOf('InvalidAccountID', {
          local: 'IPV6/TLS/[2001:db8::1]/5061',
          remote: 'IPV6/TLS/2001:DB8:0::7/40000',
        }),
      ),
    ).toMatchObject({ address: '2001:db8::7', port: 40000, serverPort: 5061 })
    // Forms as in the samples that fail2ban keeps, with other addresses.
    expect(
      readAsteriskLine(
        '[2013-05-13 07:10:53] SECURITY[1204] res_security_log.c: SecurityEvent="InvalidAccountID",EventTV="1368439853-500975",Severity="Error",Service="SIP",EventVersion="1",AccountID="00972599580679",SessionID="0x7f8ecc0421f8",LocalAddress="IPV4/UDP/192.0.2.1/5060",RemoteAddress="IPV4/UDP/198.51.100.7/5070"',
      ),
    ).toMatchObject({ kind: 'unknown-account', account: '00972599580679', transport: 'udp', port: 5070 })
    expect(
      readAsteriskLine(
        lineOf('ChallengeResponseFailed', {
          head: 'Nov  4 18:30:40 localhost asterisk[32229]: SECURITY[32257]: res_security_log.c:114 in security_event_stasis_cb: ',
          account: '<unknown>',
          tail: CREDENTIALS,
        }),
      ),
    ).toMatchObject({ kind: 'failure', account: '<unknown>' })
  })

  it('takes nothing from other levels, other services, other events and a success without a password', () => {
    const others = [
      '',
      'not a log',
      '[2026-01-15 10:23:45] VERBOSE[1] logger.c: Asterisk Queue Logger restarted',
      lineOf('InvalidPassword', { service: 'AMI', tail: CREDENTIALS }),
      lineOf('RequestBadFormat'),
      lineOf('SuccessfulAuth', { tail: ',UsingPassword="0"' }),
      lineOf('SuccessfulAuth'),
    ]
    for (const line of others) expect(readAsteriskLine(line)).toEqual({ kind: 'other' })
  })

  describe('a client who writes fields', () => {
    const forged = '",LocalAddress="IPV4/TLS/192.0.2.1/5061",RemoteAddress="IPV4/TLS/203.0.113.9/1'

    it('in his Call-ID is himself the one who is seen, or nobody', () => {
      // That one may hold quotes is known: fail2ban keeps a sample of it.
      expect(readAsteriskLine(lineOf('InvalidAccountID', { session: forged }))).toMatchObject({
        address: '198.51.100.7',
      })
      expect(
        readAsteriskLine(lineOf('SuccessfulAuth', { session: forged, tail: ',UsingPassword="1"' })),
      ).toMatchObject({ address: '198.51.100.7' })
      expect(readAsteriskLine(lineOf('InvalidPassword', { session: forged, tail: CREDENTIALS }))).toEqual({
        kind: 'doubtful',
      })
    })

    it('with a quote alone, or with a remote address alone, hides nothing', () => {
      for (const session of ['a"b', '"', ',"', 'x",RemoteAddress="IPV4/TLS/203.0.113.9/1'])
        expect(
          readAsteriskLine(lineOf('ChallengeResponseFailed', { session, tail: CREDENTIALS })),
        ).toMatchObject({ kind: 'failure', address: '198.51.100.7' })
    })

    it('in his credentials, in the very form of a whole tail, is not believed', () => {
      const response = `x${forged}",Challenge="a",Response="b`
      const tail = `,Challenge="n",Response="${response}",ExpectedResponse=""`
      expect(readAsteriskLine(lineOf('ChallengeResponseFailed', { tail }))).toEqual({ kind: 'doubtful' })
      const remoteOnly =
        ',Challenge="n",Response="",RemoteAddress="IPV4/TLS/203.0.113.9/1",ExpectedResponse=""'
      expect(readAsteriskLine(lineOf('ChallengeResponseFailed', { tail: remoteOnly }))).toMatchObject({
        address: '198.51.100.7',
      })
    })

    it('in his name changes his name at most', () => {
      const account = 'x",SessionID="y'
      expect(readAsteriskLine(lineOf('InvalidAccountID', { account }))).toMatchObject({
        account: 'x',
        address: '198.51.100.7',
      })
      const long = readAsteriskLine(lineOf('InvalidAccountID', { account: 'é'.repeat(500) }))
      expect(long).toMatchObject({ kind: 'unknown-account', account: 'é'.repeat(80) })
    })

    it('with an end of line in his name, 36 characters of which PJSIP logs, makes no line that is believed', () => {
      const ends = ['\n', '\r\n', '\r']
      const names = [
        'SECURITY[1] res_security_log.c: ',
        'SECURITY[1] res_security_log',
        '[1] SECURITY[1] res_security_log.c:',
        'x',
      ]
      // What he writes into his Call-ID follows, behind what Asterisk writes between the two.
      const session = `${HEAD}SecurityEvent="InvalidPassword",EventTV="1",Severity="Error",Service="PJSIP",EventVersion="2",AccountID="1",SessionID="1${forged}`
      for (const end of ends) {
        for (const name of names) {
          const account = `${end}${name}`.slice(0, 36)
          const written = lineOf('InvalidAccountID', { account, session })
          for (const line of written.split(/\r\n|\n|\r/)) {
            const event = readAsteriskLine(line)
            expect('address' in event ? event.address : event.kind).not.toBe('203.0.113.9')
          }
        }
      }
    })

    it('cannot have the true address cut off behind the longest message', () => {
      const session = `${forged}"${'x'.repeat(9_000)}`
      const cut = lineOf('InvalidAccountID', { session }).slice(0, HEAD.length + 8_191)
      expect(readAsteriskLine(cut)).toEqual({ kind: 'doubtful' })
    })

    it("who is quoted in another level's line makes no event", () => {
      const event = lineOf('InvalidPassword', { head: '', tail: CREDENTIALS })
      const quoted = `[2026-01-15 10:23:45] NOTICE[1] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '"x" <sip:${event}>' failed`
      expect(readAsteriskLine(quoted)).toEqual({ kind: 'other' })
      const posing = quoted.replace('<sip:', '<sip:SECURITY[1] res_security_log.c: ')
      expect(readAsteriskLine(posing)).toEqual({ kind: 'doubtful' })
    })

    it('never has another address read, whatever he writes in whichever of his fields', () => {
      const piece = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.constantFrom(
          '"',
          ',',
          '",',
          '",SessionID="',
          '",LocalAddress="',
          '",RemoteAddress="',
          'IPV4/TLS/203.0.113.9/1',
          'IPV4/TLS/192.0.2.1/5061',
          '",Challenge="',
          '",Response="',
          '",ExpectedResponse="',
          'SecurityEvent="',
          'SuccessfulAuth',
        ),
      )
      const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''))
      const event = fc.constantFrom(
        'InvalidPassword',
        'ChallengeResponseFailed',
        'InvalidAccountID',
        'ChallengeSent',
      )
      fc.assert(
        fc.property(event, text, text, text, (name, account, session, response) => {
          const isFailure = name === 'InvalidPassword' || name === 'ChallengeResponseFailed'
          const tail = isFailure
            ? `,Challenge="n",Response="${response}",ExpectedResponse=""`
            : ',Challenge="n"'
          const read = readAsteriskLine(
            lineOf(name, { account: isFailure ? '1001' : account.slice(0, 36), session, tail }),
          )
          if ('address' in read) expect(read).toMatchObject({ address: '198.51.100.7', port: 43210 })
        }),
        { numRuns: 1_500 },
      )
    })
  })

  it('is harmed by no bytes at all, and its time grows with the line', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const line = Buffer.from(bytes).toString('utf8')
        expect(readAsteriskLine(line).kind).toBe('other')
        const event = readAsteriskLine(`${HEAD}SecurityEvent="InvalidPassword"${line}`)
        expect(event.kind).toBe('doubtful')
      }),
    )
    const slow = [
      `${HEAD}SecurityEvent="`.repeat(1_000),
      `${HEAD}SecurityEvent="InvalidAccountID${'",LocalAddress="'.repeat(4_000)}`,
      lineOf('InvalidAccountID', { session: '",LocalAddress="IPV4/TLS'.repeat(2_500) }),
      '"'.repeat(65_536),
    ]
    const began = performance.now()
    for (const line of slow) for (let i = 0; i < 100; i++) readAsteriskLine(line)
    // 400 lines of the greatest length; anything quadratic would take minutes.
    expect(performance.now() - began).toBeLessThan(2_000)
  })
})
