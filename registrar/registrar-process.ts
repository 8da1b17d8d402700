import { AccountFileError } from './account-file.ts'
import { answerQuestion, bindingEntry } from './answer-question.ts'
import type { BindingChange } from './binding.ts'
import { newCounters, type RegistrarCounts } from './counters.ts'
import { ListenError } from './listen.ts'
import type { BindingNote, FromRegistrar, ToRegistrar } from './messages.ts'
import type { Milliseconds } from './net/time.ts'
import { type OpenRegistrar, openRegistrar, type RegistrarSettings } from './open-registrar.ts'
import { RegistrarServer } from './server.ts'

const COUNTS_EVERY: Milliseconds = 1_000
const BINDINGS_EVERY: Milliseconds = 250
const MOST_EVENTS = 1_000
const MOST_CHANGES = 1_000
/** How long after its last chance to refresh a phone's connection is kept. */
const SILENCE: Milliseconds = 60_000

/**
 * The registrar as a process of its own sees it: settings come in, summaries go out. A packet never becomes a
 * message; suspensions and lockouts do, at once, so that the kernel can take over.
 */
export class RegistrarProcess {
  readonly #send: (message: FromRegistrar) => void
  #running: { readonly registrar: OpenRegistrar; readonly server: RegistrarServer } | undefined
  #starting = false
  #timers: NodeJS.Timeout[] = []
  #reported: RegistrarCounts = newCounters()
  #notes: BindingNote[] = []
  #refreshed = 0
  #notesOmitted = 0
  #events = 0
  #faults = 0

  constructor({ send }: { send: (message: FromRegistrar) => void }) {
    this.#send = send
  }

  /** Takes a message of the parent. Resolves to false when there is no use in going on. */
  async take(message: ToRegistrar): Promise<boolean> {
    switch (message.type) {
      case 'start':
        return this.#start(message.settings)
      case 'ask':
        this.#answer(message)
        return true
      case 'stop':
        await this.stop()
        return false
    }
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    this.#timers = []
    const running = this.#running
    this.#running = undefined
    await running?.server.stop()
    running?.registrar.flush(Date.now())
  }

  async #start(settings: RegistrarSettings): Promise<boolean> {
    if (this.#running || this.#starting) return true
    this.#starting = true
    try {
      const registrar = openRegistrar(settings, Date.now())
      const { state } = registrar
      const server = new RegistrarServer({
        listen: settings.listen,
        state,
        tcp: { idle: settings.maxExpires * 1000 + SILENCE },
        onSuspend: (suspension, { at, userAgent }) =>
          this.#event({ type: 'suspended', at, suspension, userAgent }),
        onLockout: (lockout, { at, userAgent }) =>
          this.#event({ type: 'locked-out', at, lockout, userAgent }),
        onBindings: (changes) => this.#note(changes, settings.realm),
        onFault: (error) => this.#fault(error),
      })
      const listening = await server.start()
      this.#running = { registrar, server }
      this.#timers = [
        setInterval(() => this.#reportCounts(), COUNTS_EVERY),
        setInterval(() => this.#reportBindings(), BINDINGS_EVERY),
      ]
      const { size: accounts } = state.accounts
      this.#send({ type: 'ready', listening, accounts, bindings: state.bindings.size })
      return true
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.#send({ type: 'failed', code: failureOf(error), message })
      return false
    } finally {
      this.#starting = false
    }
  }

  #answer({ id, question }: Extract<ToRegistrar, { type: 'ask' }>): void {
    const running = this.#running
    if (!running) {
      const message = 'the registrar is not running'
      this.#send({ type: 'answer', id, answer: { kind: 'refused', refusal: 'not-started', message } })
      return
    }
    try {
      const { state } = running.registrar
      const stats = () => running.server.stats()
      const { answer, changes } = answerQuestion(question, { state, stats, now: Date.now() })
      this.#note(changes, state.accounts.realm)
      this.#send({ type: 'answer', id, answer })
    } catch (error) {
      // A full disk, most likely: nothing was changed.
      const message = `the registrar could not do that: ${error instanceof Error ? error.message : String(error)}`
      this.#send({ type: 'answer', id, answer: { kind: 'refused', refusal: 'fault', message } })
    }
  }

  #note(changes: readonly BindingChange[], realm: string): void {
    for (const change of changes) {
      if (change.kind === 'refreshed') {
        this.#refreshed++
      } else if (this.#notes.length >= MOST_CHANGES) {
        this.#notesOmitted++
      } else {
        const binding = bindingEntry(change.binding, realm)
        this.#notes.push({ change: change.kind === 'removed' ? change.cause : 'added', binding })
      }
    }
  }

  #event(message: FromRegistrar): void {
    if (++this.#events <= MOST_EVENTS) this.#send(message)
  }

  #fault(error: unknown): void {
    if (this.#faults++ > 0) return
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#send({ type: 'fault', message: message.slice(0, 2_000) })
  }

  #reportCounts(): void {
    if (!this.#running) return
    const { registrar, server } = this.#running
    const { counts, bindings, accounts, connections } = server.stats()
    const omitted = Math.max(0, this.#events - MOST_EVENTS)
    const journalFaults = registrar.journalFaults()
    const since = difference(counts, this.#reported)
    this.#reported = counts
    this.#events = 0
    this.#faults = 0
    this.#send({
      type: 'counts',
      at: Date.now(),
      counts: since,
      bindings,
      accounts,
      connections,
      omitted,
      journalFaults,
    })
  }

  #reportBindings(): void {
    if (!this.#running) return
    const { registrar } = this.#running
    registrar.flush(Date.now())
    if (this.#notes.length === 0 && this.#refreshed === 0) return
    const report = { changes: this.#notes, refreshed: this.#refreshed, omitted: this.#notesOmitted }
    this.#notes = []
    this.#refreshed = 0
    this.#notesOmitted = 0
    this.#send({ type: 'bindings', ...report, total: registrar.state.bindings.size })
  }
}

function difference(now: RegistrarCounts, then: RegistrarCounts): RegistrarCounts {
  const since = newCounters()
  for (const name of Object.keys(since) as (keyof RegistrarCounts)[]) since[name] = now[name] - then[name]
  return since
}

function failureOf(error: unknown): Extract<FromRegistrar, { type: 'failed' }>['code'] {
  if (error instanceof ListenError) return error.code
  if (error instanceof AccountFileError) return 'data'
  return error instanceof TypeError ? 'bad-settings' : 'data'
}
