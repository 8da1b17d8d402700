import { extname } from 'node:path'
import type { Address } from '../../registrar/net/address.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import { KeptChild } from '../kept-child.ts'
import { Questions } from '../questions.ts'
import type {
  FromSensor,
  LaneSettings,
  SensorSettings,
  SourceKnowledge,
  ToldBinding,
  ToSensor,
} from './messages.ts'

export interface SensorProcessOptions {
  /** Read anew at every start. */
  readonly settings: () => SensorSettings
  readonly onMessage: (message: Exclude<FromSensor, { type: 'explained' | 'bindings' }>) => void
  readonly onState: (state: 'starting' | 'failed', detail: string) => void
}

/** Megabytes for what is new, three times; of Node's 16 a flood fills all, and half of it is no slower. */
const NEW_OBJECTS = '--max-semi-space-size=8'

/**
 * The sensor as the daemon sees it: a process of its own, so that a flood that takes all its time stalls nothing
 * else. While it is away nothing new is decided, and what was decided stands.
 */
export class SensorProcess {
  readonly #child: KeptChild<ToSensor, FromSensor>
  readonly #questions = new Questions<SourceKnowledge | null>()
  readonly #bindings = new Questions<readonly ToldBinding[]>()

  constructor({ settings, onMessage, onState }: SensorProcessOptions) {
    this.#child = new KeptChild({
      what: 'the sensor',
      script: new URL(`./main${extname(import.meta.url)}`, import.meta.url),
      nodeOptions: [NEW_OBJECTS],
      greeting: () => ({ type: 'start', settings: settings() }),
      onMessage: (message) => {
        if (message.type === 'explained') this.#questions.answer(message.id, message.knowledge)
        else if (message.type === 'bindings') this.#bindings.answer(message.id, message.bindings)
        else onMessage(message)
      },
      onStarting: () => onState('starting', 'the sensor is starting'),
      // Its summaries come every second.
      onSilent: (detail) => onState('failed', detail),
      onEnded: (detail) => {
        this.#questions.giveUp()
        this.#bindings.giveUp()
        onState('failed', detail)
      },
    })
  }

  start(): void {
    this.#child.start()
  }

  /** What the sensor knows of a source; null where it knows nothing, undefined where it does not answer. */
  async explain(address: Address): Promise<SourceKnowledge | null | undefined> {
    if (!this.#isThere) return undefined
    return this.#questions.ask((id) => this.#child.tell({ type: 'explain', id, address }))
  }

  /** Who is registered with the softswitch, as its answers told; undefined where the sensor does not answer. */
  async bindings(): Promise<readonly ToldBinding[] | undefined> {
    if (!this.#isThere) return undefined
    return this.#bindings.ask((id) => this.#child.tell({ type: 'bindings', id }))
  }

  /** Whether it is worth asking. */
  get #isThere(): boolean {
    return this.#child.running && !this.#child.silent
  }

  pardon(address: Address): void {
    this.#child.tell({ type: 'pardon', address })
  }

  /** What the kernel's limits say about sources has changed. */
  configureLanes(lanes: LaneSettings): void {
    this.#child.tell({ type: 'lanes', lanes })
  }

  /** Other thresholds, while it runs. */
  configurePolicy(policy: DetectionPolicy): void {
    this.#child.tell({ type: 'policy', policy })
  }

  /** Packets over UDP to protected ports, a second, as the rules counted them. */
  arrivals(perSecond: number): void {
    this.#child.tell({ type: 'arrivals', perSecond })
  }

  /** Ends the present sensor and starts one with the settings of now. */
  restart(): Promise<void> {
    return this.#child.restart()
  }

  stop(): Promise<void> {
    return this.#child.stop()
  }
}
