import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { gateway, prefix, proven, traffic } from '../rules/desired.ts'
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

for (const backend of BACKENDS) {
  describe.each([4, 6] as const)(`the right packets by ${backend}, IPv%i`, (family: Family) => {
    const stage = new RulesStage(backend)
    const iptables = programs(backend)[family === 4 ? 0 : 1]
    beforeAll(() => stage.open())
    afterAll(() => stage.close())

    /** Packets that came to our UDP chain. */
    const judged = async () =>
      (await stage.counts('RINGFENCE', family))
        .filter(({ rule }) => / -[jg] RINGFENCE-UDP$/.test(rule))
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
