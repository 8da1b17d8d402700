import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readAddress, readContacts } from '../../../registrar/sip/read-address.ts'
import { readCredentials } from '../../../registrar/sip/read-authorization.ts'
import { readCSeq } from '../../../registrar/sip/read-cseq.ts'
import { readExpires } from '../../../registrar/sip/read-expires.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import { aorOf, readUri } from '../../../registrar/sip/read-uri.ts'
import { readVia, readVias } from '../../../registrar/sip/read-via.ts'
import { respond } from '../../../registrar/sip/respond.ts'
import { SipFramer } from '../../../registrar/sip/stream-framer.ts'
import { messageIn, requestIn } from './messages.ts'

const folder = fileURLToPath(new URL('../../../../shared/corpora/torture/', import.meta.url))
const isThere = existsSync(folder)
if (!isThere) console.warn(`SKIPPED: the torture messages of RFC 4475 and RFC 5118 are not at ${folder}`)

const bytesIn = (name: string) => readFileSync(`${folder}${name}.dat`)

/** What the reader refuses, and the method it still knows. All else is read as a message. */
const REFUSED: Readonly<Record<string, { fault: string; method?: string }>> = {
  'rfc4475/badvers': { fault: 'bad-version', method: 'OPTIONS' },
  'rfc4475/bigcode': { fault: 'bad-status' },
  'rfc4475/clerr': { fault: 'truncated-body', method: 'INVITE' },
  'rfc4475/lwsruri': { fault: 'bad-uri', method: 'INVITE' },
  'rfc4475/mcl01': { fault: 'conflicting-content-length', method: 'OPTIONS' },
  'rfc4475/ncl': { fault: 'bad-content-length', method: 'INVITE' },
}

