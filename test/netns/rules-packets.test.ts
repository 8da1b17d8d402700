import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DesiredState } from '../../rules/desired-state.ts'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { CHAINS, defineSets } from '../../rules/names.ts'
import {
  block,
  DEFAULTS,
  denied,
  desired,
  gateway,
  limit,
  limits,
  prefix,
  proven,
  sizes,
  suspension,
} from '../rules/desired.ts'
import { BACKENDS, programs } from '../stage/load-rules.ts'
import { eventually } from '../stage/running.ts'
import { datagram } from './frames.ts'
import { LATER } from './lanes-limits.ts'
import { BYE, INVITE, OK, OPTIONS, REGISTER, times } from './lanes-texts.ts'
import { RulesStage } from './rules-stage.ts'

// What the engine makes of decisions, with real packets at the default limits. What each rule does: lanes-*.test.ts

/** A burst of 10, and 5 a second while it lasts: what a slow machine may let through of 40 sent at once. */
const LIMITED = expect.toSatisfy((amount: number) => amount >= 10 && amount <= 16, 'the burst')

for (const backend of BACKENDS) {
  describe(`packets through the engine's rules, by ${backend}`, () => {
    const stage = new RulesStage(backend)
    let engine: RulesEngine

    const newEngine = () =>
      new RulesEngine({
        kernel: new IptablesKernel({ iptables: backend, netns: stage.host.name }),
        clock: Date.now,
      })
    beforeAll(async () => {
      await stage.open()
      engine = newEngine()
    })
    afterAll(async () => {
      await engine.close()
      await stage.close()
    })

    /** A limit that changes counts beside the old one for a second before it decides. */
    const apply = async (parts: Partial<DesiredState> = {}) => {
      engine.setDesired(desired(parts))
      await eventually(() => engine.status().state === 'applied', 10_000, 'the state')
      expect(engine.status()).toMatchObject({ state: 'applied', backend })
    }
    const arrived = (options: Parameters<RulesStage['send']>[0]) => stage.passed(options)
    const until = (seconds: number) => Date.now() + seconds * 1000

    test('REGISTERs of a source are limited, those of another are not its fault', async () => {
      await apply()
      await engine.counters()
      const [one, two] = [stage.fresh(4), stage.fresh(4)]
      expect(await arrived({ from: one, texts: times(40, REGISTER) })).toEqual(LIMITED)
      expect(await arrived({ from: two, texts: times(5, REGISTER) })).toBe(5)
      const { dropped, judged } = await engine.counters()
      expect(dropped.registerLimit).toBeGreaterThanOrEqual(24)
      expect(judged.udp).toBe(45)
    })

    test('a REGISTER in disguise is limited, other SIP is not, and the phone behind it still registers', async () => {
      await apply()
      for (const before of ['\r\n'.repeat(200), ' ', '\t', '\0\0\0\0']) {
        expect(await arrived({ from: stage.fresh(4), texts: times(40, before + REGISTER) })).toEqual(LIMITED)
      }
      for (const text of [OPTIONS, INVITE, BYE, OK, '', '\r\n\r\n']) {
        const from = stage.fresh(4)
        expect(await arrived({ from, texts: times(40, text) })).toBe(40)
        expect(await arrived({ from, texts: times(10, REGISTER) })).toBe(10)
      }
    })

    test('the addresses of an IPv6 /64 share a bucket', async () => {
      const [first, second, other] = ['fd64:0:7777:1::1', 'fd64:0:7777:1::2', 'fd64:0:7777:2::1']
      const both = await arrived({ from: first, texts: times(20, REGISTER) })
      expect(both + (await arrived({ from: second, texts: times(20, `\r\n${REGISTER}`) }))).toEqual(LIMITED)
      expect(await arrived({ from: other, texts: times(10, REGISTER) })).toBe(10)
      expect(await arrived({ from: first, texts: times(45, OPTIONS) })).toBe(45)
      expect(await arrived({ from: second, texts: times(45, '\r\n\r\n') })).toBe(45)
    })

    test('a blocked source dies in the kernel, until it is unblocked', async () => {
      const from = '10.64.200.25'
      const v6 = 'fd64:0:200::1'
      const blocks = [block(from, 'sip', until(60)), denied('10.64.200.26/31'), block(v6, 'sip')]
      await apply({ blocks })
      const before = (await engine.counters()).dropped.blocks
      const texts = [REGISTER, OPTIONS, OK, '\r\n\r\n']
      expect(await stage.send({ from, texts })).toEqual([])
      expect(await stage.send({ from: '10.64.200.27', texts })).toEqual([])
      expect(await stage.send({ from: v6, texts })).toEqual([])
      expect(await arrived({ from: 'fd64:0:200::2', texts: [OPTIONS] })).toBe(1)
      const { blocks: counted, dropped } = await engine.counters()
      expect(counted.map(({ packets }) => packets)).toEqual([4, 4, 4])
      expect(counted[0]?.remaining).toBeGreaterThan(50)
      expect(dropped.blocks - before).toBe(12)
      await apply()
      expect(await arrived({ from, texts })).toBe(4)
    })

    test('a block of scope register leaves other SIP alone', async () => {
      const from = '10.64.201.25'
      await apply({ blocks: [block(from, 'register')] })
      const texts = [REGISTER, ` ${REGISTER}`, OPTIONS, BYE, OK]
      expect((await stage.send({ from, texts })).map(({ text }) => text)).toEqual(texts.slice(2))
    })

    test('a block that ends is over without anybody doing anything', async () => {
      const from = '10.64.202.25'
      await apply({ blocks: [block(from, 'sip', until(2))] })
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      await eventually(
        async () => (await arrived({ from, texts: [OPTIONS] })) === 1,
        5_000,
        'the end of the block',
      )
    })

    test('a suspended port is dropped, another port of the address is not', async () => {
      const [from, v6] = ['10.64.203.28', 'fd64:0:203::1']
      await apply({ suspensions: [suspension(from, 40_001, until(60))] })
      expect(await arrived({ from, port: 40_001, texts: [REGISTER, OPTIONS] })).toBe(1)
      expect(await arrived({ from, port: 40_002, texts: [REGISTER, OPTIONS] })).toBe(2)
      await apply({ suspensions: [suspension(from, 0, until(60)), suspension(v6, 0, until(60))] })
      expect(await arrived({ from, port: 40_002, texts: [REGISTER, OPTIONS] })).toBe(1)
      expect(await arrived({ from: v6, texts: [REGISTER, OPTIONS] })).toBe(1)
      const { suspensions } = await engine.counters()
      expect(suspensions.map(({ packets }) => packets)).toEqual([1, 1])
    })

    test('TCP: established connections go on, new ones of a blocked or suspended source do not come about', async () => {
      const [from, other] = ['10.64.204.25', '10.64.204.28']
      await apply()
      expect(await stage.connect({ from, name: 'before' })).toBe('connected')
      await apply({ blocks: [block(from, 'register')], suspensions: [suspension(other, 0, until(60))] })
      await stage.write('before', `still there ${backend}`)
      expect(await stage.connect({ from, name: 'after' })).toBe('silence')
      expect(await stage.connect({ from: other, name: 'after' })).toBe('silence')
      expect(await stage.connect({ from: '10.64.204.24', name: 'free' })).toBe('connected')
    })

    test('what is allowed passes, whatever else is said of it', async () => {
      const from = '10.64.205.25'
      const blocks = [denied('10.64.205.0/24'), block(from, 'register')]
      await apply({ allow: [prefix(from)], blocks, suspensions: [suspension(from, 0, until(60))] })
      expect(await arrived({ from, texts: times(60, REGISTER) })).toBe(60)
      expect(await arrived({ from: '10.64.205.24', texts: times(3, REGISTER) })).toBe(0)
      await apply({ allow: [prefix('0.0.0.0/0'), prefix('::/0')], blocks })
      expect(await arrived({ from: '10.64.205.24', texts: times(30, REGISTER) })).toBe(30)
    })

    test('a proven port is served where its source is blocked, a gateway by its profile', async () => {
      const [from, trunk] = ['10.64.206.25', '10.64.206.26']
      await apply({
        blocks: [block(from), block(from, 'register')],
        gateways: [gateway('trunk', [trunk], limit(1, 30))],
        members: [[proven(from, 40_001, LATER)]],
      })
      expect(await arrived({ from, port: 40_001, texts: times(30, REGISTER) })).toBe(30)
      expect(await arrived({ from, port: 40_002, texts: times(30, REGISTER) })).toBe(0)
      const invites = await arrived({ from: trunk, texts: times(60, INVITE) })
      expect(invites).toBeGreaterThanOrEqual(30)
      expect(invites).toBeLessThanOrEqual(36)
      expect((await engine.counters()).dropped.gateways).toBeGreaterThanOrEqual(24)
    })

    test('under attack the first packet of a port is dropped, and counted as such', async () => {
      const from = stage.fresh(4)
      await apply()
      const before = (await engine.counters()).dropped.firstPackets
      await apply({ strictUntil: until(60) })
      expect(await arrived({ from, texts: [REGISTER] })).toBe(0)
      expect(await arrived({ from, texts: times(30, REGISTER) })).toBe(6)
      expect((await engine.counters()).dropped.firstPackets - before).toBe(1)
      await apply()
      expect(await arrived({ from: stage.fresh(4), texts: [REGISTER] })).toBe(1)
    })

    test('other SIP requests over their limit are listed first, and dropped when that is enforced', async () => {
      const from = '10.64.207.29'
      const enforce = (enforced: boolean) => ({
        limits: limits({ sip: { ...DEFAULTS.limits.sip, enforced } }),
      })
      await apply(enforce(false))
      expect(await arrived({ from, texts: times(120, OPTIONS) })).toBe(120)
      const { wouldLimit } = await engine.counters()
      const listed = wouldLimit.find(({ source }) => source === `${from}/32`)
      expect(listed?.packets).toBeGreaterThan(40)
      expect(listed?.packets).toBeLessThanOrEqual(70)
      await apply(enforce(true))
      expect(await arrived({ from, texts: times(120, OPTIONS) })).toBeLessThan(60)
      expect(await arrived({ from, texts: times(5, REGISTER) })).toBe(5)
      expect((await engine.counters()).dropped.sipLimit).toBeGreaterThan(60)
    })

    test('a changed limit holds', async () => {
      const from = stage.fresh(4)
      const unknown = (perSecond: number, burst: number) => ({
        limits: limits({ unknown: { ...DEFAULTS.limits.unknown, source: limit(perSecond, burst) } }),
      })
      await apply(unknown(1, 2))
      expect(await arrived({ from, texts: times(30, REGISTER) })).toBeLessThanOrEqual(4)
      await apply(unknown(1000, 100))
      expect(await arrived({ from, texts: times(30, REGISTER) })).toBe(30)
      await apply()
    })

    test('a fragment is not taken for a keepalive, nor IP options for a way around', async () => {
      await apply()
      for (const [source, disguise] of [
        ['10.100.208.1', { cut: [32] }],
        ['10.100.209.1', { options: Buffer.alloc(40, 1) }],
      ] as const) {
        const frames = Array.from({ length: 30 }, (_, i) =>
          datagram({ source, text: REGISTER, identification: i + 1, ...disguise }),
        ).flat()
        const registers = (await stage.inject(frames)).filter(({ text }) => text.includes('REGISTER sip:'))
        expect(registers.length).toEqual(LIMITED)
      }
    })

    test('a table that is full says so, and who is proven is served', async () => {
      const known = stage.fresh(4)
      await apply({ sizes: sizes({ buckets: 300 }), members: [[proven(known, 40_001, LATER)]] })
      await engine.counters()
      const forged = Array.from({ length: 1_000 }, (_, i) =>
        datagram({ source: `10.${110 + (i >> 8)}.${i & 255}.7`, text: REGISTER }),
      ).flat()
      await stage.arrivals(() => stage.transmit(forged, { perSecond: 10_000 }))
      expect((await engine.counters()).dropped.full).toBeGreaterThanOrEqual(690)
      await engine.check()
      expect(engine.status().full.join('\n')).toMatch(/unknown source/)
      expect(await arrived({ from: known, port: 40_001, texts: times(30, REGISTER) })).toBe(30)
      await apply()
    })

    test('what a stranger flushes is there again within seconds', async () => {
      const from = '10.64.210.25'
      await apply({ blocks: [block(from, 'sip')] })
      const { count } = engine.status().repairs
      await stage.host.run(backend, '-t', 'raw', '-F')
      await stage.host.run('ipset', 'flush', 'rf-sip4')
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(1)
      await eventually(async () => (await arrived({ from, texts: [OPTIONS] })) === 0, 7_000, 'the repair')
      await engine.settled()
      expect(engine.status()).toMatchObject({ state: 'applied', repairs: { count: count + 1 } })
    })

    test('a restart keeps blocks, their time and their counters, and drops without a gap', async () => {
      const from = '10.64.211.25'
      const state = { blocks: [block(from, 'sip', until(100))] }
      await apply(state)
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      const before = (await engine.counters()).blocks[0]
      await engine.close()
      expect(await arrived({ from, texts: [OPTIONS] })).toBe(0)
      engine = newEngine()
      await apply(state)
      const after = (await engine.counters()).blocks[0]
      expect(after?.packets).toBe((before?.packets ?? 0) + 1)
      expect(after?.remaining).toBeLessThanOrEqual(before?.remaining ?? 0)
      expect(after?.remaining).toBeGreaterThan(80)
    })

    test('off lets everything through and leaves nothing', async () => {
      const from = '10.64.212.25'
      await apply({ blocks: [block(from, 'sip')] })
      const removed = await engine.off()
      const chains = CHAINS.flatMap((name) => [`${name} (IPv4)`, `${name} (IPv6)`])
      const sets = defineSets(DEFAULTS.sizes).map(({ name }) => name)
      expect([...removed].sort()).toEqual([...chains, ...sets].sort())
      expect(await arrived({ from, texts: times(40, REGISTER) })).toBe(40)
      expect(await stage.host.run('ipset', 'list', '-n')).toBe('')
      for (const program of programs(backend)) {
        expect(await stage.host.run(`${program}-save`)).not.toContain('RINGFENCE')
      }
    })
  })
}
