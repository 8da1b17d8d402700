import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gateway, limits, prefix, proven, traffic } from '../rules/desired.ts'
import { BACKENDS } from '../stage/load-rules.ts'
import { DESTINATION, datagram, type Forged, FRAGMENT, HOP_BY_HOP } from './frames.ts'
import { LATER, slow, TELLING } from './lanes-limits.ts'
import { BYE, INVITE, OK, OPTIONS, REGISTER, sip, times } from './lanes-texts.ts'
import { type Family, RulesStage } from './rules-stage.ts'

/** With a bound on connections the kernel tracks connections, and so puts fragments together before the table raw. */
const TRACKING = { ...TELLING, connections: { ...TELLING.connections, most: 100 } }

/** Texts in which a softswitch finds a REGISTER, or that it could take for one. */
const DISGUISES: readonly (readonly [string, string])[] = [
  ['200 pairs of line breaks', '\r\n'.repeat(200) + REGISTER],
  ['one line feed', `\n${REGISTER}`],
  ['a space', ` ${REGISTER}`],
  ['a tab', `\t${REGISTER}`],
  ['NULs', `\0\0\0\0${REGISTER}`],
  ['lower case', REGISTER.replace('REGISTER', 'register')],
  ['mixed case', REGISTER.replace('REGISTER', 'RegISTER')],
  ['a method in lower case that is none', sip('options sip:pbx.example SIP/2.0')],
  ['a method that nobody knows', sip('KDMQ sip:pbx.example SIP/2.0')],
  ['a response in lower case', sip('sip/2.0 200 OK')],
  ['junk', Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 7919 + 13) & 255)).toString('latin1')],
  ['one long line of zeros', '\0'.repeat(200)],
  ['a REGISTER that is no REGISTER', 'REGI'.padEnd(60, 'x')],
  ['an INVITE that is no INVITE', 'INVI'.padEnd(60, 'x')],
  ['a method that begins like OPTIONS', sip('OPTIONAL sip:pbx.example SIP/2.0')],
  ['a method that begins like SUBSCRIBE', sip('SUBSCRIBED sip:pbx.example SIP/2.0')],
  ['a method that begins like CANCEL', sip('CANCELLED sip:pbx.example SIP/2.0')],
  ['a method that begins like INFO', sip('INFORM sip:pbx.example SIP/2.0')],
  ['an UPDATE with a tab behind it', sip('UPDATE\tsip:pbx.example SIP/2.0')],
  ['the shortest that is no keepalive', 'x'.repeat(40)],
]

