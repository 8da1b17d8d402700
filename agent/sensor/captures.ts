import type { Milliseconds } from '../../registrar/net/time.ts'
import type { Frame } from '../capture/frame.ts'
import { FrameMerge } from '../capture/merge-frames.ts'
import type { WatchedDevice } from '../discover/devices-to-watch.ts'
import { DeviceCaptures } from './device-captures.ts'
import { LogCapture } from './log-capture.ts'
import { Loudness, type LoudSecond } from './loudness.ts'
import type { CaptureSummary, SamplingSummary, SensorSettings } from './messages.ts'

/** While the log cannot be listened to, it is not tried again and again. */
const TRY_LOG_FOR: Milliseconds = 10_000
const LOG_PAUSE: Milliseconds = 60_000
const MOST_SILENT_SECONDS = 2

export interface CapturesOptions {
  readonly settings: Pick<SensorSettings, 'engine' | 'udpPorts' | 'tcpPorts' | 'sampling'>
  readonly devices: readonly WatchedDevice[]
  /** In the order in which they passed where several captures show them, but for those of the sample. */
  readonly onFrame: (frame: Frame) => void
  /** Frames may have passed unseen just now. */
  readonly onGap: () => void
}

/**
 * The captures of all devices. Quiet: everything is captured on each. Loud: the kernel's log holds the requests over UDP
 * that the rules let through, and a bounded sample of all that arrive; the devices are captured on for the answers
 * alone. What is new begins before what was ends, so that nothing is missed between them.
 */
export class Captures {
  readonly #devices: readonly DeviceCaptures[]
  readonly #log: LogCapture | undefined
  readonly #merge: FrameMerge
  readonly #loudness = new Loudness()
  readonly #options: CapturesOptions
  /** A request and its answer are captured on two devices. */
  readonly #isApart: boolean
  readonly #whyNot: string
  #mode: 'quiet' | 'becoming-loud' | 'loud' | 'becoming-quiet' = 'quiet'
  #since = Date.now()
  #trouble = ''
  #giveUp: NodeJS.Timeout | undefined
  #notBefore: Milliseconds = Number.NEGATIVE_INFINITY
  #samples = 0
  #logFrames = 0
  #silentSeconds = 0
  #answers = 0

  constructor(options: CapturesOptions) {
    const { settings, devices } = options
    this.#options = options
    this.#isApart = devices.some(({ frames }) => frames !== 'all')
    this.#merge = new FrameMerge({ onFrame: options.onFrame })
    this.#devices = devices.map((device, place) => this.#watch(device, place))
    const { sampling } = settings
    const blind = this.#devices.find(({ canNarrow }) => !canNarrow)
    this.#whyNot =
      sampling.group === null
        ? sampling.whyNot
        : blind
          ? `on ${blind.name} nobody can tell which way a packet goes`
          : ''
    if (sampling.group !== null && !blind) this.#log = this.#listen(sampling.group, devices.length)
  }

