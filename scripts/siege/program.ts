import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const MOST_OUTPUT = 8_000_000
const PATIENCE = 8_000

/** A program that a siege started: what it says, what is said to it, how it ends. */
export class Program {
  output = ''
  readonly pid: number
  /** Resolves to the exit code; null where a signal ended it. */
  readonly ended: Promise<number | null>
  readonly #child: ChildProcess
  readonly #errorsFile: string | undefined
  #errors = ''

  /** `errorsTo` is a file for what it says on its standard error, which somebody else reads as its log. */
  constructor(
    command: string,
    args: readonly string[],
    options: { readonly cwd: string; readonly errorsTo?: string },
  ) {
    this.#errorsFile = options.errorsTo
    const log = options.errorsTo === undefined ? 'pipe' : openSync(options.errorsTo, 'a')
    this.#child = spawn(command, args, {
      cwd: options.cwd,
      stdio: ['pipe', 'pipe', log],
      // In a group of its own: Ctrl-C is the siege's to hear, which ends them in order.
      detached: true,
      env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: '' },
    })
    if (log !== 'pipe') closeSync(log)
    this.pid = this.#child.pid ?? -1
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      if (this.output.length < MOST_OUTPUT) this.output += chunk.toString('latin1')
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      if (this.#errors.length < MOST_OUTPUT) this.#errors += chunk.toString('latin1')
    })
    this.#child.stdin?.on('error', () => {})
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('close', (code) => resolve(code))
    })
    // Somebody who waits for it hears of it; nobody else has to.
    this.ended.catch(() => {})
  }

  get errors(): string {
    return this.#errorsFile === undefined ? this.#errors : readFileSync(this.#errorsFile, 'latin1')
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** A signal that does not end it, or not at once. */
  tell(signal: 'SIGUSR1'): void {
    if (this.isRunning) this.#child.kill(signal)
  }

  async end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (!this.isRunning || this.pid < 0) return
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE)
    await this.ended.catch(() => {})
    clearTimeout(timer)
  }
}

/** Waits until a condition holds; rejects with what was waited for where it does not in time. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { within, what, every = 50 }: { readonly within: number; readonly what: string; readonly every?: number },
): Promise<NonNullable<T>> {
  const deadline = performance.now() + within
  for (;;) {
    const value = await condition()
    if (value) return value as NonNullable<T>
    if (performance.now() > deadline) throw new Error(`${what} did not come true within ${within} ms`)
    await pause(every)
  }
}
