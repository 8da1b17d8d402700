import { readFileSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import type { Cable } from './cable.ts'

/** The benchmarks run compiled, in dist/scripts/bench, beside the program they measure. */
const PROGRAM = fileURLToPath(new URL('../../agent/cli/main.js', import.meta.url))
/** USER_HZ of every Linux that Node runs on. */
const TICKS_A_SECOND = 100

/** Milliseconds of processor time since each process started. */
export interface ProcessTimes {
  readonly capture: number
  readonly sensor: number
  readonly daemon: number
}

/** The real daemon, `ringfence run`, at the server's end of the cable. */
export class BenchDaemon {
  readonly #cable: Cable
  readonly #config: string
  readonly #socket: string
  #process: ReturnType<Cable['start']> | undefined
  readonly #connections = new Agent({ keepAlive: true, maxSockets: 64 })

  constructor(cable: Cable, settings = '') {
    this.#cable = cable
    this.#config = join(cable.folder, 'ringfence.yaml')
    this.#socket = join(cable.folder, 'control.sock')
    writeFileSync(
      this.#config,
      `protect: { interfaces: [eth0], ports: { udp: [5060], tcp: [5060] } }
control: { socket: ${this.#socket} }
data: ${join(cable.folder, 'data')}
dashboard: { enabled: false, passwordFile: ${join(cable.folder, 'password')} }
${settings}
`,
    )
  }

  /** The folder of the journal. */
  get data(): string {
    return join(this.#cable.folder, 'data')
  }

  /** The daemon's own process. */
  get pid(): number {
    return this.#process!.pid!
  }

  /** `ringfence restore`, and how long it took, the start of Node included. */
  async restore(): Promise<number> {
    const begun = performance.now()
    const nowhere = join(this.#cable.folder, 'no-daemon.sock')
    const args = [PROGRAM, 'restore', '--config', this.#config, '--socket', nowhere]
    await this.#cable.run('server', process.execPath, args)
    return performance.now() - begun
  }

  /** Resolves to how long the daemon took to say that it is up, which it does when the kernel holds what it should. */
  async startToUp(): Promise<number> {
    const begun = performance.now()
    const daemon = this.#cable.start('server', process.execPath, [PROGRAM, 'run', '--config', this.#config])
    this.#process = daemon
    let said = ''
    await new Promise<void>((resolve, reject) => {
      daemon.stdout.on('data', (text: Buffer) => {
        said += text
        if (said.includes('ringfence is up')) resolve()
      })
      daemon.once('exit', () => reject(new Error(`the daemon did not come up:\n${said}`)))
    })
    return performance.now() - begun
  }

  /** Resolves when the rules are in the kernel and the sensor sees. */
  async start(): Promise<void> {
    const daemon = this.#cable.start('server', process.execPath, [PROGRAM, 'run', '--config', this.#config])
    this.#process = daemon
    const deadline = performance.now() + 30_000
    for (;;) {
      const status = await this.status().catch(() => undefined)
      if (status?.sensor.state === 'running' && status.rules.state === 'applied') return
      if (performance.now() > deadline || daemon.exitCode !== null) {
        daemon.kill()
        throw new Error(`the daemon did not come up:\n${(await daemon).stdout}`)
      }
      await pause(100)
    }
  }

  /** By the command line, as an operator asks. */
  async status(): Promise<StatusSnapshot> {
    const args = [PROGRAM, 'status', '--json', '--socket', this.#socket]
    return JSON.parse(await this.#cable.run('server', process.execPath, args)) as StatusSnapshot
  }

  /** By the control socket, as the command line does; resolves when the whole answer is there. */
  request(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.#socket, path, timeout: 30_000 }, (answer) => {
        answer.once('end', () => {
          if (answer.statusCode === 200) resolve()
          else reject(new Error(`${path} was answered with ${answer.statusCode}`))
        })
        answer.resume()
      })
      asked.once('error', reject)
      asked.once('timeout', () => asked.destroy(new Error(`${path} was not answered`)))
      asked.end()
    })
  }

  /** An order by the control socket; resolves when it is carried out. */
  order(path: string, order: object): Promise<void> {
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          method: 'POST',
          socketPath: this.#socket,
          path: `/api/v1/${path}`,
          agent: this.#connections,
          headers: { 'content-type': 'application/json' },
          timeout: 30_000,
        },
        (answer) => {
          answer.once('end', () => {
            if ((answer.statusCode ?? 0) < 300) resolve()
            else reject(new Error(`${path} was answered with ${answer.statusCode}`))
          })
          answer.resume()
        },
      )
      asked.once('error', reject)
      asked.once('timeout', () => asked.destroy(new Error(`${path} was not answered`)))
      asked.end(JSON.stringify(order))
    })
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGTERM')
    await this.#process
  }

  times(): ProcessTimes {
    const daemon = this.#process!.pid!
    const sensor = childOf(daemon, '/agent/sensor/main.js')
    // The sensor has no other children than those that capture, be they tcpdump or ours.
    const capture = childrenOf(sensor).reduce((sum, pid) => sum + timeOf(pid), timeOfEnded(sensor))
    return { capture, sensor: timeOf(sensor), daemon: timeOf(daemon) }
  }

  /** Of the sensor and its captures, in bytes: pages that they share counted once, and each process by itself. */
  memory(): { readonly proportional: number; readonly resident: number } {
    const sensor = childOf(this.#process!.pid!, '/agent/sensor/main.js')
    const memories = [sensor, ...childrenOf(sensor)].map(memoryOf)
    return {
      proportional: memories.reduce((sum, { proportional }) => sum + proportional, 0),
      resident: memories.reduce((sum, { resident }) => sum + resident, 0),
    }
  }
}

function childrenOf(parent: number): readonly number[] {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1').trim()
  return children === '' ? [] : children.split(' ').map(Number)
}

function childOf(parent: number, script: string): number {
  const found = childrenOf(parent).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(script),
  )
  if (found === undefined) throw new Error(`process ${parent} has no child ${script}`)
  return found
}

/** A process that has just ended has none. */
function memoryOf(pid: number): { readonly proportional: number; readonly resident: number } {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    const bytes = (name: string) =>
      1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(rollup)?.[1] ?? 0)
    return { proportional: bytes('Pss'), resident: bytes('Rss') }
  } catch {
    return { proportional: 0, resident: 0 }
  }
}

/** What the process has used itself and what the kernel has for it, in milliseconds; 0 of one that has just ended. */
export function timeOf(pid: number): number {
  return ticksOf(pid, 11)
}

/** The same of its children that have ended. */
function timeOfEnded(pid: number): number {
  return ticksOf(pid, 13)
}

function ticksOf(pid: number, field: number): number {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return 0
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[field]) + Number(fields[field + 1])) * 1000) / TICKS_A_SECOND
}
