import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { block, DEFAULTS, desired, prefix, suspension } from '../rules/desired.ts'
import { HOST4, OUTSIDE4, OUTSIDE6, type Received, RulesStage } from './rules-stage.ts'

const REGISTER = sip('REGISTER sip:pbx.example SIP/2.0')
const OPTIONS = sip('OPTIONS sip:pbx.example SIP/2.0', 'Allow: INVITE, ACK, REGISTER, BYE')

function sip(...lines: readonly string[]): string {
  const rest = [
    'Via: SIP/2.0/UDP 10.99.0.10;branch=z9hG4bK1',
    'From: <sip:1@pbx.example>;tag=1',
    'To: <sip:1@pbx.example>',
    'Call-ID: 1',
    'CSeq: 1 REGISTER',
  ]
  return `${[...lines, ...rest].join('\r\n')}\r\n\r\n`
}

function times(amount: number, text: string): readonly string[] {
  return new Array<string>(amount).fill(text)
}

/** A burst of 10, and 5 a second while it lasts: what a slow machine may let through of 40 sent at once. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')

for (const iptables of ['iptables-nft', 'iptables-legacy'] as const) {
  describe(`packets through the rules of ${iptables}`, () => {
    const stage = new RulesStage(iptables)
    const sources = OUTSIDE4.slice(20)

    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** An address that has a full bucket. */
    const fresh = () => {
      const source = sources.shift()
      if (source === undefined) throw new Error('no fresh source left')
      return source
    }
    const apply = async (parts: Partial<DesiredState> = {}) => {
      stage.engine.setDesired(desired(parts))
      await stage.engine.settled()
      expect(stage.engine.status()).toMatchObject({ state: 'applied', backend: iptables })
    }
    const arrived = async (options: Parameters<RulesStage['send']>[0]) => (await stage.send(options)).length
    const until = (seconds: number) => Date.now() + seconds * 1000

    test('REGISTERs of a source are limited, those of another are not its fault', async () => {
      await apply()
      const [one, two] = [fresh(), fresh()]
      expect(await arrived({ from: one, texts: times(40, REGISTER) })).toEqual(LIMITED)
      expect(await arrived({ from: two, texts: times(5, REGISTER) })).toBe(5)
      const { dropped } = await stage.engine.counters()
      expect(dropped.registerLimit).toBeGreaterThanOrEqual(24)
    })

    test.each([
      ['line breaks', '\r\n'.repeat(200)],
      ['a space', ' '],
      ['a tab', '\t'],
      ['NULs', '\0\0\0\0'],
      ['lower case', ''],
    ])('a REGISTER behind %s is limited all the same', async (name, before) => {
      const text = name === 'lower case' ? REGISTER.replace('REGISTER', 'register') : before + REGISTER
      expect(await arrived({ from: fresh(), texts: times(40, text) })).toEqual(LIMITED)
    })

    test.each([
      ['OPTIONS that allow REGISTER', OPTIONS],
      ['MESSAGE sip:REGISTER@', sip('MESSAGE sip:REGISTER@pbx.example SIP/2.0')],
      ['INVITE that allows REGISTER', sip('INVITE sip:1@pbx.example SIP/2.0', 'Allow: REGISTER')],
      ['PUBLISH', sip('PUBLISH sip:1@pbx.example SIP/2.0')],
      ['a response to a REGISTER', sip('SIP/2.0 200 OK')],
      ['empty datagrams', ''],
      ['keepalives of line breaks', '\r\n\r\n'],
      ['keepalives of NULs', '\0'],
      ['STUN', `\0\x01\0\0\x21\x12\xa4\x42${'x'.repeat(12)}`],
    ])('%s are not taken for REGISTERs, and the phone behind them still registers', async (_name, text) => {
      const from = fresh()
      expect(await arrived({ from, texts: times(40, text) })).toBe(40)
      expect(await arrived({ from, texts: times(10, REGISTER) })).toBe(10)
    })

    test('the addresses of an IPv6 /64 share a bucket', async () => {
      const [first, second, other] = OUTSIDE6 as [string, string, string]
      const both = await arrived({ from: first, texts: times(20, REGISTER) })
      expect(both + (await arrived({ from: second, texts: times(20, `\r\n${REGISTER}`) }))).toEqual(LIMITED)
      expect(await arrived({ from: other, texts: times(10, REGISTER) })).toBe(10)
      expect(await arrived({ from: first, texts: times(45, OPTIONS) })).toBe(45)
      expect(await arrived({ from: second, texts: times(45, '\r\n\r\n') })).toBe(45)
    })

    test('nothing but the SIP ports is judged', async () => {
      expect(await arrived({ from: OUTSIDE4[0]!, toPort: 5080, texts: times(60, REGISTER) })).toBe(60)
    })

    test('a blocked source dies in the kernel, until it is unblocked', async () => {
      const [from, network] = ['10.99.0.25', '10.99.0.26/31']
      await apply({
        blocks: [block(from, 'sip', until(60)), block(network, 'sip'), block(OUTSIDE6[0]!, 'sip')],
      })
      const texts = [REGISTER, OPTIONS, sip('SIP/2.0 200 OK'), '\r\n\r\n']
      expect(await stage.send({ from, texts })).toEqual([])
      expect(await stage.send({ from: '10.99.0.27', texts })).toEqual([])
      expect(await stage.send({ from: OUTSIDE6[0]!, texts })).toEqual([])
      expect(await arrived({ from: OUTSIDE6[1]!, texts: [OPTIONS] })).toBe(1)
      const { blocks, dropped } = await stage.engine.counters()
      expect(blocks.map(({ packets }) => packets)).toEqual([4, 4, 4])
      expect(blocks[0]?.remaining).toBeGreaterThan(50)
      expect(dropped.blocks).toBe(12)
      await apply()
      expect(await arrived({ from, texts })).toBe(4)
    })

    test('a block of scope register leaves other SIP alone', async () => {
      const from = '10.99.0.25'
      await apply({ blocks: [block(from, 'register')] })
      const texts = [
        REGISTER,
        ` ${REGISTER}`,
        OPTIONS,
        sip('BYE sip:1@pbx.example SIP/2.0'),
        sip('SIP/2.0 200 OK'),
      ]
      expect((await stage.send({ from, texts })).map(({ text }) => text)).toEqual(texts.slice(2))
    })

    test('a block that ends is over without anybody doing anything', async () => {
      const from = '10.99.0.25'
      await apply({ blocks: [block(from, 'sip', until(2))] })
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      const deadline = Date.now() + 5_000
      while ((await arrived({ from, texts: [OPTIONS] })) === 0 && Date.now() < deadline);
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(1)
    })

    test('a suspended port is dropped, another port of the address is not', async () => {
      const from = '10.99.0.28'
      await apply({ suspensions: [suspension(from, 40_001, until(60))] })
      expect(await arrived({ from, port: 40_001, texts: [REGISTER, OPTIONS] })).toBe(1)
      expect(await arrived({ from, port: 40_002, texts: [REGISTER, OPTIONS] })).toBe(2)
      await apply({ suspensions: [suspension(from, 0, until(60)), suspension(OUTSIDE6[2]!, 0, until(60))] })
      expect(await arrived({ from, port: 40_002, texts: [REGISTER, OPTIONS] })).toBe(1)
      expect(await arrived({ from: OUTSIDE6[2]!, texts: [REGISTER, OPTIONS] })).toBe(1)
      const { suspensions } = await stage.engine.counters()
      expect(suspensions.map(({ packets }) => packets)).toEqual([1, 1])
    })

    test('TCP: established connections go on, new ones of a blocked or suspended source do not come about', async () => {
      const [from, other] = ['10.99.0.25', '10.99.0.28']
      await apply()
      expect(await stage.connect(from, `${iptables} before`)).toBe('connected')
      await apply({ blocks: [block(from, 'register')], suspensions: [suspension(other, 0, until(60))] })
      await stage.write(`${iptables} before`, `still there ${iptables}`)
      expect(await stage.connect(from, 'after')).toBe('silence')
      expect(await stage.connect(other, 'after')).toBe('silence')
      expect(await stage.connect('10.99.0.24', 'free')).toBe('connected')
    })

    test('what is allowed passes, whatever else is said of it', async () => {
      const from = '10.99.0.25'
      const blocks = [block('10.99.0.0/24', 'sip'), block(from, 'register')]
      await apply({ allow: [prefix(from)], blocks, suspensions: [suspension(from, 0, until(60))] })
      // The mark of the stage is sent to a port that nobody protects, so it arrives.
      expect(await arrived({ from, texts: times(60, REGISTER) })).toBe(60)
      expect(await arrived({ from: '10.99.0.24', texts: times(3, REGISTER) })).toBe(0)
      await apply({ allow: [prefix('0.0.0.0/0'), prefix('::/0')], blocks })
      expect(await arrived({ from: '10.99.0.24', texts: times(30, REGISTER) })).toBe(30)
    })

    test('other SIP requests over their limit are listed first, and dropped when that is enforced', async () => {
      const from = '10.99.0.29'
      const enforce = (enforced: boolean) => ({
        limits: { ...DEFAULTS.limits, sip: { ...DEFAULTS.limits.sip, enforced } },
      })
      await apply(enforce(false))
      expect(await arrived({ from, texts: times(120, OPTIONS) })).toBe(120)
      const { wouldLimit } = await stage.engine.counters()
      const listed = wouldLimit.find(({ source }) => source === '10.99.0.29/32')
      expect(listed?.packets).toBeGreaterThan(40)
      expect(listed?.packets).toBeLessThanOrEqual(70)
      await apply(enforce(true))
      expect(await arrived({ from, texts: times(120, OPTIONS) })).toBeLessThan(60)
      expect(await arrived({ from, texts: times(5, REGISTER) })).toBe(5)
      expect((await stage.engine.counters()).dropped.sipLimit).toBeGreaterThan(60)
    })

    test('a changed limit holds at once', async () => {
      const from = '10.99.0.24'
      await apply({ limits: { ...DEFAULTS.limits, register: { perSecond: 1, burst: 2 } } })
      expect(await arrived({ from, texts: times(30, REGISTER) })).toBeLessThanOrEqual(4)
      await apply({ limits: { ...DEFAULTS.limits, register: { perSecond: 1000, burst: 100 } } })
      expect(await arrived({ from, texts: times(30, REGISTER) })).toBe(30)
    })

    test('a fragment is not taken for a keepalive, nor IP options for a way around', async () => {
      await apply()
      const fragmented = frames(stage.hostMac, '10.99.0.201', { firstFragment: 32, options: 0 })
      const optioned = frames(stage.hostMac, '10.99.0.202', { firstFragment: undefined, options: 40 })
      for (const config of [fragmented, optioned]) {
        const received = await stage.arrivals(() => transmit(stage, config))
        const registers = received.filter(({ text }: Received) => text.includes('REGISTER sip:'))
        expect(registers.length).toEqual(LIMITED)
      }
    })

    test('what a stranger flushes is there again within seconds', async () => {
      const from = '10.99.0.25'
      await apply({ blocks: [block(from, 'sip')] })
      await stage.host.run(iptables, '-t', 'raw', '-F')
      await stage.host.run('ipset', 'flush', 'rf-sip4')
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(1)
      const deadline = Date.now() + 7_000
      while ((await arrived({ from, texts: [OPTIONS] })) === 1 && Date.now() < deadline);
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      await stage.engine.settled()
      expect(stage.engine.status()).toMatchObject({ state: 'applied', repairs: { count: 1 } })
    })

    test('a restart keeps blocks, their time and their counters, and drops without a gap', async () => {
      const from = '10.99.0.25'
      const state = { blocks: [block(from, 'sip', until(100))] }
      await apply(state)
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      const before = (await stage.engine.counters()).blocks[0]
      await stage.engine.close()
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      stage.engine = stage.newEngine()
      await apply(state)
      const after = (await stage.engine.counters()).blocks[0]
      expect(after?.packets).toBe((before?.packets ?? 0) + 1)
      expect(after?.remaining).toBeLessThanOrEqual(before?.remaining ?? 0)
      expect(after?.remaining).toBeGreaterThan(80)
    })

    test('off lets everything through and leaves nothing', async () => {
      const from = '10.99.0.25'
      await apply({ blocks: [block(from, 'sip')] })
      expect(await stage.engine.off()).toHaveLength(26)
      expect(await arrived({ from, texts: times(40, REGISTER) })).toBe(40)
      expect(await stage.host.run('ipset', 'list', '-n')).toBe('')
      expect(await stage.host.run(`${iptables}-save`)).not.toContain('RINGFENCE')
    })
  })
}

