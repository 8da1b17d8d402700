import { type ChildProcess, fork } from 'node:child_process'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Address } from '../../registrar/net/address.ts'
import type { Milliseconds } from '../../registrar/net/time.ts'
import type { FromSensor, SensorSettings, SourceKnowledge, ToSensor } from './messages.ts'

const FIRST_RESTART: Milliseconds = 250
const LAST_RESTART: Milliseconds = 10_000
const ANSWER_TIMEOUT: Milliseconds = 2_000
/** A sensor that lived so long was well: the next restart is quick again. */
const LIVED_WELL: Milliseconds = 30_000

export interface SensorProcessOptions {
  readonly settings: () => SensorSettings
  readonly onMessage: (message: Exclude<FromSensor, { type: 'explained' }>) => void
  readonly onState: (state: 'starting' | 'running' | 'failed', detail: string) => void
}

/**
 * The sensor as the daemon sees it: a process of its own, so that a flood that takes all its time stalls nothing
 * else. It is started again when it dies, with a back-off; while it is away nothing new is decided.
 */
export class SensorProcess {
  readonly #options: SensorProcessOptions
  #child: ChildProcess | undefined
  #stopping = false
  #restartDelay = FIRST_RESTART
  #restartTimer: NodeJS.Timeout | undefined
  #nextQuestion = 1
  readonly #questions = new Map<number, (knowledge: SourceKnowledge | null) => void>()

  constructor(options: SensorProcessOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopping = false
    this.#options.onState('starting', 'the sensor is starting')
    const startedAt = Date.now()
    const script = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url))
    const child = fork(script, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], execArgv: [] })
    this.#child = child
    child.on('message', (message: FromSensor) => {
      if (child !== this.#child) return
      if (message.type === 'explained') {
        this.#questions.get(message.id)?.(message.knowledge)
        this.#questions.delete(message.id)
      } else {
        this.#options.onMessage(message)
      }
    })
    child.on('error', (error) =>
      this.#options.onState('failed', `the sensor cannot be started: ${error.message}`),
    )
    child.on('exit', (code, signal) => {
      if (child !== this.#child) return
      this.#child = undefined
      this.#answerNobody()
      if (this.#stopping) return
      if (Date.now() - startedAt > LIVED_WELL) this.#restartDelay = FIRST_RESTART
      const how = signal ? `signal ${signal}` : `exit code ${code}`
      this.#options.onState(
        'failed',
        `the sensor ended (${how}); it starts again in ${this.#restartDelay} ms`,
      )
      this.#restartTimer = setTimeout(() => this.start(), this.#restartDelay)
      this.#restartDelay = Math.min(this.#restartDelay * 2, LAST_RESTART)
    })
    this.#tell({ type: 'start', settings: this.#options.settings() })
  }

  /** What the sensor knows of a source; null where it knows nothing or does not answer. */
  explain(address: Address): Promise<SourceKnowledge | null> {
    if (!this.#child) return Promise.resolve(null)
    const id = this.#nextQuestion++
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#questions.delete(id)
        resolve(null)
      }, ANSWER_TIMEOUT)
      this.#questions.set(id, (knowledge) => {
        clearTimeout(timer)
        resolve(knowledge)
      })
      this.#tell({ type: 'explain', id, address })
    })
  }

  pardon(address: Address): void {
    this.#tell({ type: 'pardon', address })
  }

  /** Ends the present sensor and starts one with the settings of now. */
  async restart(): Promise<void> {
    await this.stop()
    this.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restartTimer)
    const child = this.#child
    if (!child || child.exitCode !== null) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
      child.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      child.kill('SIGTERM')
    })
  }

  #tell(message: ToSensor): void {
    if (this.#child?.connected) this.#child.send(message, () => {})
  }

  #answerNobody(): void {
    for (const answer of this.#questions.values()) answer(null)
    this.#questions.clear()
  }
}
