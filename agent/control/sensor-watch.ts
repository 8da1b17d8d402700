import type { Logger } from 'pino'
import type { StatusSnapshot } from '../../dashboard/api/status.ts'
import type { CaptureSummary, SensorSummary } from '../sensor/messages.ts'

const NEVER_INTERRUPTED = { count: 0, detail: '' }
/** A capture that has not begun after so many seconds is not just starting. */
const SUMMARIES_TO_START = 4
/**
 * So many summaries in a row without a frame, while the rules counted packets so often: the captures show nothing. What is
 * counted once or twice may be what was seen just before.
 */
const SUMMARIES_DEAF = 8
const COUNTED_UNSEEN = 3

/** What the control plane knows of the sensor process. */
export interface SensorView {
  logs: StatusSnapshot['logs']
  state: StatusSnapshot['sensor']['state']
  engine: string
  framesSeen: number
  framesLost: number
  sampling?: NonNullable<StatusSnapshot['sensor']['sampling']>
  lowerBounds?: boolean
  malformed: number
  notRead?: NonNullable<StatusSnapshot['sensor']['notRead']>
  sourcesTracked: number
  learntBindings: number
  onlineCheck?: NonNullable<StatusSnapshot['sensor']['onlineCheck']>
  detail: string
}

/** What the sensor tells of these goes into its view. */
type WatchedSummary = Pick<
  SensorSummary,
  | 'frames'
  | 'framesLost'
  | 'malformed'
  | 'notRead'
  | 'sourcesTracked'
  | 'bindings'
  | 'onlineCheck'
  | 'logs'
  | 'captures'
  | 'sampling'
  | 'lowerBounds'
>

/** How the sensor itself does: whether it sees everything, and by what means. Says it in the log when that changes. */
export class SensorWatch {
  /** As it stands now; the same object for as long as the daemon runs. */
  readonly view: SensorView = {
    state: 'starting',
    engine: '',
    framesSeen: 0,
    framesLost: 0,
    malformed: 0,
    sourcesTracked: 0,
    learntBindings: 0,
    logs: [],
    detail: 'the sensor is starting',
  }
  readonly #log: Pick<Logger, 'info' | 'warn' | 'error'>
  /** By interface: how often its capture broke off, and whether it has not come back since. */
  readonly #interruptions = new Map<string, { readonly count: number; readonly isAway: boolean }>()
  /** Summaries in a row in which some interface was not captured on. */
  #blindFor = 0
  readonly #onDeaf: () => void
  /** Summaries in a row without a frame, and how often the rules had counted packets meanwhile. */
  #framelessFor = 0
  #unseen = 0
  /** This very sensor has shown frames. */
  #hasSeen = false

  /** `onDeaf`: a sensor that showed frames before shows none any more, while packets come; told once of each. */
  constructor(options: {
    readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
    readonly onDeaf?: () => void
  }) {
    this.#log = options.log
    this.#onDeaf = options.onDeaf ?? (() => {})
  }

  /** Packets a second that the rules counted at SIP ports since this was told last: a second or some. */
  arrived(perSecond: number): void {
    if (perSecond > 0) this.#unseen++
  }

  /** The process is starting, or ended. */
  changed(state: SensorView['state'], detail: string): void {
    this.view.state = state
    this.view.detail = detail
    if (state === 'starting') {
      this.#hasSeen = false
      this.#heardFrames()
    }
    if (state === 'failed') this.#log.error(detail)
  }

  summarised(summary: WatchedSummary): void {
    const view = this.view
    view.framesSeen += summary.frames
    if (summary.frames === 0) this.#framelessFor++
    else {
      this.#hasSeen = true
      this.#heardFrames()
    }
    view.framesLost = summary.framesLost
    this.#readAs(summary)
    view.malformed += summary.malformed
    view.notRead = summary.notRead
    view.sourcesTracked = summary.sourcesTracked
    view.learntBindings = summary.bindings
    view.onlineCheck = summary.onlineCheck
    this.#follows(summary.logs)
    this.#capturesWith(summary.captures)
  }

  /** How requests are read. */
  #readAs({ sampling, lowerBounds }: WatchedSummary): void {
    const view = this.view
    const before = view.sampling
    view.sampling = sampling
    view.lowerBounds = lowerBounds
    if (before && before.state !== sampling.state && sampling.state !== 'off') {
      const how =
        sampling.state === 'loud'
          ? `so much arrives that requests are read from the kernel's log (NFLOG group ${sampling.group})`
          : 'every request is captured again'
      this.#log.info(how)
    }
    if (sampling.detail !== '' && sampling.detail !== before?.detail && sampling.state !== 'off')
      this.#log.warn(`the kernel's log of requests cannot be read: ${sampling.detail}`)
  }

  /** Which of the softswitch's own logs are read. */
  #follows(logs: SensorSummary['logs']): void {
    for (const { log, path, state, reason } of logs) {
      const before = this.view.logs.find((known) => known.log === log)
      if (before?.state === state && before.reason === reason) continue
      const said = `the log of ${log} (${path}) is ${state === 'following' ? 'followed' : `not followed: ${reason}`}`
      if (state === 'following') this.#log.info(said)
      else this.#log.warn(said)
    }
    this.view.logs = logs
  }

  /** An interface that went down is said, and that it came back, however short that was. */
  #interrupted(captures: readonly CaptureSummary[]): void {
    for (const { name, state, interruptions = NEVER_INTERRUPTED } of captures) {
      const before = this.#interruptions.get(name) ?? { count: 0, isAway: false }
      const broke = interruptions.count > before.count
      if (broke && !before.isAway)
        this.#log.warn(`nothing is captured on ${name} for the moment: ${interruptions.detail}`)
      const isAway = (broke || before.isAway) && state !== 'running'
      if (!isAway && (broke || before.isAway)) this.#log.info(`${name} is captured on again`)
      // A sensor that was started again counts anew.
      this.#interruptions.set(name, { count: interruptions.count, isAway })
    }
  }

  /** Whether every interface is captured on. */
  #capturesWith(captures: readonly CaptureSummary[]): void {
    const view = this.view
    this.#interrupted(captures)
    const broken = captures.filter(({ state }) => state !== 'running')
    view.engine = [...new Set(captures.map(({ engine }) => engine))].join(', ')
    this.#blindFor = broken.length === 0 ? 0 : this.#blindFor + 1
    const deaf = this.#framelessFor >= SUMMARIES_DEAF && this.#unseen >= COUNTED_UNSEEN
    const blind =
      deaf || this.#blindFor >= SUMMARIES_TO_START || broken.some(({ state }) => state === 'failed')
    view.detail = broken.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
    if (deaf && broken.length === 0)
      view.detail = `the rules count packets to SIP ports, and the captures have shown none of them for ${this.#framelessFor} s`
    if (blind && view.state !== 'failed')
      this.#log.error(`the sensor does not see everything: ${view.detail}`)
    if (!blind && view.state === 'failed') this.#log.info('the sensor sees everything again')
    view.state = blind ? 'failed' : broken.length > 0 ? 'starting' : 'running'
    if (deaf && this.#hasSeen) {
      this.#hasSeen = false
      this.#onDeaf()
    }
  }

  #heardFrames(): void {
    this.#framelessFor = 0
    this.#unseen = 0
  }
}