describe.skipIf(!isThere)('torture messages', () => {
  const names = !isThere
    ? []
    : ['rfc4475', 'rfc5118'].flatMap((rfc) =>
        readdirSync(folder + rfc).map((file) => `${rfc}/${file.replace('.dat', '')}`),
      )

  test('all are there', () => {
    expect(names).toHaveLength(61)
  })

  test.each(names)('%s is read or refused for its reason', (name) => {
    const reading = readSipMessage(bytesIn(name))
    const refused = REFUSED[name]
    expect(reading).toMatchObject(refused ? { kind: 'malformed', ...refused } : { kind: 'message' })
    const message = 'message' in reading ? reading.message : undefined
    if (!message) return
    // Whatever the fields hold, reading them and answering gives a value, a fault or a message.
    for (const { value } of message.headers) {
      for (const read of [readAddress, readVia, readCSeq, readUri, readCredentials, readExpires]) {
        expect(read(value).ok).toBeTypeOf('boolean')
      }
      expect(readContacts([value]).ok).toBeTypeOf('boolean')
    }
    if (message.kind === 'request') {
      expect(readSipMessage(respond(message, { status: 400 })).kind).toBe('message')
    }
  })

  test('every REGISTER is a REGISTER', () => {
    const classes = JSON.parse(readFileSync(`${folder}CLASSES.json`, 'utf8')) as Record<string, string[]>
    const registers = classes['REGISTER messages']!.map((file) => file.replace('.dat', ''))
    expect(registers.map((name) => [name, requestIn(bytesIn(name)).method])).toEqual(
      registers.map((name) => [name, 'REGISTER']),
    )
    const others = names.filter((name) => !registers.includes(name) && !REFUSED[name])
    const methods = others.map((name) => {
      const message = messageIn(bytesIn(name))
      return message.kind === 'request' ? message.method : message.kind
    })
    expect(methods).not.toContain('REGISTER')
  })

  test('dblreq is one REGISTER in a datagram and two messages on a stream', () => {
    const bytes = bytesIn('rfc4475/dblreq')
    expect(readSipMessage(bytes)).toMatchObject({ kind: 'message', bytesRead: bytes.indexOf('INVITE') - 2 })
    const methods = new SipFramer().push(bytes).map((reading) => {
      return reading.kind === 'message' && reading.message.kind === 'request'
        ? reading.message.method
        : reading.kind
    })
    expect(methods.slice(0, 2)).toEqual(['REGISTER', 'INVITE'])
  })

  test('wsinv: folding and blanks everywhere', () => {
    const message = messageIn(bytesIn('rfc4475/wsinv'))
    expect(readCSeq(message.first('cseq'))).toEqual({ ok: true, value: { number: 9, method: 'INVITE' } })
    const vias = readVias(message.all('via'))
    expect(vias.ok && vias.value.map(({ transport, host, branch }) => [transport, host, branch])).toEqual([
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ])
    const to = readAddress(message.first('to'))
    expect(to.ok && [to.value.uri, to.value.parameters.get('tag')]).toEqual([
      'sip:vivekg@chair-dnrc.example.com',
      '1918181833n',
    ])
    const from = readAddress(message.first('from'))
    expect(from.ok && from.value.displayName).toBe('J Rosenberg \\"')
  })

  test.each([
    ['rfc4475/escnull', 'null-%00-null@example.com'],
    ['rfc4475/semiuri', 'j_user@example.com'],
    ['rfc5118/ipv6-good', 'user@example.com'],
    ['rfc5118/ipv6-correct-abnf-2-colons', 'user@[2001:db8::c000:201]'],
  ])('%s: To is of the AOR %s', (name, aor) => {
    const to = readAddress(messageIn(bytesIn(name)).first('to'))
    const uri = to.ok ? readUri(to.value.uri) : to
    expect(uri.ok && aorOf(uri.value)).toBe(aor)
  })

  test.each([
    ['rfc5118/ipv6-good', { ok: true, value: { host: '2001:db8::10', port: undefined } }],
    ['rfc5118/ipv6-bad', { ok: false, fault: 'bad-uri' }],
    ['rfc5118/ipv6-bug-abnf-3-colons', { ok: false, fault: 'bad-uri' }],
    ['rfc5118/port-ambiguous', { ok: true, value: { host: '2001:db8::10:5070', port: undefined } }],
    ['rfc5118/port-unambiguous', { ok: true, value: { host: '2001:db8::10', port: 5070 } }],
    ['rfc4475/semiuri', { ok: true, value: { user: 'user;par=u%40example.net', host: 'example.com' } }],
    ['rfc4475/ltgtruri', { ok: false, fault: 'bad-uri' }],
    ['rfc4475/unkscm', { ok: false, fault: 'bad-uri' }],
    ['rfc4475/novelsc', { ok: false, fault: 'bad-uri' }],
  ])('%s: the Request-URI is %o', (name, expected) => {
    expect(readUri(requestIn(bytesIn(name)).uri)).toMatchObject(expected)
  })

  test.each([
    ['rfc5118/via-received-param-no-delim', '2001:db8::9:255'],
    ['rfc5118/via-received-param-with-delim', '2001:db8::9:255'],
  ])('%s: received is %s', (name, received) => {
    const via = readVia(messageIn(bytesIn(name)).first('via'))
    expect(via).toMatchObject({ ok: true, value: { host: '2001:db8::9:1', port: undefined, received } })
  })

  test('fields that are out of range or broken are faults', () => {
    const scalar = messageIn(bytesIn('rfc4475/scalar02'))
    expect(readCSeq(scalar.first('cseq'))).toEqual({ ok: false, fault: 'bad-cseq' })
    expect(readExpires(scalar.first('expires'))).toEqual({ ok: true, value: 0xffff_ffff })
    const badContact = messageIn(bytesIn('rfc4475/regbadct'))
    expect(readContacts(badContact.all('contact'))).toEqual({ ok: false, fault: 'bad-address' })
    const escaped = readContacts(messageIn(bytesIn('rfc4475/regescrt')).all('contact'))
    expect(escaped).toMatchObject({
      ok: true,
      value: { contacts: [{ uri: expect.stringContaining('?Route=') }] },
    })
    expect(readAddress(messageIn(bytesIn('rfc4475/quotbal')).first('to'))).toEqual({
      ok: false,
      fault: 'bad-address',
    })
    expect(readCredentials(messageIn(bytesIn('rfc4475/regaut01')).first('authorization'))).toEqual({
      ok: true,
      value: { kind: 'other', scheme: 'NoOneKnowsThisScheme' },
    })
  })

  test('cparam01 and cparam02: whose parameter it is', () => {
    const [bare, bracketed] = ['cparam01', 'cparam02'].map((name) => {
      const contacts = readContacts(messageIn(bytesIn(`rfc4475/${name}`)).all('contact'))
      if (!contacts.ok || contacts.value.kind !== 'list') throw new Error('not read')
      const { uri, parameters } = contacts.value.contacts[0]!
      return { uri, parameters: [...parameters] }
    })
    expect(bare).toEqual({ uri: 'sip:+19725552222@gw1.example.net', parameters: [['unknownparam', '']] })
    expect(bracketed).toEqual({ uri: 'sip:+19725552222@gw1.example.net;unknownparam', parameters: [] })
  })
})
