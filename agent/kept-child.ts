import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Milliseconds } from '../registrar/net/time.ts'

/** One that was well is missed at once; one that ends again and again is not. */
const FIRST_RESTART: Milliseconds = 10
const SECOND_RESTART: Milliseconds = 250
const LAST_RESTART: Milliseconds = 10_000
/** A child that lived so long was well: the next restart is quick again. */
const LIVED_WELL: Milliseconds = 30_000
const END_WITHIN: Milliseconds = 3_000
/** Of a child that has ended, what it said last is waited for so long. */
const LAST_WORDS: Milliseconds = 500

export interface KeptChildOptions<To, From> {
  /** What it is, for messages: `the sensor`. */
  readonly what: string
  /** The compiled script. */
  readonly script: URL
  /** The first message, made anew at every start. */
  readonly greeting: () => To
  readonly onMessage: (message: From) => void
  /** It started, or ended by itself; then it is started again after a moment. */
  readonly onStarting: () => void
  readonly onEnded: (detail: string) => void
}

/** A process of our own that is started again when it dies, with a back-off, and ends when we do. */
export class KeptChild<To extends object, From extends object> {
  readonly #options: KeptChildOptions<To, From>
  #child: ChildProcess | undefined
  #stopping = false
  #restartDelay = FIRST_RESTART
  #restartTimer: NodeJS.Timeout | undefined

  constructor(options: KeptChildOptions<To, From>) {
    this.#options = options
  }

  get running(): boolean {
    return this.#child?.connected === true
  }

  start(): void {
    if (this.#child) return
    this.#stopping = false
    const { what, script, greeting, onMessage, onStarting, onEnded } = this.#options
    onStarting()
    const startedAt = performance.now()
    const child = fork(fileURLToPath(script), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [],
    })
    this.#child = child
    child.on('message', (message) => {
      if (child === this.#child) onMessage(message as From)
    })
    const ended = (how: string) => {
      if (child !== this.#child) return
      this.#child = undefined
      if (this.#stopping) return
      if (performance.now() - startedAt > LIVED_WELL) this.#restartDelay = FIRST_RESTART
      onEnded(`${what} ended (${how}); it starts again in ${this.#restartDelay} ms`)
      this.#restartTimer = setTimeout(() => this.start(), this.#restartDelay)
      this.#restartDelay = Math.min(Math.max(this.#restartDelay * 2, SECOND_RESTART), LAST_RESTART)
    }
    child.on('error', (error) => ended(error.message))
    child.on('exit', (code, signal) => ended(signal ? `signal ${signal}` : `exit code ${code}`))
    this.tell(greeting())
  }

  /** Says something to the child; nobody hears it while there is none. */
  tell(message: To): void {
    if (this.#child?.connected) this.#child.send(message, () => {})
  }

  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restartTimer)
    const child = this.#child
    if (!child) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), END_WITHIN)
      child.once('exit', () => {
        clearTimeout(timer)
        // What it said last may still be on its way.
        if (!child.connected) resolve()
        else setTimeout(resolve, LAST_WORDS)
      })
      child.once('disconnect', () => {
        if (child.exitCode !== null || child.signalCode !== null) resolve()
      })
      child.kill('SIGTERM')
    })
    this.#child = undefined
  }
}
