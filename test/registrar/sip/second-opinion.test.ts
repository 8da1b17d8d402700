import { createRequire } from 'node:module'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readAddress, readContacts } from '../../../registrar/sip/read-address.ts'
import { readCSeq } from '../../../registrar/sip/read-cseq.ts'
import { aorOf, readUri } from '../../../registrar/sip/read-uri.ts'
import { readVia } from '../../../registrar/sip/read-via.ts'
import { writeRequest } from '../../written-messages.ts'
import { requestIn } from './messages.ts'

interface SipModule {
  parse(text: string): {
    method: string
    uri: string
    headers: {
      via: {
        version: string
        protocol: string
        host: string
        port?: number
        params: Record<string, string>
      }[]
      from: { name?: string; uri: string; params: Record<string, string> }
      to: { name?: string; uri: string; params: Record<string, string> }
      contact: { uri: string; params: Record<string, string> }[]
      cseq: { seq: number; method: string }
      'call-id': string
    }
  }
  parseUri(text: string): { user: string; host: string; port?: number }
}

// Only for messages that we made ourselves: this parser must never see a stranger's bytes.
const sip = createRequire(import.meta.url)('sip') as SipModule

const word = fc.string({ unit: fc.constantFrom(...'abcdefgh0123456789'), minLength: 1, maxLength: 10 })
const host = fc.oneof(
  fc.ipV4(),
  fc.tuple(word, word).map(([a, b]) => `a${a}.b${b}`),
)
const port = fc.integer({ min: 1, max: 65_535 })

test('npm sip reads the same out of messages that we write', () => {
  fc.assert(
    fc.property(
      fc.record({
        user: word,
        name: word,
        domain: host,
        peer: host,
        port,
        tag: word,
        branch: word,
        callId: word,
      }),
      fc.nat(2 ** 31 - 1),
      fc.array(fc.record({ user: word, host, expires: fc.nat(7_200) }), { minLength: 1, maxLength: 3 }),
      (p, number, contacts) => {
        const bytes = writeRequest({
          method: 'REGISTER',
          uri: `sip:${p.domain}`,
          headers: [
            ['Via', `SIP/2.0/UDP ${p.peer}:${p.port};branch=z9hG4bK${p.branch};rport`],
            ['From', `"${p.name}" <sip:${p.user}@${p.domain}>;tag=${p.tag}`],
            ['To', `<sip:${p.user}@${p.domain}:${p.port}>`],
            ['Call-ID', p.callId],
            ['CSeq', `${number} REGISTER`],
            ['Contact', contacts.map((c) => `<sip:${c.user}@${c.host}>;expires=${c.expires}`).join(', ')],
          ],
        })
        const theirs = sip.parse(bytes.toString('utf8'))
        const ours = requestIn(bytes)
        const [via, from, to] = [
          readVia(ours.first('via')),
          readAddress(ours.first('from')),
          readAddress(ours.first('to')),
        ]
        const cseq = readCSeq(ours.first('cseq'))
        const read = readContacts(ours.all('contact'))
        if (!via.ok || !from.ok || !to.ok || !cseq.ok || !read.ok || read.value.kind !== 'list') {
          throw new Error('a field was not read')
        }
        const uri = readUri(to.value.uri)
        const theirUri = sip.parseUri(theirs.headers.to.uri)
        const [theirVia] = theirs.headers.via
        expect({
          method: ours.method,
          uri: ours.uri,
          callId: ours.first('call-id'),
          cseq: { seq: cseq.value.number, method: cseq.value.method },
          via: [via.value.transport, via.value.host, via.value.port, via.value.branch],
          from: [from.value.displayName, from.value.uri, from.value.parameters.get('tag')],
          aor: uri.ok && aorOf(uri.value),
          contacts: read.value.contacts.map((contact) => [contact.uri, String(contact.expires)]),
        }).toEqual({
          method: theirs.method,
          uri: theirs.uri,
          callId: theirs.headers['call-id'],
          cseq: theirs.headers.cseq,
          via: [theirVia!.protocol, theirVia!.host, theirVia!.port, theirVia!.params.branch],
          from: [
            theirs.headers.from.name?.replaceAll('"', ''),
            theirs.headers.from.uri,
            theirs.headers.from.params.tag,
          ],
          aor: `${theirUri.user}@${theirUri.host}`,
          contacts: theirs.headers.contact.map((contact) => [contact.uri, contact.params.expires]),
        })
      },
    ),
    { numRuns: 300 },
  )
})