/** Ways to bring the same REGISTER past rules that look at fixed places. */
type Wrapping = Pick<Forged, 'options' | 'extensions' | 'cut'>
const WRAPPINGS: Readonly<Record<Family, readonly (readonly [string, Wrapping])[]>> = {
  4: [
    ['4 bytes of IP options', { options: Buffer.alloc(4, 1) }],
    ['40 bytes of IP options', { options: Buffer.alloc(40, 1) }],
    ['a first fragment that ends behind the UDP header', { cut: [8] }],
    ['a first fragment that ends within the method', { cut: [8 + 8] }],
    ['a first fragment as short as a keepalive', { cut: [32] }],
    ['three fragments', { cut: [24, 64] }],
    ['fragments and IP options', { cut: [8], options: Buffer.alloc(40, 1) }],
  ],
  6: [
    ['a destination options header', { extensions: [DESTINATION] }],
    ['a hop-by-hop header', { extensions: [HOP_BY_HOP] }],
    ['both', { extensions: [HOP_BY_HOP, DESTINATION] }],
    ['a fragment header on a whole packet', { extensions: [FRAGMENT] }],
    ['a fragment header behind options', { extensions: [DESTINATION, FRAGMENT] }],
    ['a first fragment that ends behind the UDP header', { cut: [8] }],
    ['a first fragment as short as a keepalive', { cut: [32] }],
    ['three fragments', { cut: [24, 64] }],
    ['fragments behind destination options', { cut: [8], extensions: [DESTINATION] }],
  ],
}

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`evasions by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** An address that nobody has a socket on. */
    let forgedOnes = 0
    const forged = () => {
      const number = forgedOnes++
      return family === 4 ? `10.${100 + (number >> 8)}.${number & 255}.7` : `fd01:0:${number.toString(16)}::1`
    }
    const wrapped = (amount: number, options: Forged) =>
      Array.from({ length: amount }, (_, i) => datagram({ ...options, identification: i + 1 })).flat()

    describe('a REGISTER is a REGISTER', () => {
      beforeAll(() => stage.hold({ limits: TELLING }))

      test.each(DISGUISES)('behind %s', async (_says, text) => {
        const from = stage.fresh(family)
        expect(await stage.passed({ from, texts: times(30, text) })).toBe(5)
        expect(await stage.passed({ from, texts: times(30, REGISTER) })).toBe(0)
      })
    })

    describe.each([
      ['not tracking connections', TELLING],
      ['tracking connections', TRACKING],
    ] as const)('on a host that is %s', (_says, limits) => {
      beforeAll(() => stage.hold({ limits }))

      // Once it has put fragments together, a kernel that tracks connections loses those behind destination options,
      // rules or not (Ip6InHdrErrors).
      const loses = ({ extensions = [], cut }: Wrapping) =>
        limits === TRACKING && extensions[0] === DESTINATION && (cut !== undefined || extensions.length > 1)

      test.each(WRAPPINGS[family])('a REGISTER in %s is limited all the same', async (_name, wrapping) => {
        const source = forged()
        const judged = async () => (await stage.counts('RINGFENCE-REGISTER', family)).at(-1)!.packets
        const before = await judged()
        const received = await stage.inject(wrapped(30, { source, text: REGISTER, ...wrapping }))
        expect(received.map(({ text }) => text)).toEqual(times(loses(wrapping) ? 0 : 5, REGISTER))
        expect((await judged()) - before).toBe(30)
      })

      test.each(WRAPPINGS[family].filter(([, wrapping]) => !loses(wrapping)))(
        '%s: a proven port is served',
        async (_name, wrapping) => {
          const source = forged()
          await stage.change({ limits, members: [[proven(source, 5060, LATER)]] })
          const received = await stage.inject(wrapped(30, { source, text: REGISTER, ...wrapping }))
          expect(received).toHaveLength(20)
        },
      )

      test('a large INVITE of a trunk and a large response of an asked peer, in fragments, are not taken for REGISTERs', async () => {
        const [trunk, peer] = [forged(), stage.fresh(family)]
        await stage.change({ limits, gateways: [gateway('trunk', [trunk], slow(15))] })
        await stage.reply({ to: peer, texts: [INVITE] })
        const large = (startLine: string) => `${sip(startLine)}${'v=0\r\n'.repeat(400)}`
        const fragments = (source: string, text: string) =>
          stage.inject(wrapped(25, { source, text, cut: [1_232] }))
        expect(await fragments(trunk, large('SIP/2.0 200 OK'))).toHaveLength(25)
        expect(await fragments(trunk, large('INVITE sip:1@pbx.example SIP/2.0'))).toHaveLength(15)
        expect(await fragments(peer, large('SIP/2.0 200 OK'))).toHaveLength(25)
        expect(await fragments(peer, large('INVITE sip:1@pbx.example SIP/2.0'))).toHaveLength(25)
      })
    })

    test('floods of what nobody asked for get one bucket between them, and that is all they get', async () => {
      await stage.hold({ limits: TELLING })
      const stun = `\0\x01\0\0\x21\x12\xa4\x42${'x'.repeat(12)}${REGISTER}`
      const kinds = [
        sip('SIP/2.0 200 OK'),
        sip('SIP/2.0 401 Unauthorized'),
        '\r\n\r\n',
        '\0',
        '',
        stun,
        'x'.repeat(39),
      ]
      const frames = kinds.flatMap((text) =>
        Array.from({ length: 50 }, () => datagram({ source: forged(), text })).flat(),
      )
      expect(await stage.inject(frames)).toHaveLength(40)
      // Nothing else stands behind that bucket.
      const from = stage.fresh(family)
      expect(await stage.passed({ from, texts: times(9, REGISTER) })).toBe(5)
      expect(await stage.passed({ from, texts: times(9, INVITE) })).toBe(9)
      expect(await stage.passed({ from, texts: times(9, OK) })).toBe(0)
    })

    test('one source of keepalives has a bucket of its own before that', async () => {
      await stage.hold({ limits: TELLING })
      const one = stage.fresh(family)
      expect(await stage.passed({ from: one, texts: times(40, '\r\n\r\n') })).toBe(11)
      expect(await stage.passed({ from: one, texts: times(9, REGISTER) })).toBe(5)
      expect(await stage.passed({ from: stage.fresh(family), texts: times(40, '') })).toBe(11)
    })

    test('forged allowed and gateway addresses get what these have, and cost nobody else anything', async () => {
      const [allowed, trunk, other, unknown] = [forged(), forged(), stage.fresh(family), stage.fresh(family)]
      const gateways = [gateway('trunk', [trunk], slow(6)), gateway('other', [other], slow(6))]
      await stage.hold({ limits: { ...TELLING, rest: slow(3) }, allow: [prefix(allowed)], gateways })
      const flood = (source: string, text: string) => stage.inject(wrapped(150, { source, text }))
      for (const text of [REGISTER, INVITE, OK, '\r\n\r\n']) {
        expect(await flood(allowed, text)).toHaveLength(text === REGISTER ? 60 : 0)
      }
      expect(await flood(trunk, INVITE)).toHaveLength(6)
      expect(await flood(trunk, REGISTER)).toHaveLength(0)
      expect(await flood(trunk, OPTIONS)).toHaveLength(60)
      expect(await flood(trunk, OK)).toHaveLength(0)
      expect(await stage.passed({ from: other, texts: [...times(9, INVITE), ...times(70, BYE)] })).toBe(66)
      expect(await stage.passed({ from: unknown, texts: times(9, REGISTER) })).toBe(5)
    })

    test('another configured port is the same port, however many there are', async () => {
      const udpPorts = [5060, 5062, ...Array.from({ length: 20 }, (_, i) => 6_000 + i)]
      await stage.hold({ limits: TELLING, traffic: traffic({ udpPorts }) })
      const from = stage.fresh(family)
      expect(await stage.passed({ from, toPort: 5060, texts: times(3, REGISTER) })).toBe(3)
      expect(await stage.passed({ from, toPort: 5062, texts: times(9, REGISTER) })).toBe(2)
    })

    test.each([
      ['OPTIONS that allow REGISTER', `${OPTIONS.slice(0, -2)}Allow: INVITE, ACK, REGISTER, BYE\r\n\r\n`],
      ['INVITE that allows REGISTER', `${INVITE.slice(0, -2)}Allow: REGISTER\r\n\r\n`],
      ['MESSAGE sip:REGISTER@', sip('MESSAGE sip:REGISTER@pbx.example SIP/2.0')],
      ...['ACK', 'BYE', 'CANCEL', 'PRACK', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'INFO', 'REFER', 'PUBLISH'].map(
        (method): [string, string] => [method, sip(`${method} sip:1@pbx.example SIP/2.0`)],
      ),
      ['responses to a REGISTER', OK],
      ['empty datagrams', ''],
      ['keepalives of line breaks', '\r\n\r\n'],
      ['keepalives of NULs', '\0'],
      ['STUN', `\0\x01\0\0\x21\x12\xa4\x42${'x'.repeat(12)}`],
      ['STUN with attributes', `\0\x01\0\x50\x21\x12\xa4\x42${'x'.repeat(92)}`],
    ])('%s: not taken for REGISTERs, and who sends them still registers', async (_says, text) => {
      await stage.hold({ limits: limits({ unknown: TELLING.unknown, strict: TELLING.strict }) })
      const from = stage.fresh(family)
      expect(await stage.passed({ from, texts: times(40, text) })).toBe(40)
      expect(await stage.passed({ from, texts: times(9, REGISTER) })).toBe(5)
    })
  })
}
