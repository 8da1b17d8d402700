import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { Program } from '../program.ts'
import { inNamespace } from './find-place.ts'

const PREFIX = 'rf-simulate-'
const FOLDER = 'ringfence-simulate-'

/** Where attack and phones come in; the same on every host, so that two tests at once are none. */
export const ENTRANCE = 'rfsim0'
/** Of benchmarks alone (RFC 2544, C.2.2), so nobody's: sources that hear nothing, and beside them all that do. */
export const ALL_SOURCES = '198.18.0.0/15'
export const DEAF_SOURCES = { first: '198.18.0.0', addresses: 65_536 } as const
const DEAF = '198.18.0.0/16'
const HEARING = '198.19.0.0/16'
const NEXT_HOP = '198.19.0.1'

/**
 * A namespace for attackers and phones, with a cable into the place of the target. What the softswitch answers takes the
 * same cable back and ends there: nothing leaves the host. It all goes with `remove`.
 */
export class Entrance {
  readonly folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`))
  readonly #namespace = `${PREFIX}${process.pid}`
  readonly #into: string | null
  readonly #programs: Program[] = []
  #building: Promise<void> | undefined
  /** What is there before it is another simulation's, and stays. */
  #isMade = false
  #removed = false
  /** Of the cable's end at the target, which is the next hop of all that is sent. */
  mac = ''

  /** `into`: the namespace of the target; null: the own one. */
  constructor(into: string | null) {
    this.#into = into
  }

  /** Refuses, with a sentence, where the sources' network or the interface are somebody's. */
  async build(target: string): Promise<void> {
    this.#building = this.#build(target)
    await this.#building
  }

  async #build(target: string): Promise<void> {
    const routed = (await this.there('ip', ['route', 'show', 'table', 'all', 'root', ALL_SOURCES])).trim()
    if (routed !== '') {
      throw new Error(`${ALL_SOURCES}, where a simulation's packets come from, is in use here: ${routed}`)
    }
    const links = await this.there('ip', ['-o', 'link', 'show'])
    if (links.includes(` ${ENTRANCE}@`) || links.includes(` ${ENTRANCE}:`)) {
      throw new Error(`there is an interface ${ENTRANCE}: another simulation runs`)
    }
    await ip(['netns', 'add', this.#namespace])
    this.#isMade = true
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#namespace]
    await ip([...inNamespace(this.#into), 'link', 'add', ENTRANCE, ...peer])
    // What the kernel says of itself over IPv6 is no part of a test.
    await this.there('sysctl', ['-qw', `net.ipv6.conf.${ENTRANCE}.disable_ipv6=1`]).catch(() => {})
    await ip([...inNamespace(this.#into), 'link', 'set', ENTRANCE, 'up'])
    await this.#here('ip', ['link', 'set', 'lo', 'up'])
    await this.#here('ip', ['link', 'set', 'eth0', 'up'])
    const off = ['all', 'default', 'eth0'].map((which) => `net.ipv4.conf.${which}.rp_filter=0`)
    await this.#here('sysctl', ['-qw', ...off])
    this.mac = (await this.there('cat', [`/sys/class/net/${ENTRANCE}/address`])).trim()
    const own = (await this.#here('cat', ['/sys/class/net/eth0/address'])).trim()
    // Nobody is asked for addresses over the cable: both ends know each other.
    await this.#here('ip', ['route', 'add', 'local', HEARING, 'dev', 'lo'])
    await this.#here('ip', ['route', 'add', 'blackhole', DEAF])
    await this.#here('ip', ['route', 'add', target, 'dev', 'eth0'])
    await this.#here('ip', ['neigh', 'add', target, 'lladdr', this.mac, 'dev', 'eth0', 'nud', 'permanent'])
    const neighbour = ['neigh', 'add', NEXT_HOP, 'lladdr', own, 'dev', ENTRANCE, 'nud', 'permanent']
    await this.there('ip', neighbour)
    const way = ['via', NEXT_HOP, 'dev', ENTRANCE, 'onlink']
    await this.there('ip', ['route', 'add', ALL_SOURCES, ...way])
    await this.#checkWayBack(target)
  }

  /** A rule of policy routing could send the answers elsewhere, out of this host. */
  async #checkWayBack(target: string): Promise<void> {
    for (const to of ['198.18.77.7', '198.19.0.10']) {
      const route = await this.there('ip', ['route', 'get', to, 'from', target])
      if (route.includes(` dev ${ENTRANCE} `)) continue
      throw new Error(
        `answers to ${to} would leave this host (${route.trim().split('\n')[0]}): nothing was sent`,
      )
    }
  }

  /** Runs a program at the target's place, and gives what it wrote. */
  there(program: string, args: readonly string[]): Promise<string> {
    if (this.#into === null) return run(program, args)
    return run('ip', ['netns', 'exec', this.#into, program, ...args])
  }

  /** Starts a program among the attackers and phones; it ends with the entrance at the latest. */
  start(program: string, args: readonly string[]): Program {
    if (this.#removed) throw new Error('the simulation is over')
    const started = new Program('ip', ['netns', 'exec', this.#namespace, program, ...args], {
      cwd: this.folder,
    })
    this.#programs.push(started)
    return started
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Frames that came in at the target's end. */
  async arrived(): Promise<number> {
    return Number(await this.there('cat', [`/sys/class/net/${ENTRANCE}/statistics/rx_packets`]))
  }

  /** At any time, also while it is being built. The routes and the cable go with the namespace. */
  async remove(): Promise<void> {
    if (this.#removed) return
    this.#removed = true
    await this.#building?.catch(() => {})
    await Promise.all(this.#programs.map((program) => program.end()))
    // A namespace ends some time after its name does, and its cable with it: the cable is taken first.
    if (this.#isMade) {
      await ip([...inNamespace(this.#into), 'link', 'del', ENTRANCE]).catch(() => {})
      await ip(['netns', 'del', this.#namespace]).catch(() => {})
    }
    rmSync(this.folder, { recursive: true, force: true })
  }

  #here(program: string, args: readonly string[]): Promise<string> {
    return run('ip', ['netns', 'exec', this.#namespace, program, ...args])
  }
}

/** Takes away what a test left that was killed; the cable, its routes and what ran there go with the namespace. */
export async function removeAbandoned(): Promise<void> {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(FOLDER) ? /^(\d+)-/.exec(name.slice(FOLDER.length))?.[1] : undefined
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true })
    }
  }
  if (!existsSync('/run/netns')) return
  for (const name of readdirSync('/run/netns')) {
    const pid = name.startsWith(PREFIX) ? /^(\d+)$/.exec(name.slice(PREFIX.length))?.[1] : undefined
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue
    const left = await run('ip', ['netns', 'pids', name]).catch(() => '')
    for (const line of left.split('\n').filter(Boolean)) {
      try {
        process.kill(Number(line), 'SIGKILL')
      } catch {
        // It has ended meanwhile.
      }
    }
    await run('ip', ['netns', 'exec', name, 'ip', 'link', 'del', 'eth0']).catch(() => {})
    await ip(['netns', 'del', name]).catch(() => {})
  }
}

function ip(args: readonly string[]): Promise<string> {
  return run('ip', args)
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execa(program, args, { timeout: 30_000, env: { LC_ALL: 'C', NODE_OPTIONS: '' } })
  return stdout
}
