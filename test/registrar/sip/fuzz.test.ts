import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readAddress, readAddressList, readContacts } from '../../../registrar/sip/read-address.ts'
import { readChallenge, readCredentials } from '../../../registrar/sip/read-authorization.ts'
import { readCSeq } from '../../../registrar/sip/read-cseq.ts'
import { readExpires } from '../../../registrar/sip/read-expires.ts'
import { readSipMessage } from '../../../registrar/sip/read-message.ts'
import { aorOf, readUri } from '../../../registrar/sip/read-uri.ts'
import { readVia, readVias } from '../../../registrar/sip/read-via.ts'
import { respond } from '../../../registrar/sip/respond.ts'
import { SipFramer } from '../../../registrar/sip/stream-framer.ts'
import type { HeaderPair } from '../../../registrar/sip/write-message.ts'
import { TYPICAL_MESSAGES } from '../../../scripts/bench/sip-reader.ts'
import { writeRequest, writeResponse } from '../../written-messages.ts'
import { messageIn, plain, requestIn } from './messages.ts'

/** Everything that can be done with bytes from a stranger. Whatever throws in here is a bug. */
function useFully(bytes: Buffer): void {
  for (const transport of ['datagram', 'stream'] as const) {
    const reading = readSipMessage(bytes, { transport })
    const message = 'message' in reading ? reading.message : undefined
    if (!message) continue
    if (reading.kind === 'message') expect(reading.bytesRead).toBeLessThanOrEqual(bytes.length)
    for (const { name, value } of message.headers) {
      expect(value).not.toMatch(/[\r\n\0]/)
      expect(message.all(name)).toContain(value)
      useValue(value)
    }
    plain(message)
    if (message.kind === 'request')
      expect(readSipMessage(respond(message, { status: 400 })).kind).toBe('message')
  }
  for (const onFault of ['stop', 'resynchronise'] as const) {
    const framer = new SipFramer({ onFault })
    framer.push(bytes)
    framer.end()
  }
}

function useValue(value: string): void {
  for (const read of [readVia, readCSeq, readExpires, readCredentials, readChallenge, readAddress])
    read(value)
  readVias([value])
  readContacts([value])
  const uri = readUri(value)
  if (uri.ok) expect(aorOf(uri.value)).toMatch(/^[\x21-\x7e]+$/)
  const addresses = readAddressList([value])
  if (!addresses.ok) return
  for (const address of addresses.value) {
    const inner = readUri(address.uri)
    if (inner.ok) expect(aorOf(inner.value)).toMatch(/^[\x21-\x7e]+$/)
  }
}

test('arbitrary bytes never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => useFully(Buffer.from(bytes))),
    { numRuns: 3_000 },
  )
})

test('arbitrary text in every field never throws', () => {
  const part = fc.oneof(
    fc.constantFrom('sip:', '<', '>', '"', '\\', ';', ',', '=', '@', '%', '[', ']', '::', '*', '?', '&', ' '),
    fc.constantFrom('SIP/2.0/UDP', 'Digest ', 'username', 'tag', 'a', '1', '\t', '\u00e4', '%41', "UTF-8''"),
    fc.string({ unit: 'binary', maxLength: 5 }),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 25 }), (parts) => useValue(parts.join(''))),
    { numRuns: 3_000 },
  )
})

test('valid messages with bytes changed, taken out, put in or doubled never throw', () => {
  const edit = fc.record({
    at: fc.nat(700),
    remove: fc.nat(40),
    insert: fc.oneof(
      fc.constantFrom(
        '\r\n',
        '\n',
        '\r',
        '\0',
        ' ',
        ':',
        '"',
        '<',
        ';',
        ',',
        '\\',
        '\r\n ',
        'Content-Length: 9\r\n',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    repeat: fc.integer({ min: 1, max: 5 }),
  })
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values(TYPICAL_MESSAGES)),
      fc.array(edit, { minLength: 1, maxLength: 6 }),
      (original, edits) => {
        let bytes = original
        for (const { at, remove, insert, repeat } of edits) {
          const start = Math.min(at, bytes.length)
          bytes = Buffer.concat([
            bytes.subarray(0, start),
            Buffer.from(insert.repeat(repeat)),
            bytes.subarray(Math.min(start + remove, bytes.length)),
          ])
        }
        useFully(bytes)
      },
    ),
    { numRuns: 1_200 },
  )
})

