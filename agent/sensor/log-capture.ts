import type { Frame } from '../capture/frame.ts'
import { LiveCapture } from '../capture/live.ts'
import { nflogDevice } from '../capture/nflog-device.ts'
import { readNflog } from '../decode/nflog.ts'
import { Losses } from './losses.ts'
import type { SensorSettings } from './messages.ts'

export interface LogCaptureOptions {
  readonly group: number
  readonly engine: SensorSettings['engine']
  readonly onFrame: (frame: Frame) => void
  readonly onLost: (frames: number, seconds: number) => void
  readonly onTrouble: (detail: string) => void
}

/** The kernel's log, listened to from time to time. */
export class LogCapture {
  readonly #options: LogCaptureOptions
  readonly #losses: Losses
  #capture: LiveCapture | undefined

  constructor(options: LogCaptureOptions) {
    this.#options = options
    this.#losses = new Losses(options.onLost)
  }

  get lost(): number {
    return this.#losses.total
  }

  start(): void {
    const { group, engine, onFrame, onTrouble } = this.#options
    if (this.#capture) return
    const capture = new LiveCapture({
      interface: nflogDevice(group),
      ports: { udpPorts: [], tcpPorts: [] },
      engine,
      snapLength: LOG_SNAP_LENGTH,
      onFrame: (frame) => {
        const packet = readNflog(frame)
        if (packet) onFrame(packet)
      },
      onStatistics: this.#losses.of(),
      onState: (state) => {
        if (this.#capture === capture && state.state !== 'running') onTrouble(state.detail)
      },
    })
    this.#capture = capture
    capture.start()
  }

  async stop(): Promise<void> {
    const capture = this.#capture
    this.#capture = undefined
    await capture?.stop()
  }

  /** The same when what was logged until now has been handed on. */
  async finish(): Promise<void> {
    await this.#capture?.finish()
    await this.stop()
  }
}

/** The rules log so many bytes of a packet, and the attributes need some. */
const LOG_SNAP_LENGTH = 4_096
