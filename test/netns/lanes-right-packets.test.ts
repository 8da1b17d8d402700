import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { denied, gateway, prefix, proven, suspension, traffic } from '../rules/desired.ts'
import { BACKENDS, programs } from '../stage/load-rules.ts'
import { datagram } from './frames.ts'
import { LATER, slow, TELLING } from './lanes-limits.ts'
import { BYE, INVITE, OK, OPTIONS, REGISTER, times } from './lanes-texts.ts'
import {
  type Family,
  FREE_PORT,
  HOST,
  HOST_ASIDE,
  HOST_TOO,
  OUTSIDE_ASIDE,
  RulesStage,
} from './rules-stage.ts'

/** The rule by which most REGISTERs of proven sources pass. */
const SHORT_WAY = / --match-set rf-named[46] src .* -j RETURN$/

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`the right packets by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    const iptables = programs(backend)[family === 4 ? 0 : 1]
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** Packets that were judged: they came to our UDP chain, or took the short way of the proven. */
    const judged = async () =>
      (await stage.counts('RINGFENCE', family))
        .filter(({ rule }) => / -[jg] RINGFENCE-UDP$/.test(rule) || SHORT_WAY.test(rule))
        .reduce((sum, { packets }) => sum + packets, 0)
    const KINDS = [REGISTER, ` ${REGISTER}`, INVITE, BYE, OK, '\r\n\r\n']

    test('another port is none of ours', async () => {
      await stage.hold({ limits: TELLING })
      const from = stage.fresh(family)
      expect(await stage.passed({ from, toPort: FREE_PORT, texts: times(60, REGISTER) })).toBe(60)
      expect(await stage.passed({ from, toPort: 5062, texts: times(60, REGISTER) })).toBe(60)
      expect(await judged()).toBe(0)
    })

    test('what the host sends to itself is none of ours', async () => {
      await stage.hold({ limits: TELLING })
      expect(await stage.reply({ to: HOST[family], port: 6_000, texts: times(60, REGISTER) })).toHaveLength(
        60,
      )
      expect(
        await stage.reply({ to: HOST_TOO[family], from: HOST[family], port: 5062, texts: KINDS }),
      ).toHaveLength(6)
      expect(await judged()).toBe(0)
    })

    test('what the softswitch sends to phones on port 5060 is none of ours', async () => {
      await stage.hold({ limits: TELLING })
      const to = stage.fresh(family)
      expect(await stage.reply({ to, texts: KINDS.flatMap((text) => times(20, text)) })).toHaveLength(120)
      expect(await judged()).toBe(0)
    })

    if (family === 4) {
      test('another interface is none of ours', async () => {
        await stage.hold({ limits: TELLING })
        const aside = { from: OUTSIDE_ASIDE, to: HOST_ASIDE }
        expect(await stage.passed({ ...aside, texts: times(60, REGISTER) })).toBe(60)
        expect(await judged()).toBe(0)
        await stage.hold({ limits: TELLING, traffic: traffic({ interfaces: ['eth0', 'eth1'] }) })
        expect(await stage.passed({ ...aside, texts: times(60, REGISTER) })).toBe(5)
        expect(await stage.passed({ from: stage.fresh(4), texts: times(60, REGISTER) })).toBe(5)
        expect(await judged()).toBe(120)
      })
    }

    test('of this host it is every address, one that appears later too', async () => {
      await stage.hold({ limits: TELLING })
      const from = stage.fresh(family)
      expect(await stage.passed({ from, texts: times(2, REGISTER) })).toBe(2)
      expect(await stage.passed({ from, to: HOST_TOO[family], texts: times(9, REGISTER) })).toBe(3)
      const later = family === 4 ? '10.99.0.9' : 'fd99::9'
      const forged = Array.from({ length: 20 }, () =>
        datagram({ source: stage.fresh(family), destination: later, text: REGISTER }),
      ).flat()
      await stage.inject(forged)
      expect(await judged()).toBe(11)
      await stage.host.run('ip', 'addr', 'add', `${later}/${family === 4 ? 24 : 64}`, 'dev', 'eth0')
      await stage.inject(forged)
      expect(await judged()).toBe(31)
      await stage.host.run('ip', 'addr', 'del', `${later}/${family === 4 ? 24 : 64}`, 'dev', 'eth0')
    })

    const counted = async (pattern: RegExp) =>
      (await stage.counts('RINGFENCE', family))
        .filter(({ rule }) => pattern.test(rule))
        .reduce((sum, { packets }) => sum + packets, 0)

    test('a proven source takes the short way up to its limit, and each of its packets is counted once', async () => {
      const known = stage.fresh(family)
      await stage.hold({ limits: TELLING, members: [[proven(known, 5060, LATER)]] })
      expect(await stage.passed({ from: known, port: 5060, texts: times(30, REGISTER) })).toBe(20)
      expect([await counted(SHORT_WAY), await judged()]).toEqual([20, 30])
      // Only REGISTERs, only of that port, and only to a SIP port.
      expect(await stage.passed({ from: known, port: 5060, texts: [INVITE, BYE, '\r\n\r\n'] })).toBe(3)
      expect(await stage.passed({ from: known, port: 40_001, texts: [REGISTER] })).toBe(1)
      expect(await stage.passed({ from: known, port: 5060, toPort: FREE_PORT, texts: [REGISTER] })).toBe(1)
      expect([await counted(SHORT_WAY), await judged()]).toEqual([20, 34])
    })

    const around = (source: string) => prefix(`${source}/${family === 4 ? 28 : 60}`)
    test.each([
      ['the operator blocks', (s: string) => ({ blocks: [denied(s)] }), 0],
      ['the operator blocks with its network', (s: string) => ({ blocks: [denied(around(s), LATER)] }), 0],
      ['is suspended', (s: string) => ({ suspensions: [suspension(s, 5060, LATER)] }), 0],
      ['is allowed', (s: string) => ({ allow: [around(s)] }), 60],
      ['is a gateway', (s: string) => ({ gateways: [gateway('trunk', [around(s)], slow(6))] }), 6],
    ])('no proven source takes the short way that %s', async (_name, named, pass) => {
      const known = stage.fresh(family)
      const members = [[proven(known, 5060, LATER)]]
      await stage.hold({ limits: TELLING, members, ...named(known) })
      expect(await stage.passed({ from: known, port: 5060, texts: times(70, REGISTER) })).toBe(pass)
      expect([await counted(SHORT_WAY), await judged()]).toEqual([0, 70])
      // From the moment on that it is named no more.
      await stage.hold({ limits: TELLING, members })
      expect(await stage.passed({ from: known, port: 5060, texts: times(70, REGISTER) })).toBe(20)
      expect(await counted(SHORT_WAY)).toBe(20)
    })

    test('where destinations are listed the short way leads to these alone', async () => {
      const known = stage.fresh(family)
      const destinations = [prefix(HOST_TOO[family])]
      const members = [[proven(known, 5060, LATER)]]
      await stage.hold({ limits: TELLING, members, traffic: traffic({ destinations }) })
      expect(await stage.passed({ from: known, port: 5060, texts: times(60, REGISTER) })).toBe(60)
      expect(await judged()).toBe(0)
      expect(
        await stage.passed({ from: known, port: 5060, to: HOST_TOO[family], texts: times(60, REGISTER) }),
      ).toBe(20)
      expect([await counted(SHORT_WAY), await judged()]).toEqual([20, 60])
    })

    test('where destinations are listed it is these alone', async () => {
      const destinations = [prefix(HOST_TOO[family])]
      await stage.hold({ limits: TELLING, traffic: traffic({ destinations }) })
      const from = stage.fresh(family)
      expect(await stage.passed({ from, texts: times(60, REGISTER) })).toBe(60)
      expect(await judged()).toBe(0)
      expect(await stage.passed({ from, to: HOST_TOO[family], texts: times(60, REGISTER) })).toBe(5)
    })

    test('what passes, passes to the rules of others; what is dropped does not', async () => {
      const [allowed, trunk, known, unknown] = times(4, '').map(() => stage.fresh(family)) as [
        string,
        string,
        string,
        string,
      ]
      const state = {
        limits: TELLING,
        allow: [prefix(allowed)],
        gateways: [gateway('trunk', [trunk], slow(6))],
        members: [[proven(known, 5060, LATER)]],
      }
      await stage.hold(state)
      await stage.host.run(
        iptables,
        '-t',
        'raw',
        '-A',
        'PREROUTING',
        '-i',
        'eth0',
        '-p',
        'udp',
        '-m',
        'multiport',
        '--dports',
        '5060',
      )
      const sources = [allowed, trunk, known, unknown]
      let passed = 0
      for (const from of sources)
        for (const text of KINDS) passed += await stage.passed({ from, texts: times(3, text) })
      // One REGISTER of the unknown is over its limit, and three INVITEs and REGISTERs of the gateway.
      expect(passed).toBe(4 * 6 * 3 - 1 - 3)
      const behind = (await stage.counts('PREROUTING', family)).at(-1)
      expect(behind?.packets).toBe(passed)
      await stage.host.run(
        iptables,
        '-t',
        'raw',
        '-A',
        'PREROUTING',
        '-i',
        'eth0',
        '-p',
        'udp',
        '-m',
        'multiport',
        '--dports',
        '5060',
        '-j',
        'DROP',
      )
      for (const from of sources) {
        expect(await stage.passed({ from, texts: [OPTIONS, BYE, '\r\n\r\n'] })).toBe(0)
      }
    })

    test('a connection that is refused by others is refused, though we let it pass', async () => {
      await stage.hold({ limits: TELLING })
      await stage.host.run(
        iptables,
        '-t',
        'raw',
        '-A',
        'PREROUTING',
        '-i',
        'eth0',
        '-p',
        'tcp',
        '-m',
        'multiport',
        '--dports',
        '5060',
        '-j',
        'DROP',
      )
      expect(await stage.connect({ from: stage.fresh(family), name: 'refused' })).toBe('silence')
    })
  })
}
