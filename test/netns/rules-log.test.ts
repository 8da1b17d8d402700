import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { desired, proven, traffic } from '../rules/desired.ts'
import { eventually, Running } from '../stage/running.ts'
import { REGISTER } from './lanes-texts.ts'
import { RulesStage } from './rules-stage.ts'

const GROUP = 5071

describe.each(['iptables-nft', 'iptables-legacy'] as const)('the log of the kernel, by %s', (iptables) => {
  let stage: RulesStage
  let engine: RulesEngine
  let kernel: IptablesKernel

  beforeEach(async () => {
    stage = await new RulesStage(iptables).open()
    kernel = new IptablesKernel({ iptables, netns: stage.host.name })
    engine = new RulesEngine({ kernel, clock: Date.now })
  })
  afterEach(async () => {
    await engine.close()
    await stage.close()
  })

  /** Packets that each rule of the log logged, and those that went the short way. */
  const counts = async (family: 4 | 6) => {
    const program = family === 4 ? iptables : iptables.replace('iptables', 'ip6tables')
    const saved = await stage.host.run(`${program}-save`, '-c', '-t', 'raw')
    const of = (pattern: RegExp) => Number(pattern.exec(saved)?.[1])
    return {
      shortWay: of(/^\[(\d+):\d+\] -A RINGFENCE -i eth0 .*rf-pvn/m),
      sampled: of(/^\[(\d+):\d+\] -A RINGFENCE-JUDGE .*--nflog-prefix "?s/m),
      passed: of(/^\[(\d+):\d+\] -A RINGFENCE-JUDGE .*--nflog-prefix "?p/m),
    }
  }

  test.each([
    [4, '10.64.1.7'],
    [6, 'fd64:0:1:1::7'],
  ] as const)(
    'IPv%d: the proven pass at once, and are logged while somebody reads',
    async (family, source) => {
      const members = [[proven(source, 5060, Date.now() + 600_000)]]
      engine.setDesired(desired({ traffic: traffic({ logGroup: GROUP }), members }))
      await engine.settled()
      expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
      const send = () => stage.passed({ from: source, texts: [REGISTER, REGISTER] })
      expect(await send()).toBe(2)
      expect(await counts(family)).toEqual({ shortWay: 2, sampled: 0, passed: 0 })
      expect(await kernel.isLogRead(GROUP)).toBe(false)

      const tcpdump = ['netns', 'exec', stage.host.name, 'tcpdump', '-i', `nflog:${GROUP}`, '-w', '/dev/null']
      const reader = new Running('ip', tcpdump, { cwd: '/' })
      await reader.says(/listening on nflog/)
      expect(await kernel.isLogRead(GROUP)).toBe(true)
      expect(await kernel.isLogRead(GROUP + 1)).toBe(false)
      const isOn = async () => (await stage.host.run('ipset', 'save', `rf-log${family}`)).includes('add ')
      await eventually(isOn)
      expect(await send()).toBe(2)
      expect(await counts(family)).toEqual({ shortWay: 2, sampled: 2, passed: 2 })

      await reader.end()
      await eventually(async () => !(await isOn()))
      await eventually(
        async () => !(await stage.host.run('ipset', 'save', `rf-named${family}`)).includes('add '),
      )
      expect(await send()).toBe(2)
      expect(await counts(family)).toEqual({ shortWay: 4, sampled: 2, passed: 2 })
      expect(await engine.check()).toEqual([])
    },
  )
})
