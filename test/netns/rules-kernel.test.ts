import { execa } from 'execa'
import { describe, expect, test } from 'vitest'
import { RulesEngine } from '../../rules/engine.ts'
import { IptablesKernel } from '../../rules/iptables-kernel.ts'
import { CHAINS, defineSets } from '../../rules/names.ts'
import { removeEverything } from '../../rules/remove-everything.ts'
import { block, DEFAULTS, desired } from '../rules/desired.ts'
import { kernelContract } from '../rules/kernel-contract.ts'
import { Namespace } from './namespace.ts'

const BACKENDS = ['iptables-nft', 'iptables-legacy'] as const

for (const iptables of BACKENDS) {
  kernelContract(`the kernel by ${iptables}`, async () => {
    const namespace = await new Namespace('contract').create()
    const kernel = new IptablesKernel({ iptables, netns: namespace.name })
    return {
      kernel,
      dispose: async () => {
        await kernel.close()
        await namespace.remove()
      },
    }
  })
}

describe.each(BACKENDS)('foreign rules beside ours, by %s', (iptables) => {
  test('are the same, byte for byte, while ours are there and after they are gone', async () => {
    const namespace = await new Namespace('foreign').create()
    const kernel = new IptablesKernel({ iptables, netns: namespace.name })
    try {
      const programs = [iptables, iptables.replace('iptables', 'ip6tables')]
      await namespace.run('ipset', 'create', 'f2b-sshd', 'hash:ip', 'timeout', '600')
      await namespace.run('ipset', 'add', 'f2b-sshd', '203.0.113.5', 'timeout', '0')
      for (const program of programs) {
        const raw =
          '*raw\n:DOCKER - [0:0]\n-A PREROUTING -i eth7 -j DOCKER\n-A DOCKER -p tcp -j DROP\nCOMMIT\n'
        const filter = '*filter\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j f2b-sshd\nCOMMIT\n'
        await namespace.feed(raw + filter, `${program}-restore`, '--noflush')
      }
      await namespace.feed(
        '*filter\n-A f2b-sshd -m set --match-set f2b-sshd src -j REJECT\nCOMMIT\n',
        `${iptables}-restore`,
        '--noflush',
      )
      const saved = async () => {
        const texts = [await namespace.run('ipset', 'save'), '--']
        for (const program of programs) texts.push(await namespace.run(`${program}-save`))
        return texts.join('\n').replaceAll(/^#.*$|\[\d+:\d+\]/gm, '')
      }
      const withoutOurs = (text: string) =>
        text
          .split('\n')
          .filter((line) => !/RINGFENCE|(create|add) rf-/.test(line))
          .join('\n')
      const before = await saved()
      const engine = new RulesEngine({ kernel, clock: Date.now })
      engine.setDesired(desired({ blocks: [block('192.0.2.1'), block('2001:db8::/64', 'register')] }))
      await engine.settled()
      expect(engine.status().state).toBe('applied')
      const during = await saved()
      expect(during).not.toBe(before)
      expect(withoutOurs(during)).toBe(before)
      await engine.off()
      expect(await saved()).toBe(before)
    } finally {
      await kernel.close()
      await namespace.remove()
    }
  })

  test('can be cleared of ours without a daemon', async () => {
    const namespace = await new Namespace('clear').create()
    const kernels = [0, 1].map(() => new IptablesKernel({ iptables, netns: namespace.name }))
    try {
      const engine = new RulesEngine({ kernel: kernels[0]!, clock: Date.now })
      engine.setDesired(DEFAULTS)
      await engine.settled()
      await engine.close()
      expect(await removeEverything(kernels[1]!)).toHaveLength(
        2 * CHAINS.length + defineSets(DEFAULTS.sizes).length,
      )
      expect(await namespace.run('ipset', 'list', '-n')).toBe('')
      expect(await namespace.run(`${iptables}-save`, '-t', 'raw')).not.toContain('RINGFENCE')
    } finally {
      for (const kernel of kernels) await kernel.close()
      await namespace.remove()
    }
  })
})

describe.each(BACKENDS)('an engine by %s', (iptables) => {
  test('replaces what another version left, whatever its form', async () => {
    const namespace = await new Namespace('version').create()
    const engine = new RulesEngine({
      kernel: new IptablesKernel({ iptables, netns: namespace.name }),
      clock: Date.now,
    })
    try {
      await namespace.run('ipset', 'create', 'rf-sip4', 'hash:ip', 'maxelem', '77')
      const old =
        '*raw\n:RINGFENCE - [0:0]\n:RINGFENCE-OLD - [0:0]\n-A PREROUTING -i eth0 -j RINGFENCE\n-A RINGFENCE -j RINGFENCE-OLD\n-A RINGFENCE-OLD -m set --match-set rf-sip4 src -j DROP\nCOMMIT\n'
      await namespace.feed(old, `${iptables}-restore`, '--noflush')
      const state = desired({ blocks: [block('192.0.2.0/24')] })
      engine.setDesired(state)
      await engine.settled()
      expect(engine.status()).toMatchObject({ state: 'applied', lastError: null })
      expect(await namespace.run('ipset', 'save', 'rf-sip4')).toContain('add rf-sip4 192.0.2.0/24 timeout 0')
      const saved = await namespace.run(`${iptables}-save`, '-t', 'raw')
      expect(saved.match(/-j RINGFENCE$/gm)).toEqual(['-j RINGFENCE'])
      expect(saved).not.toContain('RINGFENCE-OLD')
      expect(await engine.check()).toEqual([])
    } finally {
      await engine.close()
      await namespace.remove()
    }
  })

  test('goes on when its ipset is killed', async () => {
    const namespace = await new Namespace('killed').create()
    const engine = new RulesEngine({
      kernel: new IptablesKernel({ iptables, netns: namespace.name }),
      clock: Date.now,
    })
    try {
      engine.setDesired(DEFAULTS)
      await engine.settled()
      const { stdout } = await execa('ip', ['netns', 'pids', namespace.name])
      expect(stdout).toMatch(/^\d+$/)
      process.kill(Number(stdout), 'SIGKILL')
      engine.setDesired(desired({ blocks: [block('192.0.2.1')] }))
      const deadline = Date.now() + 5_000
      while (engine.status().state !== 'applied' && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      expect(await namespace.run('ipset', 'save', 'rf-sip4')).toContain('add rf-sip4 192.0.2.1 timeout 0')
    } finally {
      await engine.close()
      await namespace.remove()
    }
  })
})

describe('troubles have a sentence that says what to do', () => {
  test('a program that is not there', async () => {
    const namespace = await new Namespace('trouble').create()
    try {
      const absent = new IptablesKernel({ iptables: 'iptables-absent' as 'iptables', netns: namespace.name })
      await expect(absent.observe({ elements: [] })).rejects.toMatchObject({
        kind: 'missing-program',
        message: 'iptables-absent is not installed: run "apt-get install iptables".',
      })
      const here = new IptablesKernel({ iptables: 'iptables-absent' as 'iptables' })
      await expect(here.observe({ elements: [] })).rejects.toMatchObject({ kind: 'missing-program' })
    } finally {
      await namespace.remove()
    }
  })
})
