import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { Program } from './program.ts'

const ENVIRONMENT = { LC_ALL: 'C', NODE_OPTIONS: '' }
const PREFIX = 'rf-siege-'
const FOLDER = 'ringfence-siege-'
let built = 0

export type SiegeHost = 'switch' | 'router' | 'phones' | 'attackers'
const HOSTS: readonly SiegeHost[] = ['switch', 'router', 'phones', 'attackers']

/** The softswitch's address, and how it names itself. */
export const SERVER = '10.40.0.2'
/** All of it lives at the phones' host, so a phone can have any address of it. */
export const PHONES_NETWORK = '10.50.0.0/16'
/** The same for attackers who wait for answers. */
export const ATTACKERS_NETWORK = '10.60.0.0/16'

/**
 * Four network namespaces: a softswitch's host with one uplink, `eth0`, to a router, and behind that the phones and the
 * attackers. Everything on it, processes and files too, goes with `remove`.
 */
export class SiegeStage {
  readonly folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`))
  readonly #programs: Program[] = []
  readonly #number = built++
  #building: Promise<void> | undefined
  #removed = false
  /** The next hop of the attackers, for frames made by hand. */
  routerMac = ''

  async build(): Promise<this> {
    this.#building = this.#build()
    await this.#building
    return this
  }

  async #build(): Promise<void> {
    await removeAbandoned()
    for (const host of HOSTS) {
      this.#stillWanted()
      await run('ip', ['netns', 'add', this.name(host)])
    }
    for (const host of HOSTS) {
      await this.run(host, 'ip', ['link', 'set', 'lo', 'up'])
      // An interface takes the greater of both, so `all` must be off too.
      const off = ['all', 'default'].map((which) => `net.ipv4.conf.${which}.rp_filter=0`)
      await this.run(host, 'sysctl', ['-qw', ...off])
    }
    await this.#cable('switch', 'uplink', '10.40.0', 2)
    await this.#cable('phones', 'phones', '10.41.0', 2)
    await this.#cable('attackers', 'attackers', '10.42.0', 2)
    await this.run('router', 'sysctl', ['-qw', 'net.ipv4.ip_forward=1'])
    await this.#live('phones', PHONES_NETWORK, '10.41.0.2')
    await this.#live('attackers', ATTACKERS_NETWORK, '10.42.0.2')
    // Answers to forged sources end here, as they do in the Internet.
    await this.run('router', 'ip', ['route', 'add', 'blackhole', 'default'])
    this.routerMac = (await this.run('router', 'cat', ['/sys/class/net/attackers/address'])).trim()
  }

  name(host: SiegeHost): string {
    return `${PREFIX}${host}-${process.pid}-${this.#number}`
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Runs a program on a host and gives what it wrote. */
  async run(host: SiegeHost, program: string, args: readonly string[], timeout = 60_000): Promise<string> {
    this.#stillWanted()
    return run('ip', ['netns', 'exec', this.name(host), program, ...args], timeout)
  }

  /** Where the softswitch writes its log. */
  get softswitchLog(): string {
    return this.path('softswitch.log')
  }

  /** Starts a program on a host; it ends with the stage at the latest. `errorsTo`: a file for its standard error. */
  start(
    host: SiegeHost,
    program: string,
    args: readonly string[],
    options: { readonly errorsTo?: string } = {},
  ): Program {
    this.#stillWanted()
    const all = ['netns', 'exec', this.name(host), program, ...args]
    const started = new Program('ip', all, { cwd: this.folder, ...options })
    this.#programs.push(started)
    return started
  }

  /** Every process on the stage. */
  async pids(): Promise<readonly number[]> {
    const listed = await Promise.all(HOSTS.map((host) => run('ip', ['netns', 'pids', this.name(host)])))
    return listed.flatMap((text) => text.split('\n')).flatMap((line) => (line === '' ? [] : [Number(line)]))
  }

  /** At any time, also while it is being built. */
  async remove(): Promise<void> {
    this.#removed = true
    await this.#building?.catch(() => {})
    await Promise.all(this.#programs.map((program) => program.end()))
    for (const host of HOSTS) await execa('ip', ['netns', 'del', this.name(host)], { reject: false })
    rmSync(this.folder, { recursive: true, force: true })
  }

  #stillWanted(): void {
    if (this.#removed) throw new Error('the stage is gone')
  }

  /** `eth0` of a host to the router's interface of this name. */
  async #cable(host: SiegeHost, atRouter: string, network: string, number: number): Promise<void> {
    const peer = ['type', 'veth', 'peer', 'name', atRouter, 'netns', this.name('router')]
    await run('ip', ['link', 'add', 'eth0', 'netns', this.name(host), ...peer])
    await this.run(host, 'ip', ['addr', 'add', `${network}.${number}/24`, 'dev', 'eth0'])
    await this.run('router', 'ip', ['addr', 'add', `${network}.1/24`, 'dev', atRouter])
    await this.run(host, 'ip', ['link', 'set', 'eth0', 'up'])
    await this.run('router', 'ip', ['link', 'set', atRouter, 'up'])
    await this.run(host, 'ip', ['route', 'add', 'default', 'via', `${network}.1`])
  }

  async #live(host: SiegeHost, network: string, via: string): Promise<void> {
    await this.run(host, 'ip', ['route', 'add', 'local', network, 'dev', 'lo'])
    await this.run('router', 'ip', ['route', 'add', network, 'via', via])
  }
}

/** Takes away what a siege left that was killed before it could: those whose process is no more. */
async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(FOLDER) ? /^(\d+)-/.exec(name.slice(FOLDER.length))?.[1] : undefined
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
  if (!existsSync('/run/netns')) return
  for (const name of readdirSync('/run/netns')) {
    const pid = name.startsWith(PREFIX) ? /-(\d+)-\d+$/.exec(name)?.[1] : undefined
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    // Nobody else has a process in a namespace that a siege made.
    const { stdout } = await execa('ip', ['netns', 'pids', name], { reject: false })
    for (const left of stdout.split('\n').filter((line) => line !== '')) endProcess(Number(left))
    await execa('ip', ['netns', 'del', name], { reject: false })
  }
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}

async function run(file: string, args: readonly string[], timeout = 60_000): Promise<string> {
  const { stdout } = await execa(file, args, { timeout, env: ENVIRONMENT })
  return stdout
}
