import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import { run } from '../agent/cli/command-line.ts'
import type { Running } from './running.ts'
import { eventually } from './running.ts'
import type { Stage, StageHost } from './stage.ts'

/** The build in `dist`, or another one, as that of an installation. */
const PROGRAM =
  process.env.RINGFENCE_PROGRAM ?? fileURLToPath(new URL('../../dist/agent/cli/main.js', import.meta.url))

/** Commands that ask and change nothing. */
const QUESTIONS: ReadonlySet<string> = new Set(['status', 'blocked', 'explain', 'bindings', 'allowed'])

/** Ringfence as it is installed, on a host of the stage: the built program, its daemon and its command line. */
export class Ringfence {
  daemon: Running | undefined
  readonly #stage: Stage
  readonly #host: StageHost
  readonly #config: string
  readonly #asked = new Set<string>()

  constructor(stage: Stage, host: StageHost, settings: string) {
    if (!existsSync(PROGRAM)) throw new Error('dist/ is missing; run: npm run build')
    this.#stage = stage
    this.#host = host
    this.#config = stage.path('ringfence.yaml')
    this.configure(settings)
  }

  configure(settings: string): void {
    writeFileSync(
      this.#config,
      `${settings}
control: { socket: ${this.#stage.path('control.sock')} }
data: ${this.#stage.path('data')}
dashboard: { listen: '127.0.0.1:8560', passwordFile: ${this.#stage.path('password')} }
`,
    )
  }

  /** Starts the daemon and waits until its sensor sees. `path`: a folder whose programs come before all others. */
  async start({ path }: { readonly path?: string } = {}): Promise<void> {
    const command = [process.execPath, PROGRAM, 'run', '--config', this.#config]
    const before = path === undefined ? [] : ['env', `PATH=${path}:${process.env.PATH}`]
    const [program = '', ...args] = [...before, ...command]
    this.daemon = this.#stage.start(this.#host, program, args)
    await this.daemon.says(/ringfence is up/)
    await eventually(async () => (await this.status()).sensor.state === 'running', 20_000, 'the sensor')
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.daemon?.end(signal)
  }

  /** Runs a command as an operator would; gives what it printed and its exit code. */
  async command(
    args: readonly string[],
    input = '',
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const socket = ['--socket', this.#stage.path('control.sock')]
    const { stdout, stderr, exitCode } = await execa(
      'ip',
      ['netns', 'exec', this.#host.namespace.name, process.execPath, PROGRAM, ...args, ...socket],
      { reject: false, timeout: 30_000, input },
    )
    return { stdout, stderr, exitCode: exitCode ?? -1 }
  }

  /**
   * A command's answer as JSON. A question is asked by the installed program once; when it is asked again, which is
   * what waiting for something does, the same command runs here: a process of Node each time would keep a core busy.
   */
  async ask<T>(...args: readonly string[]): Promise<T> {
    const [name = ''] = args
    const isKnown = QUESTIONS.has(name) && this.#asked.has(name)
    this.#asked.add(name)
    const words = [...args, '--json']
    const { stdout, stderr, exitCode } = isKnown ? await this.#commandHere(words) : await this.command(words)
    if (exitCode !== 0) throw new Error(`ringfence ${args.join(' ')}: exit ${exitCode}: ${stderr}${stdout}`)
    return JSON.parse(stdout) as T
  }

  async #commandHere(args: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const place = {
      folder: this.#stage.folder,
      socket: this.#stage.path('control.sock'),
      configFile: this.#config,
    }
    const { code, out, err } = await run({ ...place, remove() {} }, args, { now: Date.now })
    return { stdout: out, stderr: err, exitCode: code }
  }

  status(): Promise<StatusSnapshot> {
    return this.ask<StatusSnapshot>('status')
  }
}