/** Ethernet frames of 30 datagrams with a REGISTER, in the words of trafgen. */
function frames(
  hostMac: string,
  source: string,
  { firstFragment, options }: { readonly firstFragment: number | undefined; readonly options: number },
): readonly string[] {
  const payload = Buffer.from(REGISTER, 'latin1')
  const udp = Buffer.alloc(8)
  udp.writeUInt16BE(5060, 0)
  udp.writeUInt16BE(5060, 2)
  udp.writeUInt16BE(8 + payload.length, 4)
  const datagram = Buffer.concat([udp, payload])
  const list: Buffer[] = []
  for (let id = 1; id <= 30; id++) {
    const cut = firstFragment ?? datagram.length
    list.push(
      frame(
        hostMac,
        source,
        { id, options, offset: 0, isLast: cut === datagram.length },
        datagram.subarray(0, cut),
      ),
    )
    if (cut < datagram.length) {
      list.push(frame(hostMac, source, { id, options, offset: cut, isLast: true }, datagram.subarray(cut)))
    }
  }
  return list.map((bytes) => `{ ${[...bytes].map((byte) => `0x${byte.toString(16)}`).join(', ')} }`)
}

function frame(
  hostMac: string,
  source: string,
  ip: { readonly id: number; readonly options: number; readonly offset: number; readonly isLast: boolean },
  payload: Buffer,
): Buffer {
  const ethernet = Buffer.from(`${hostMac.replaceAll(':', '')}0200000000010800`, 'hex')
  const header = Buffer.alloc(20 + ip.options, 1)
  header.fill(0, 0, 20)
  header[0] = 0x40 | (header.length / 4)
  header.writeUInt16BE(header.length + payload.length, 2)
  header.writeUInt16BE(ip.id, 4)
  header.writeUInt16BE((ip.isLast ? 0 : 0x2000) | (ip.offset / 8), 6)
  header[8] = 64
  header[9] = 17
  Buffer.from(source.split('.').map(Number)).copy(header, 12)
  Buffer.from(HOST4.split('.').map(Number)).copy(header, 16)
  let sum = 0
  for (let i = 0; i < header.length; i += 2) sum += header.readUInt16BE(i)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16)
  header.writeUInt16BE(~sum & 0xffff, 10)
  return Buffer.concat([ethernet, header, payload])
}

async function transmit(stage: RulesStage, config: readonly string[]): Promise<void> {
  await stage.outside.feed(
    config.join('\n'),
    'trafgen',
    '--dev',
    'eth0',
    '--conf',
    '-',
    '-n',
    `${config.length}`,
    '-P',
    '1',
    '-q',
  )
}
