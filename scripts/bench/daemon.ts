import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { StatusSnapshot } from '../../dashboard/api/control-plane.ts'
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

  async stop(): Promise<void> {
    this.#process?.kill('SIGTERM')
    await this.#process
  }

  times(): ProcessTimes {
    const daemon = this.#process!.pid!
    const sensor = childOf(daemon, '/agent/sensor/main.js')
    // The sensor has no other child than the one that captures, be it tcpdump or ours.
    const capture = childOf(sensor, '')
    return { capture: timeOf(capture), sensor: timeOf(sensor), daemon: timeOf(daemon) }
  }
}

function childOf(parent: number, script: string): number {
  const children = readFileSync(`/proc/${parent}/task/${parent}/children`, 'latin1').trim().split(' ')
  const found = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(script))
  if (!found) throw new Error(`process ${parent} has no child ${script}`)
  return Number(found)
}

/** What the process has used itself and what the kernel has for it, in milliseconds. */
export function timeOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_A_SECOND
}