const tokenText = fc.string({
  unit: fc.constantFrom(..."abcXYZ019-.!%*_+`'~"),
  minLength: 1,
  maxLength: 12,
})
const lineText = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .map((text) => text.replace(/[\r\n\0\ud800-\udfff]/g, '').trim())
  .filter((text) => text === Buffer.from(text).toString() && text === trimBlanks(text))
const header = fc.tuple(
  // One letter might be a compact form, and known names have rules of their own.
  tokenText.map((name) => `X-${name}`),
  lineText,
)
const headers: fc.Arbitrary<HeaderPair[]> = fc.array(header, { maxLength: 20 })
const body = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes))

function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}

/** What should be read of headers that were written. */
function expectedHeaders(pairs: readonly HeaderPair[], bytes: Buffer) {
  const own = pairs.map(([name, value]) => ({ name: name.toLowerCase(), value }))
  return [...own, { name: 'content-length', value: String(bytes.length) }]
}

test('a request that is written reads as the same', () => {
  const method = tokenText.map((text) => `M${text}`)
  const uri = fc.webUrl().map((url) => `sip:${url}`)
  fc.assert(
    fc.property(method, uri, headers, body, (name, target, pairs, content) => {
      const bytes = writeRequest({ method: name, uri: target, headers: pairs, body: content })
      expect(plain(messageIn(bytes))).toEqual({
        kind: 'request',
        method: name,
        uri: target,
        headers: expectedHeaders(pairs, content),
        body: content.toString('latin1'),
      })
      expect(new SipFramer().push(bytes).map((reading) => reading.kind)).toEqual(['message'])
    }),
    { numRuns: 1_500 },
  )
})

test('a response that is written reads as the same', () => {
  const status = fc.integer({ min: 100, max: 699 })
  fc.assert(
    fc.property(status, lineText, headers, body, (code, reasonPhrase, pairs, content) => {
      const bytes = writeResponse({ status: code, reasonPhrase, headers: pairs, body: content })
      expect(plain(messageIn(bytes))).toEqual({
        kind: 'response',
        status: code,
        reasonPhrase,
        headers: expectedHeaders(pairs, content),
        body: content.toString('latin1'),
      })
    }),
    { numRuns: 1_500 },
  )
})

test('folding, compact names and other case change nothing', () => {
  const compact: Readonly<Record<string, string>> = {
    via: 'v',
    from: 'F',
    to: 't',
    'call-id': 'I',
    contact: 'm',
  }
  const plainRequest = requestIn(TYPICAL_MESSAGES.register)
  const line = fc.record({
    short: fc.boolean(),
    upper: fc.boolean(),
    before: fc.constantFrom('', ' ', '\t'),
    behind: fc.constantFrom('', ' ', '\r\n ', ' \r\n\t', '\n '),
    bare: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(line, { minLength: 10, maxLength: 10 }), (styles) => {
      const lines = plainRequest.headers.map(({ name, value }, i) => {
        const { short, upper, before, behind, bare } = styles[i % styles.length]!
        const written = (short && compact[name]) || (upper ? name.toUpperCase() : name)
        return `${written}${before}:${behind}${value}${bare ? '\n' : '\r\n'}`
      })
      const text = `REGISTER ${plainRequest.uri} SIP/2.0\r\n${lines.join('')}\r\n`
      expect(plain(messageIn(Buffer.from(text)))).toEqual(plain(plainRequest))
    }),
    { numRuns: 500 },
  )
})
