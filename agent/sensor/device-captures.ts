import type { Frame } from '../capture/frame.ts'
import { type CaptureState, canLeaveRequests, LiveCapture } from '../capture/live.ts'
import { Losses } from './losses.ts'
import type { CaptureSummary } from './messages.ts'

export interface DeviceCapturesOptions {
  readonly name: string
  readonly capture: Pick<ConstructorParameters<typeof LiveCapture>[0], 'engine' | 'frames' | 'ports'>
  /** Of everything, and of answers alone; a frame may come as both. */
  readonly onFrame: (frame: Frame) => void
  readonly onAnswer: (frame: Frame) => void
  readonly onLost: (frames: number, seconds: number) => void
  readonly onGap: () => void
}

/**
 * The captures of one device: of everything while it is quiet, and of answers alone. The first frames of a capture that
 * knows directions are lost in libpcap (see `LiveCaptureOptions`), so that of answers runs all the time, ready for the
 * moment when it is the only one; and that of everything is not taken for one before it has shown a frame.
 */
export class DeviceCaptures {
  readonly name: string
  readonly canNarrow: boolean
  readonly #options: DeviceCapturesOptions
  readonly #losses: Losses
  #all: LiveCapture | undefined
  #answers: LiveCapture | undefined
  #hasShown = promised()
  #interruptions = { count: 0, detail: '' }
  /** Of captures that have ended. */
  #lostBefore = 0

  constructor(options: DeviceCapturesOptions) {
    this.name = options.name
    this.#options = options
    this.canNarrow = canLeaveRequests({ interface: options.name, ...options.capture })
    this.#losses = new Losses(options.onLost)
  }

  start({ withAnswers }: { readonly withAnswers: boolean }): void {
    this.#captureAll()
    if (!withAnswers) return
    this.#answers = this.#open('answers', this.#options.onAnswer)
    this.#answers.start()
  }

  /** Ends when what was captured until now has been handed on. */
  async finish(): Promise<void> {
    await Promise.all([this.#all?.finish(), this.#answers?.finish()])
  }

  get lost(): number {
    return this.#lostBefore + this.#losses.total
  }

  /** Whether answers to the softswitch's own requests are seen, which come in. */
  get seesIncomingAnswers(): boolean {
    return this.#all?.showsIncomingAnswers === true
  }

  get seesAnswers(): boolean {
    return this.#answers?.state.state === 'running'
  }

  /** How that one of its captures is that counts now. */
  summary(content: 'all' | 'answers'): CaptureSummary {
    const state: CaptureState = (content === 'all' ? this.#all : this.#answers)?.state ?? NOT_STARTED
    return {
      name: this.name,
      state: state.state,
      engine: state.state === 'running' ? state.engine : '',
      detail: state.state === 'running' ? '' : state.detail,
      interruptions: this.#interruptions,
    }
  }

  /** Begins to capture everything; resolves when it shows a frame. */
  async captureAll(): Promise<void> {
    this.#captureAll()
    await this.#hasShown.promise
  }

  /** Ends the capture of everything. What it had captured and nobody read is counted as lost. */
  async leaveRequests(): Promise<void> {
    const all = this.#all
    this.#all = undefined
    await all?.stop()
    if (!all || all.abandoned === 0) return
    this.#lostBefore += all.abandoned
    this.#options.onGap()
  }

  #captureAll(): void {
    if (this.#all) return
    const shown = promised()
    this.#hasShown = shown
    let isFirst = true
    this.#all = this.#open('all', (frame) => {
      if (isFirst) shown.resolve()
      isFirst = false
      this.#options.onFrame(frame)
    })
    this.#all.start()
  }

  #open(content: 'all' | 'answers', onFrame: (frame: Frame) => void): LiveCapture {
    let wasRunning = false
    return new LiveCapture({
      ...this.#options.capture,
      interface: this.name,
      content,
      onFrame,
      bufferBytes: content === 'answers' ? ANSWERS_BUFFER : BUFFER,
      onStatistics: this.#losses.of(),
      onState: (state) => {
        if (state.state === 'running') wasRunning = true
        else if (wasRunning) {
          wasRunning = false
          // Both captures of a device break off together, and one of them tells it.
          if (content === 'all' || !this.#all)
            this.#interruptions = { count: this.#interruptions.count + 1, detail: state.detail }
        }
        this.#options.onGap()
      },
    })
  }
}

const NOT_STARTED: CaptureState = { state: 'waiting', detail: 'not started' }

/**
 * libpcap cuts it into blocks of 256 KB, and while there is traffic the kernel closes one every 10 ms however little is in
 * it: these 160 bridge 1.6 s in which nobody reads. With 16 MB frames were lost in peace on a busy machine.
 */
const BUFFER = 40 * 1024 * 1024
/** Answers come as fast as the softswitch can give them. */
const ANSWERS_BUFFER = 8 * 1024 * 1024

function promised(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
