import { spawn } from 'node:child_process'
import type { Milliseconds } from '../../registrar/net/time.ts'
import { CAME_IN, WENT_OUT } from './came-in.ts'
import { type CaptureReport, READ_ON } from './capture-report.ts'
import type { CaptureEngine } from './engines.ts'
import { countsDrops, ENGINES_BY_MERIT, engineCommand, ReportReader } from './engines.ts'
import type { CapturePorts, FrameDirection, TagHandling } from './filter.ts'
import { answersFilter, captureFilter, incomingAnswersFilter, outgoingPartsFilter } from './filter.ts'
import type { Frame } from './frame.ts'
import { isNflog, sayNflogTrouble } from './nflog-device.ts'
import { CaptureReader } from './read-capture.ts'

export type { CaptureEngine } from './engines.ts'

export type CaptureState =
  | { readonly state: 'running'; readonly engine: CaptureEngine }
  /** The interface is down or not there; capturing goes on when it is back. */
  | { readonly state: 'waiting'; readonly detail: string }
  /** Something else is wrong; it is tried again all the same. */
  | { readonly state: 'failed'; readonly detail: string }

/** The kernel's counters since `start`, over all restarts: frames past the filter, and frames it had no room for. */
export interface KernelStatistics {
  readonly received: number
  readonly dropped: number
}

export interface LiveCaptureOptions {
  /** A network interface, or a group of the kernel's log (see `nflogDevice`), of which everything is captured. */
  readonly interface: string
  /**
   * `inbound`: those that come in there; `outbound`: those that this host sends there; `outside-in`: what comes in to
   * the ports and goes out from them. Default: all. With a direction the first block of the kernel's buffer is lost:
   * libpcap filters that one itself, and there it knows no directions (`blocks_to_filter_in_userland`). The engine `pcap`
   * begins with a block of its own, except for `inbound`; elsewhere a frame or a few are missing at the start.
   */
  readonly frames?: FrameDirection
  readonly ports: CapturePorts
  /** `answers`: only what the kernel's log does not hold (see `answersFilter`); see `canLeaveRequests`. Default: all. */
  readonly content?: 'all' | 'answers'
  readonly engine: 'auto' | CaptureEngine
  /** Called for each frame, synchronously; the frame's bytes are not valid afterwards. */
  readonly onFrame: (frame: Frame) => void
  /** Called about once a second; with null once where the engine cannot count. */
  readonly onStatistics?: (statistics: KernelStatistics | null) => void
  readonly onState?: (state: CaptureState) => void
  readonly snapLength?: number
  /** The kernel's buffer, which bridges the moments when nobody reads. */
  readonly bufferBytes?: number
  /** Words to put before the capturing command, for example `ip netns exec blue`. */
  readonly launcher?: readonly string[]
  /** The compiled `capture-child`, where it does not lie beside this file. */
  readonly childScript?: string
}

const SNAP_LENGTH = 65_535
/** `cap` and tcpdump use a slot of the snap length for each packet: this holds a thousand. */
const BUFFER_BYTES = 64 * 1024 * 1024
const FIRST_RESTART: Milliseconds = 100
const LAST_RESTART: Milliseconds = 5_000
/** A child that captured for so long was well: the next restart is quick again. */
const LIVED_WELL: Milliseconds = 5_000
const STATISTICS_EVERY: Milliseconds = 1_000
const END_WITHIN: Milliseconds = 2_000
const SAY_LAST_WITHIN: Milliseconds = 500

/**
 * Captures on one interface by a child process that writes a pcap stream, and starts it again when it dies. A reader
 * that is too slow fills the pipe, then the kernel's buffer, and then the kernel drops and counts: memory never grows.
 */
