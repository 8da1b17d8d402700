import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import type { DecisionView } from '../../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../../dashboard/api/source-story.ts'
import type { StatusSnapshot } from '../../../dashboard/api/status.ts'
import { type Program, until } from '../program.ts'
import { PROGRAM } from '../root.ts'
import type { SiegeStage } from '../stage.ts'
import type { Ban, SiegeGuard } from './guard.ts'
import {
  added,
  childrenOf,
  figuresOfEnded,
  figuresOfProcesses,
  fileOf,
  type ProcessFigures,
} from './processes.ts'

/** `programs`: what the daemon has run and waited for, as iptables and ipset. */
type ProcessName = 'daemon' | 'sensor' | 'capture' | 'programs'

/** Ringfence: the real daemon with its defaults, on the softswitch's host. `settings` are lines of its configuration. */
export class Ringfence implements SiegeGuard {
  readonly #stage: SiegeStage
  readonly #config: string
  readonly #socket: string
  #program: Program | undefined

  /** `dashboard`: where it opens its page; without it, it has none. */
  constructor(stage: SiegeStage, settings = '', { dashboard }: { readonly dashboard?: string } = {}) {
    this.#stage = stage
    this.#config = stage.path('ringfence.yaml')
    this.#socket = stage.path('control.sock')
    writeFileSync(
      this.#config,
      `protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }
control: { socket: ${this.#socket} }
data: ${stage.path('data')}
dashboard: { ${dashboard ? `listen: '${dashboard}'` : 'enabled: false'}, passwordFile: ${stage.path('password')} }
${settings}
`,
    )
  }

  /** Resolves when the rules are in the kernel and the sensor sees. */
  async start(): Promise<void> {
    const program = this.#stage.start('switch', process.execPath, [PROGRAM, 'run', '--config', this.#config])
    this.#program = program
    const isUp = async () => {
      if (!program.isRunning) throw new Error(`the daemon ended:\n${program.output}${program.errors}`)
      const status = await this.status().catch(() => null)
      return status?.sensor.state === 'running' && status.rules.state === 'applied'
    }
    await until(isUp, { within: 30_000, what: 'the daemon', every: 200 }).catch((error: Error) => {
      throw new Error(`${error.message}:\n${(program.output + program.errors).slice(-3_000)}`)
    })
  }

  async end(): Promise<void> {
    await this.#program?.end()
  }

  status(): Promise<StatusSnapshot> {
    return this.#ask('/api/v1/status')
  }

  blocked(): Promise<readonly DecisionView[]> {
    return this.#ask('/api/v1/blocked')
  }

  async banned(): Promise<readonly Ban[]> {
    const decisions = await this.blocked()
    return decisions.map(({ id, target, by, reason }) => ({ id: String(id), target, by, reason }))
  }

  /** By the command line, as an operator asks. */
  async command<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.say(...args, '--json')) as T
  }

  /** The same in words. */
  say(...args: readonly string[]): Promise<string> {
    return this.#stage.run('switch', process.execPath, [PROGRAM, ...args, '--socket', this.#socket])
  }

  explain(address: string): Promise<SourceStory> {
    return this.command('explain', address)
  }

  /** Packets that each rule of ours has dropped, by the chain and what the rule asks for. */
  async dropsByRule(): Promise<Readonly<Record<string, number>>> {
    const text = await this.#stage.run('switch', 'iptables-save', ['-c', '-t', 'raw'])
    return readRingfenceDrops(text)
  }

  figures(): Readonly<Record<ProcessName, ProcessFigures>> {
    return figuresOfDaemon(this.#program!.pid)
  }

  /** The daemon and all that it runs. */
  processes(): readonly number[] {
    const all = [this.#program!.pid]
    for (const pid of all) all.push(...childrenOf(pid))
    return all
  }

  /** By the daemon's own socket: the command line would cost a Node a question. */
  #ask<T>(path: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, path, timeout: 20_000 }, (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk: string) => {
          text += chunk
        })
        answer.once('end', () => {
          if (answer.statusCode === 200) resolve(JSON.parse(text) as T)
          else reject(new Error(`${path} was answered with ${answer.statusCode}: ${text.slice(0, 500)}`))
        })
      })
      asked.once('error', reject)
      asked.once('timeout', () => asked.destroy(new Error(`${path} was not answered`)))
      asked.end()
    })
  }
}

/** Packets that each rule of ours has dropped, from what `iptables-save -c` says of the table raw. */
export function readRingfenceDrops(text: string): Readonly<Record<string, number>> {
  const rules = text.matchAll(/^\[(\d+):\d+\] -A RINGFENCE-(\S+) (.*)-j DROP$/gm)
  const drops: Record<string, number> = {}
  for (const [, packets, chain, rule] of rules) {
    const asks = [...rule!.matchAll(/(?:--hashlimit-name|--match-set) (\S+)/g)].map(([, name]) => name)
    const name = [chain, ...asks].join(' ')
    drops[name] = (drops[name] ?? 0) + Number(packets)
  }
  return drops
}

/** Of a daemon and its children, by its process. */
export function figuresOfDaemon(daemon: number): Readonly<Record<ProcessName, ProcessFigures>> {
  const sensors = childrenOf(daemon).filter((pid) => fileOf(pid, 'cmdline').includes('/agent/sensor/main.js'))
  // The sensor has no other children than those that capture, be they tcpdump or ours; some come and go with a flood.
  return {
    daemon: figuresOfProcesses([daemon]),
    sensor: figuresOfProcesses(sensors),
    capture: sensors.map(figuresOfEnded).reduce(added, figuresOfProcesses(sensors.flatMap(childrenOf))),
    programs: figuresOfEnded(daemon),
  }
}
