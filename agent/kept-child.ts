import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Milliseconds } from '../registrar/net/time.ts'
import { ChildPulse, readVitals } from './child-pulse.ts'

/** One that was well is missed at once; one that ends again and again is not. */
const FIRST_RESTART: Milliseconds = 10
const SECOND_RESTART: Milliseconds = 250
const LAST_RESTART: Milliseconds = 10_000
/** A child that lived so long was well: the next restart is quick again. */
const LIVED_WELL: Milliseconds = 30_000
const END_WITHIN: Milliseconds = 3_000
/** Of a child that has ended, what it said last is waited for so long. */
const LAST_WORDS: Milliseconds = 500
/** How often a child that speaks every second says something. */
const PULSE_EVERY: Milliseconds = 1_000

export interface KeptChildOptions<To, From> {
  /** What it is, for messages: `the sensor`. */
  readonly what: string
  /** The compiled script. */
  readonly script: URL
  /** Options of Node for it. */
  readonly nodeOptions?: readonly string[]
  /** The first message, made anew at every start. */
  readonly greeting: () => To
  readonly onMessage: (message: From) => void
  /** It started, or ended by itself; then it is started again after a moment. */
  readonly onStarting: () => void
  readonly onEnded: (detail: string) => void
  /**
   * Given for a child that says something every second: called when it was not heard for some seconds. One that is
   * stopped or hangs is then ended and started again.
   */
  readonly onSilent?: (detail: string) => void
  /** What a second is for that; a test has none to wait for. */
  readonly pulseEvery?: Milliseconds
}

/** A process of our own that is started again when it dies, with a back-off, and ends when we do. */
export class KeptChild<To extends object, From extends object> {
  readonly #options: KeptChildOptions<To, From>
  #child: ChildProcess | undefined
  #stopping = false
  #restartDelay = FIRST_RESTART
  #restartTimer: NodeJS.Timeout | undefined
  #pulse: ChildPulse | undefined
  #pulseTimer: NodeJS.Timeout | undefined
  /** Why it was ended by us, while it ends. */
  #endedFor: string | undefined

  constructor(options: KeptChildOptions<To, From>) {
    this.#options = options
  }

  get running(): boolean {
    return this.#child?.connected === true
  }

  /** It runs, but was not heard for some seconds. */
  get silent(): boolean {
    return this.#pulse?.isMissed === true
  }

  start(): void {
    if (this.#child) return
    this.#stopping = false
    const { what, script, nodeOptions = [], greeting, onMessage, onStarting, onEnded } = this.#options
    onStarting()
    const startedAt = performance.now()
    const child = fork(fileURLToPath(script), [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: [...nodeOptions],
    })
    this.#child = child
    this.#watch(child)
    child.on('message', (message) => {
      if (child !== this.#child) return
      this.#pulse?.heard()
      onMessage(message as From)
    })
    const ended = (signalled: string) => {
      if (child !== this.#child) return
      const how = this.#endedFor ?? signalled
      this.#unwatch()
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
    this.#unwatch()
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
  #watch(child: ChildProcess): void {
    const { what, onSilent, pulseEvery = PULSE_EVERY } = this.#options
    const { pid } = child
    if (!onSilent || pid === undefined) return
    const pulse = new ChildPulse(() => readVitals(pid))
    this.#pulse = pulse
    this.#pulseTimer = setInterval(() => {
      const judged = pulse.tick()
      if (judged.kind === 'missed') onSilent(`${what} has said nothing for ${judged.silent} s: ${judged.why}`)
      if (judged.kind !== 'stuck') return
      this.#endedFor = `killed, since it said nothing for ${judged.silent} s: ${judged.why}`
      child.kill('SIGKILL')
    }, pulseEvery)
    this.#pulseTimer.unref()
  }

  #unwatch(): void {
    clearInterval(this.#pulseTimer)
    this.#pulse = undefined
    this.#endedFor = undefined
  }
}
