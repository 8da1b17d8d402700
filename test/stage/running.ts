import { type ChildProcess, spawn } from 'node:child_process'

const MOST_OUTPUT = 4_000_000

/** A program that a test started: what it says, how it ends, and the means to end it (by its own pid only). */
export class Running {
  output = ''
  readonly pid: number
  /** Resolves to the exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  readonly #command: string

  constructor(command: string, args: readonly string[], options: { cwd: string }) {
    this.#command = `${command} ${args.join(' ')}`
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', TERM: 'dumb' },
    })
    this.pid = this.#child.pid ?? -1
    const hear = (chunk: Buffer) => {
      if (this.output.length < MOST_OUTPUT) this.output += chunk.toString('latin1')
    }
    this.#child.stdout?.on('data', hear)
    this.#child.stderr?.on('data', hear)
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => resolve(code))
    })
    // Somebody who waits for it hears of it; nobody else has to.
    this.ended.catch(() => {})
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Waits until it has said something like this; tells what it said instead where it does not. */
  async says(pattern: RegExp, within = 20_000): Promise<void> {
    const said = await eventually(() => pattern.test(this.output) || !this.isRunning, within).catch(
      () => false,
    )
    if (!said || !pattern.test(this.output)) {
      throw new Error(`${this.#command}\nnever said ${pattern}, but:\n${this.output.slice(-3_000)}`)
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' | 'SIGINT' = 'SIGTERM'): Promise<void> {
    if (!this.isRunning || this.pid < 0) return
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 8_000)
    await this.ended.catch(() => {})
    clearTimeout(timer)
  }

  reload(): void {
    this.#child.kill('SIGHUP')
  }
}

const SHORTEST_PAUSE = 25
const LONGEST_PAUSE = 400

/**
 * Waits until a condition holds, asking again and again; rejects where it does not in time. What is dear to ask is
 * asked more rarely, so that waiting takes no more than a third of a core from what is waited for.
 */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  within = 20_000,
  what = 'the condition',
): Promise<NonNullable<T>> {
  const deadline = performance.now() + within
  let last: unknown
  for (;;) {
    const asked = performance.now()
    try {
      const value = await condition()
      if (value) return value as NonNullable<T>
      last = value
    } catch (error) {
      last = error
    }
    const now = performance.now()
    if (now > deadline) {
      throw new Error(
        `${what} did not come true within ${within} ms; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
      )
    }
    const pause = Math.min(Math.max(2 * (now - asked), SHORTEST_PAUSE), LONGEST_PAUSE)
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
