import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BACKENDS, type Backend, programs } from './load-rules.ts'
import { eventually, Running } from './running.ts'
import type { Place } from './topology.ts'

/**
 * Other firewalls, the real programs, inside a place of the stage: each with files of its own, bound over those of the
 * machine in the private mount namespace that `ip netns exec` makes.
 */
abstract class Firewall {
  protected readonly folder = mkdtempSync(join(tmpdir(), 'ringfence-firewall-'))
  protected readonly place: Place
  readonly #backend: Backend

  constructor(place: Place, backend: Backend) {
    this.place = place
    this.#backend = backend
  }

  /** The arguments of `ip` that run a program in the place, with these files (theirs, of the machine) put over. */
  protected inside(
    over: readonly (readonly [string, string])[],
    command: readonly string[],
  ): readonly string[] {
    // The programs say `iptables`; which one that is, the alternatives of Debian decide, for the whole machine.
    const backend = [
      `/usr/sbin/xtables-${this.#backend.replace('iptables-', '')}-multi`,
      '/usr/sbin/xtables-nft-multi',
    ]
    const mounts = [...over, backend].map(([file, target]) => `mount --bind '${file}' '${target}'`)
    const script = [...mounts, 'exec "$@"'].join(' && ')
    return ['netns', 'exec', this.place.name, 'sh', '-c', script, 'sh', ...command]
  }

  async remove(): Promise<void> {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Debian's ufw. */
export class Ufw extends Firewall {
  constructor(place: Place, backend: Backend) {
    super(place, backend)
    cpSync('/etc/ufw', join(this.folder, 'ufw'), { recursive: true })
    // As they are after the installation, whatever the machine's own ones say.
    cpSync('/usr/share/ufw/iptables', join(this.folder, 'ufw'), { recursive: true, dereference: true })
    cpSync('/etc/default/ufw', join(this.folder, 'default'))
  }

  async run(...args: readonly string[]): Promise<void> {
    const over = [
      [join(this.folder, 'ufw'), '/etc/ufw'],
      [join(this.folder, 'default'), '/etc/default/ufw'],
    ] as const
    await runIp(this.inside(over, ['ufw', ...args]))
  }

  /** Replaces what is loaded before the user's rules, as operators do to have rules in other tables. */
  addBeforeRules(text: string): void {
    const file = join(this.folder, 'ufw/before.rules')
    writeFileSync(file, text, { flag: 'a' })
  }
}

const BUS = (
  socket: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=${socket}</listen>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
`

/** Debian's firewalld, on a D-Bus of its own. */
export class Firewalld extends Firewall {
  readonly #running: Running[] = []

  /** `by`: where it keeps its own rules. All interfaces are in the zone that lets everything pass. */
  async start(by: 'nftables' | 'iptables'): Promise<void> {
    const config = join(this.folder, 'firewalld')
    mkdirSync(join(config, 'zones'), { recursive: true })
    writeFileSync(join(config, 'firewalld.conf'), `DefaultZone=trusted\nFirewallBackend=${by}\n`)
    writeFileSync(join(this.folder, 'bus.conf'), BUS(join(this.folder, 'bus')))
    this.#run('dbus-daemon', [`--config-file=${join(this.folder, 'bus.conf')}`, '--nofork', '--nopidfile'])
    const program = ['firewalld', '--nofork', '--nopid', '--system-config', config, '--log-target', 'console']
    await eventually(() => this.#ask('true').then(() => true), 5_000, 'the bus')
    this.#run('ip', this.inside([], ['env', this.#bus, ...program]))
    await eventually(() => this.#ask('firewall-cmd', '--state').then(() => true), 20_000, 'firewalld')
  }

  async reload(): Promise<void> {
    await this.#ask('firewall-cmd', '--reload')
  }

  /** As `systemctl stop firewalld`. */
  async stop(): Promise<void> {
    for (const running of this.#running.splice(0).reverse()) await running.end()
  }

  override async remove(): Promise<void> {
    await this.stop()
    await super.remove()
  }

  get #bus(): string {
    return `DBUS_SYSTEM_BUS_ADDRESS=unix:path=${join(this.folder, 'bus')}`
  }

  #ask(...command: readonly string[]): Promise<void> {
    return runIp(this.inside([], ['env', this.#bus, ...command]))
  }

  #run(program: string, args: readonly string[]): void {
    this.#running.push(new Running(program, args, { cwd: this.folder }))
  }
}

async function runIp(args: readonly string[]): Promise<void> {
  const running = new Running('ip', args, { cwd: tmpdir() })
  const code = await running.ended
  if (code !== 0)
    throw new Error(`ip ${args.join(' ')}\nended with ${code}:\n${running.output.slice(-2_000)}`)
}

/**
 * Every rule and set in the place that is not ours, by both backends, without counters. Tables that hold nothing are
 * left out: having looked into one makes it.
 */
export async function foreignRules(place: Place): Promise<string> {
  const texts: string[] = []
  for (const program of BACKENDS.flatMap(programs)) {
    const saved = await place.run(`${program}-save`)
    const ours = / RINGFENCE|^:RINGFENCE/
    const lines = saved.split('\n').filter((line) => !line.startsWith('#') && !ours.test(line))
    const text = `${lines.join('\n')}\n`.replaceAll(/ \[\d+:\d+\]/g, '')
    // Tables come in the order in which they were first looked into.
    const tables = (text.match(/^\*\w+\n(?:[:-].*\n)*COMMIT$/gm) ?? []).sort()
    texts.push(`== ${program}`, ...tables.filter((table) => !/^\*\w+\n(?::\w+ ACCEPT\n)*COMMIT$/.test(table)))
  }
  const sets = await place.run('ipset', 'save')
  texts.push('== ipset', ...sets.split('\n').filter((line) => line !== '' && !/^\w+ rf-/.test(line)))
  const tables = (await place.run('nft', 'list', 'tables'))
    .split('\n')
    .filter((line) => / inet | bridge /.test(line))
  for (const table of tables) texts.push(await place.run('nft', '-s', 'list', ...table.split(' ')))
  return texts.join('\n')
}
