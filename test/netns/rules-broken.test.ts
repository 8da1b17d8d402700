import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { block, desired } from '../rules/desired.ts'
import { eventually } from '../stage/running.ts'
import { Namespace } from './namespace.ts'

// The programs' folders are read when the module is loaded.
const folder = mkdtempSync(join(tmpdir(), 'ringfence-broken-'))
process.env.PATH = `${folder}:${process.env.PATH}`
const { RulesEngine } = await import('../../rules/engine.ts')
const { IptablesKernel } = await import('../../rules/iptables-kernel.ts')

function program(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(folder, name), 0o755)
}

const namespace = new Namespace('broken')
const breakIPv6 = () =>
  program('ip6tables-odd-save', 'echo "ip6tables-save: table raw is incompatible" >&2; exit 1')
const mendIPv6 = () => program('ip6tables-odd-save', 'exec ip6tables-nft-save "$@"')

beforeAll(async () => {
  for (const name of ['iptables-odd', 'iptables-odd-save', 'iptables-odd-restore', 'ip6tables-odd-restore']) {
    program(name, `exec ${name.replace('-odd', '-nft')} "$@"`)
  }
  await namespace.create()
})
afterAll(async () => {
  await namespace.remove()
  rmSync(folder, { recursive: true, force: true })
})

test('IPv4 is applied, repaired and changed while IPv6 cannot be read, and IPv6 follows when it can', async () => {
  breakIPv6()
  const kernel = new IptablesKernel({ iptables: 'iptables-odd' as 'iptables', netns: namespace.name })
  const engine = new RulesEngine({ kernel, clock: Date.now })
  const raw = (name: string) => namespace.run(`${name}-save`, '-t', 'raw')
  try {
    engine.setDesired(desired({ blocks: [block('192.0.2.1')] }))
    await engine.settled()
    expect(engine.status()).toMatchObject({
      state: 'failing',
      lastError: {
        message: expect.stringMatching(/^IPv6: ip6tables-odd-save refused .*table raw is incompatible/),
      },
    })
    expect(await raw('iptables-nft')).toContain('-A PREROUTING -j RINGFENCE')
    expect(await raw('ip6tables-nft')).not.toContain('RINGFENCE')
    await namespace.run('iptables-nft', '-t', 'raw', '-F', 'PREROUTING')
    await eventually(() => engine.status().repairs.count === 1)
    expect(engine.status().repairs.last).toBe('IPv4: the jump from PREROUTING was gone')
    engine.setDesired(desired({ blocks: [block('192.0.2.1'), block('192.0.2.2')] }))
    await engine.settled()
    expect(await raw('iptables-nft')).toContain('-A PREROUTING -j RINGFENCE')
    expect(await namespace.run('ipset', 'save', 'rf-sip4')).toContain('add rf-sip4 192.0.2.2 ')
    mendIPv6()
    await eventually(() => engine.status().state === 'applied', 40_000, 'IPv6')
    expect(await raw('ip6tables-nft')).toContain('-A PREROUTING -j RINGFENCE')
    breakIPv6()
    await expect(engine.off()).rejects.toThrow('ip6tables-odd-save')
    expect(await raw('iptables-nft')).not.toContain('RINGFENCE')
    expect(await namespace.run('ipset', 'list', '-n')).not.toMatch(/4$/m)
    mendIPv6()
    await engine.off()
    expect(await namespace.run('ipset', 'list', '-n')).toBe('')
    expect(await raw('ip6tables-nft')).not.toContain('RINGFENCE')
  } finally {
    await engine.close()
  }
})