export class LiveCapture {
  readonly #options: LiveCaptureOptions
  readonly #engines: readonly CaptureEngine[]
  #engineIndex = 0
  #tags: TagHandling = 'tagged'
  #state: CaptureState = { state: 'waiting', detail: 'not started' }
  #child: RunningChild | undefined
  #restartDelay = FIRST_RESTART
  #restartTimer: NodeJS.Timeout | undefined
  #stopping = false
  /** It ends, and what it captured before is still handed on. */
  #finishing = false
  /** What earlier children counted, and what the present one has. */
  #before: KernelStatistics = { received: 0, dropped: 0 }
  #now: KernelStatistics = { received: 0, dropped: 0 }
  /** Frames of the present child that went to `onFrame`. */
  #handedOn = 0
  #abandoned = 0

  constructor(options: LiveCaptureOptions) {
    this.#options = options
    this.#engines = options.engine === 'auto' ? ENGINES_BY_MERIT : [options.engine]
  }

  get state(): CaptureState {
    return this.#state
  }

  /**
   * Frames that were captured and that nobody read, since the capture was ended before. Frames that the kernel had no
   * room for are not among them.
   */
  get abandoned(): number {
    return this.#abandoned
  }

  /** Whether it shows answers that come in, to the softswitch's own requests. */
  get showsIncomingAnswers(): boolean {
    if (this.#state.state !== 'running') return false
    if (cameInFilter(this.#options, this.#tags) !== '') return this.#state.engine === 'pcap'
    const { content = 'all' } = this.#options
    return content === 'all' && directionOf(this.#options) !== 'outside-in'
  }

  /** The capturing process; undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    if (this.#child || this.#restartTimer) return
    this.#stopping = false
    this.#finishing = false
    this.#spawn()
  }

  /** Ends the capturing process and waits for its end. No frame is delivered afterwards. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restartTimer)
    this.#restartTimer = undefined
    const child = this.#child
    if (!child) return
    child.kill()
    await child.ended
  }

  /** Ends the capturing process when it has handed on what it captured until now. */
  async finish(): Promise<void> {
    this.#finishing = true
    const child = this.#child
    if (child) {
      child.finish()
      await child.ended
    }
    await this.stop()
  }

  #spawn(): void {
    const engine = this.#engines[this.#engineIndex]!
    const { launcher = [], childScript } = this.#options
    const command = engineCommand(engine, {
      interface: this.#options.interface,
      filter: filterOf(this.#options, this.#tags),
      primedBy: primedBy(this.#options),
      cameIn: cameInFilter(this.#options, this.#tags),
      wentOut: wentOutFilter(this.#options, this.#tags),
      snapLength: this.#options.snapLength ?? SNAP_LENGTH,
      bufferBytes: this.#options.bufferBytes ?? BUFFER_BYTES,
      childScript,
    })
    const [file, ...args] = [...launcher, command.file, ...command.args] as [string, ...string[]]
    this.#handedOn = 0
    const child = runChild(engine, file, args, {
      onFrame: (frame) => {
        if (this.#stopping) return
        this.#handedOn++
        this.#options.onFrame(asItCame(frame))
      },
      onRunning: () => {
        this.#say({ state: 'running', engine })
        if (!countsDrops(engine)) this.#options.onStatistics?.(null)
      },
      onReport: (report) => this.#hear(report),
    })
    this.#child = child
    void child.ended.then((ending) => {
      this.#child = undefined
      if (this.#stopping)
        this.#abandoned += Math.max(0, this.#now.received - this.#now.dropped - this.#handedOn)
      this.#before = this.#sum()
      this.#now = { received: 0, dropped: 0 }
      if (!this.#stopping && !this.#finishing) this.#restart(ending)
    })
  }

  #hear(report: CaptureReport): void {
    if (this.#stopping && report.type !== 'statistics') return
    if (report.type === 'waiting') this.#say({ state: 'waiting', detail: report.detail })
    if (report.type !== 'statistics') return
    this.#now = { received: report.received, dropped: report.dropped }
    if (!this.#stopping) this.#options.onStatistics?.(this.#sum())
  }

  #sum(): KernelStatistics {
    return {
      received: this.#before.received + this.#now.received,
      dropped: this.#before.dropped + this.#now.dropped,
    }
  }

  #restart(ending: ChildEnding): void {
    if (this.#tags === 'tagged' && ending.detail.includes('no VLAN support')) {
      this.#tags = 'plain'
      this.#spawn()
      return
    }
    if (ending.noEngine && this.#engineIndex + 1 < this.#engines.length) {
      this.#engineIndex++
      this.#spawn()
      return
    }
    const { interface: device } = this.#options
    const detail = isNflog(device) ? sayNflogTrouble(device, ending.detail) : ending.detail
    this.#say({ state: isAboutInterface(ending.detail) ? 'waiting' : 'failed', detail })
    if (ending.ranFor >= LIVED_WELL) this.#restartDelay = FIRST_RESTART
    this.#restartTimer = setTimeout(() => {
      this.#restartTimer = undefined
      this.#spawn()
    }, this.#restartDelay)
    this.#restartDelay = Math.min(this.#restartDelay * 2, LAST_RESTART)
  }

  #say(state: CaptureState): void {
    this.#state = state
    this.#options.onState?.(state)
  }
}

function filterOf(options: LiveCaptureOptions, tags: TagHandling): string {
  const { interface: device, ports, content = 'all' } = options
  if (isNflog(device)) return ''
  const frames = directionOf(options)
  if (content === 'all' || frames === 'all') return captureFilter(ports, tags, frames)
  return answersFilter(ports, tags, frames)
}

/** For a capture of everything that knows directions; without it no answer that comes in is shown. */
function cameInFilter(options: LiveCaptureOptions, tags: TagHandling): string {
  const { interface: device, ports, content = 'all' } = options
  if (isNflog(device) || content === 'answers' || directionOf(options) !== 'outside-in') return ''
  return incomingAnswersFilter(ports, tags) ?? ''
}

/** Of all and of answers alone: without it no long answer is believed, since nobody knows whose its fragments are. */
function wentOutFilter(options: LiveCaptureOptions, tags: TagHandling): string {
  const { interface: device, ports } = options
  if (isNflog(device) || directionOf(options) !== 'outside-in') return ''
  return outgoingPartsFilter(ports, tags) ?? ''
}

function asItCame(frame: Frame): Frame {
  const { originalLength } = frame
  if (originalLength < WENT_OUT) return frame
  return originalLength < CAME_IN
    ? { ...frame, originalLength: originalLength - WENT_OUT, wentOut: true }
    : { ...frame, originalLength: originalLength - CAME_IN, cameIn: true }
}

/** Whether a capture there can tell answers from requests: it has to know which way a frame goes. */
export function canLeaveRequests(
  options: Pick<LiveCaptureOptions, 'interface' | 'frames' | 'ports'>,
): boolean {
  return directionOf(options) !== 'all'
}

/** What the capture has to be primed with: only a frame that goes out can be made here. */
function primedBy(options: LiveCaptureOptions): string {
  const { interface: device, ports } = options
  const frames = directionOf(options)
  if (isNflog(device) || frames === 'all' || frames === 'inbound') return 'none'
  const [udp] = ports.udpPorts
  return udp === undefined ? `tcp:${ports.tcpPorts[0]}` : `udp:${udp}`
}

/** What the loopback interface carries libpcap shows once, as coming in; nobody outside can send there. */
function directionOf({
  interface: device,
  frames = 'all',
  ports,
}: Pick<LiveCaptureOptions, 'interface' | 'frames' | 'ports'>): FrameDirection {
  const few = ports.udpPorts.length + ports.tcpPorts.length <= MOST_DIRECTED_PORTS
  return frames === 'outside-in' && (device === 'lo' || !few) ? 'all' : frames
}

/** With more the filter has over 4,096 instructions: the kernel refuses it, and libpcap itself knows no directions. */
const MOST_DIRECTED_PORTS = 80

/** libpcap's words for an interface that is down, gone, or went while capturing. */
function isAboutInterface(detail: string): boolean {
  return /not up|is down|went down|broke off|No such device|no interface|disappeared|status == 0/i.test(
    detail,
  )
}

interface ChildEnding {
  readonly detail: string
  readonly noEngine: boolean
  /** How long it captured. */
  readonly ranFor: Milliseconds
}

interface RunningChild {
  readonly pid: number | undefined
  /** Resolves when it has ended and all that it wrote was read. */
  readonly ended: Promise<ChildEnding>
  kill(): void
  /** Has it write what it captured until now, and end. */
  finish(): void
}

interface ChildEvents {
  readonly onFrame: (frame: Frame) => void
  readonly onRunning: () => void
  readonly onReport: (report: CaptureReport) => void
}

function runChild(engine: CaptureEngine, file: string, args: string[], events: ChildEvents): RunningChild {
  let runningSince: number | undefined
  let failure: { readonly detail: string; readonly noEngine: boolean } | undefined
  // No timeout: it runs until it is stopped, or until the end of its stdin tells it that its parent is gone. Not by
  // execa: loading that is half of a sensor's start, and one that was killed has to be back within a second.
  const child = spawn(file, args, { env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: '' } })
  const reader = new CaptureReader({ onFrame: events.onFrame })
  child.stdout.on('data', (chunk: Buffer) => {
    reader.push(chunk)
    if (runningSince === undefined && reader.ready) {
      runningSince = performance.now()
      events.onRunning()
    }
    if (reader.outcome && !failure) {
      failure = { detail: `${engine} wrote what is no capture: ${describe(reader)}`, noEngine: false }
      child.kill('SIGKILL')
    }
  })
  const reports = new ReportReader((report) => {
    if (report.type === 'failed') failure ??= { detail: report.detail, noEngine: false }
    if (report.type === 'no-engine') failure ??= { detail: report.detail, noEngine: true }
    events.onReport(report)
  })
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => reports.push(text))
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on('error', () => {})
  // Before tcpdump has set its handler the signal would end it, hence not in the first moments.
  const ask = () => {
    if (runningSince !== undefined && performance.now() - runningSince > 200) child.kill('SIGUSR1')
  }
  const asking = engine === 'tcpdump' ? setInterval(ask, STATISTICS_EVERY) : undefined
  const ended = new Promise<ChildEnding>((resolve) => {
    const end = (how: string, isMissing: boolean) => {
      clearInterval(asking)
      const ranFor = runningSince === undefined ? 0 : performance.now() - runningSince
      const noEngine = isMissing || /failed to execute|No such file/i.test(reports.lastWords)
      resolve(failure ? { ...failure, ranFor } : { detail: reports.lastWords || how, noEngine, ranFor })
    }
    // Where it could not be started there may be no other event; later ones change nothing.
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) end(error.message, error.code === 'ENOENT')
    })
    // When all that it wrote has been read.
    child.once('close', (code, signal) =>
      end(signal ? `${engine} was ended by ${signal}` : `${engine} ended with exit code ${code}`, false),
    )
  })
  const terminate = () => {
    child.kill('SIGTERM')
    const impatience = setTimeout(() => child.kill('SIGKILL'), END_WITHIN)
    void ended.then(() => clearTimeout(impatience))
  }
  const kill = () => {
    if (engine === 'tcpdump') {
      terminate()
      return
    }
    // Ours says its last counts when its stdin ends.
    child.stdin.end()
    const impatience = setTimeout(terminate, SAY_LAST_WITHIN)
    void ended.then(() => clearTimeout(impatience))
  }
  const finish = () => {
    if (engine !== 'tcpdump') child.stdin.write(READ_ON)
    kill()
  }
  return { pid: child.pid, ended, kill, finish }
}

function describe(reader: CaptureReader): string {
  const outcome = reader.end().outcome
  return outcome.kind === 'complete' ? 'it is complete' : outcome.detail
}