  start(): void {
    for (const device of this.#devices) device.start({ withAnswers: this.#log !== undefined })
  }

  /** Ends when what was captured until now has been handed on. */
  async finish(): Promise<void> {
    clearTimeout(this.#giveUp)
    await Promise.all([...this.#devices.map((device) => device.finish()), this.#log?.finish()])
    this.#merge.flush()
  }

  get summaries(): readonly CaptureSummary[] {
    const content = this.#mode === 'loud' || this.#mode === 'becoming-quiet' ? 'answers' : 'all'
    return this.#devices.map((device) => device.summary(content))
  }

  /** Frames since the start that nobody saw. */
  get lost(): number {
    return this.#devices.reduce((sum, { lost }) => sum + lost, this.#log?.lost ?? 0)
  }

  get sampling(): SamplingSummary {
    const since = this.#since
    const { group } = this.#options.settings.sampling
    if (!this.#log) return { state: 'off', group: null, since, detail: this.#whyNot }
    // Not before everything is captured again.
    const isLoud = this.#mode === 'loud' || this.#mode === 'becoming-quiet'
    return { state: isLoud ? 'loud' : 'quiet', group, since, detail: this.#trouble }
  }

  /** Whether answers to the softswitch's own requests, which come in, are seen on every device. */
  get seesIncomingAnswers(): boolean {
    return this.#devices.every(({ seesIncomingAnswers }) => seesIncomingAnswers)
  }

  /** So many of the sample's packets came since this was asked last. */
  takeSamples(): number {
    const samples = this.#samples
    this.#samples = 0
    return samples
  }

  /** Asked about once a second with what came. */
  second(seen: Pick<LoudSecond, 'seconds' | 'samples' | 'arrivals'>): void {
    const answers = this.#answers
    this.#answers = 0
    const { sampling } = this.#options.settings
    if (this.#mode !== 'loud' || sampling.group === null) return
    // It was told in the summary of this second, and it is over.
    this.#trouble = ''
    const mostSamples = sampling.samplesPerSecond
    // Answers to what nobody logged: somebody took the rules away.
    this.#silentSeconds = this.#logFrames === 0 && answers > 0 ? this.#silentSeconds + 1 : 0
    this.#logFrames = 0
    if (this.#silentSeconds >= MOST_SILENT_SECONDS) this.#becomeQuiet()
    else if (this.#loudness.second({ ...seen, answers, mostSamples })) this.#becomeQuiet()
  }

  #watch({ name, frames }: WatchedDevice, place: number): DeviceCaptures {
    const { settings, devices } = this.#options
    const { engine, udpPorts, tcpPorts } = settings
    const mark = (take: (frame: Frame) => void) =>
      devices.length > 1 ? (frame: Frame) => take({ ...frame, capture: place }) : take
    return new DeviceCaptures({
      name,
      capture: {
        engine,
        // Who the softswitch answers is believed of frames that leave: from outside anybody can forge its address.
        frames: frames === 'all' ? 'outside-in' : frames,
        ports: { udpPorts, tcpPorts },
      },
      onFrame: mark((frame) => this.#take(frame)),
      onAnswer: mark((frame) => this.#takeAnswer(frame)),
      onGap: this.#options.onGap,
      onLost: (amount, seconds) => {
        this.#options.onGap()
        if (this.#mode === 'quiet' && this.#loudness.lost(amount, seconds)) this.#becomeLoud()
      },
    })
  }

  #listen(group: number, place: number): LogCapture {
    const { engine } = this.#options.settings
    return new LogCapture({
      group,
      // `cap` knows no such device.
      engine: engine === 'cap' ? 'auto' : engine,
      onFrame: (frame) => this.#logged({ ...frame, capture: place }),
      onLost: this.#options.onGap,
      onTrouble: (detail) => {
        this.#trouble = detail
        // Requests would be missing until it runs again.
        if (this.#mode === 'loud') this.#becomeQuiet()
      },
    })
  }

  #take(frame: Frame): void {
    if (this.#mode !== 'quiet') {
      this.#merge.take(frame)
      return
    }
    if (this.#loudness.frame(frame.time)) this.#becomeLoud()
    if (this.#isApart) this.#merge.take(frame)
    else this.#options.onFrame(frame)
  }

  #takeAnswer(frame: Frame): void {
    // Else it comes with everything; while that changes, better twice than not at all.
    if (this.#mode === 'quiet') return
    this.#answers++
    this.#merge.take(frame)
  }

  #logged(frame: Frame): void {
    // A rule of somebody else's.
    if (frame.logged === undefined) return
    this.#logFrames++
    this.#leaveRequests()
    if (frame.logged === 'sample') this.#samples++
    if (frame.logged === 'sample') {
      // What is captured whole counts itself.
      if (this.#mode === 'loud') this.#options.onFrame(frame)
    } else if (this.#mode === 'loud') this.#merge.take(frame)
    else this.#merge.take({ ...frame, logged: 'passed' })
  }

  #becomeLoud(): void {
    if (!this.#log || performance.now() < this.#notBefore) return
    this.#mode = 'becoming-loud'
    this.#log.start()
    this.#giveUp = setTimeout(() => this.#stayQuiet(), TRY_LOG_FOR)
  }

  /** The log can be read, and the rules write it. */
  #leaveRequests(): void {
    if (this.#mode !== 'becoming-loud' || !this.#devices.every(({ seesAnswers }) => seesAnswers)) return
    clearTimeout(this.#giveUp)
    this.#mode = 'loud'
    this.#since = Date.now()
    this.#answers = 0
    this.#silentSeconds = 0
    this.#loudness.restart()
    for (const device of this.#devices) void device.leaveRequests()
  }

  #stayQuiet(): void {
    this.#notBefore = performance.now() + LOG_PAUSE
    if (this.#trouble === '') this.#trouble = 'no rule wrote anything into it'
    this.#mode = 'quiet'
    this.#loudness.restart()
    void this.#log?.stop()
  }

  #becomeQuiet(): void {
    if (this.#mode !== 'loud') return
    this.#mode = 'becoming-quiet'
    void Promise.all(this.#devices.map((device) => device.captureAll())).then(async () => {
      await this.#log?.stop()
      this.#merge.flush()
      this.#mode = 'quiet'
      this.#since = Date.now()
      this.#loudness.restart()
    })
  }
}
