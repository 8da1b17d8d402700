import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const FOLDER = join(ROOT, 'scripts/systemd')
const DAEMON = 'ringfence.service'
const RESTORE = 'ringfence-restore.service'

/** The settings of a unit file: of a setting that is there more than once all values. */
function readUnit(name: string): Readonly<Record<string, readonly string[]>> {
  const settings: Record<string, string[]> = {}
  for (const line of readFileSync(join(FOLDER, name), 'utf8').split('\n')) {
    const found = /^([A-Za-z]+)=(.*)$/.exec(line)
    if (found) settings[found[1]!] = [...(settings[found[1]!] ?? []), ...found[2]!.split(' ')]
  }
  return settings
}

describe('the units', () => {
  const daemon = readUnit(DAEMON)
  const restore = readUnit(RESTORE)

  it('are all installed, enabled and taken away', () => {
    const script = readFileSync(join(ROOT, 'scripts/setup/service.sh'), 'utf8')
    const installed = /UNIT_NAMES=\(([^)]*)\)/.exec(script)?.[1]?.split(' ')
    expect(installed?.sort()).toEqual(readdirSync(FOLDER).sort())
  })

  it('put the rules back before there is a network, and before the daemon', () => {
    expect(restore).toMatchObject({
      DefaultDependencies: ['no'],
      Wants: ['network-pre.target'],
      Before: expect.arrayContaining(['network-pre.target', DAEMON, 'shutdown.target']),
      Conflicts: ['shutdown.target'],
      Type: ['oneshot'],
      RemainAfterExit: ['yes'],
      WantedBy: ['multi-user.target'],
    })
    const early = ['local-fs.target', 'systemd-modules-load.service', 'systemd-sysctl.service']
    expect(restore.After).toEqual(expect.arrayContaining(early))
    expect(restore.RequiresMountsFor).toEqual(
      expect.arrayContaining(['/etc/ringfence', '/var/lib/ringfence']),
    )
    expect(restore.ExecStart?.slice(1)).toEqual([
      '/opt/ringfence/dist/agent/cli/main.js',
      'restore',
      '--config',
      '/etc/ringfence/ringfence.yaml',
    ])
  })

  it('make no circle: nothing that waits for the network, or starts late, goes before the restoring', () => {
    const late = [
      'network.target',
      'network-online.target',
      'firewalld.service',
      'basic.target',
      'sysinit.target',
    ]
    expect(restore.After?.filter((unit) => late.includes(unit) || unit === DAEMON)).toEqual([])
  })

  it('start the daemon after other firewalls, and before the softswitch', () => {
    const firewalls = ['nftables.service', 'netfilter-persistent.service', 'firewalld.service', 'ufw.service']
    expect(daemon.After).toEqual(expect.arrayContaining(['network-pre.target', ...firewalls]))
    expect(daemon.Before).toEqual(
      expect.arrayContaining([
        'kamailio.service',
        'opensips.service',
        'asterisk.service',
        'freeswitch.service',
      ]),
    )
  })

  it('are hardened alike', () => {
    const hardening = (unit: typeof daemon) =>
      Object.fromEntries(
        Object.entries(unit).filter(([name]) =>
          /^(Protect|Private|Restrict|Capability|NoNew|Lock|SystemCall|ReadWrite|UMask)/.test(name),
        ),
      )
    expect(hardening(restore)).toEqual(hardening(daemon))
    expect(Object.keys(hardening(restore)).length).toBeGreaterThan(12)
  })

  it('are taken by systemd', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ringfence-units-'))
    try {
      const files = [DAEMON, RESTORE].map((name) => {
        const text = readFileSync(join(FOLDER, name), 'utf8').replaceAll('@NODE@', process.execPath)
        writeFileSync(join(folder, name), text)
        return join(folder, name)
      })
      const { failed, code, all } = await execa('systemd-analyze', ['verify', ...files], {
        reject: false,
        all: true,
        timeout: 20_000,
        env: { LC_ALL: 'C' },
      })
      // Where it is not installed, the order that was read above has to do.
      if (code === 'ENOENT') return
      expect({ failed, all }).toEqual({ failed: false, all: '' })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
