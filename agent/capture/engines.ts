import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CaptureReport } from './capture-report.ts'

/** The programs that can capture: two native libraries in a child of ours, and tcpdump. */
export type CaptureEngine = 'pcap' | 'cap' | 'tcpdump'

/** What `auto` tries, best first by the measurements of docs/decisions/0001-capture-is-a-pcap-stream.md. */
export const ENGINES_BY_MERIT: readonly CaptureEngine[] = ['pcap', 'tcpdump', 'cap']

/** A program that writes a capture to stdout. */
export interface EngineCommand {
  readonly file: string
  readonly args: readonly string[]
}

export interface EngineRequest {
  readonly interface: string
  readonly filter: string
  /** `udp:5060`: leaving that port the filter lets a frame through, and needs one to begin with; `none`: it needs none. */
  readonly primedBy: string
  /** A second filter; what it lets through is written with `CAME_IN` in its length. Empty for none; only `pcap` can. */
  readonly cameIn: string
  /** A third one, whose frames are written with `WENT_OUT`. */
  readonly wentOut: string
  readonly snapLength: number
  readonly bufferBytes: number
  /** The compiled `capture-child`, where it does not lie beside this file. */
  readonly childScript: string | undefined
}

export function engineCommand(engine: CaptureEngine, request: EngineRequest): EngineCommand {
  const { filter, snapLength, bufferBytes } = request
  switch (engine) {
    case 'pcap':
    case 'cap': {
      const script = request.childScript ?? besideThisFile()
      const { interface: device, primedBy, cameIn, wentOut } = request
      const numbers = [String(snapLength), String(bufferBytes)]
      const args = [script, engine, device, ...numbers, filter, primedBy, cameIn, wentOut]
      return { file: process.execPath, args }
    }
    case 'tcpdump':
      return { file: 'setpriv', args: tcpdumpArguments(request) }
  }
}

const IMMEDIATE_SNAP_LENGTH = 16_384

/**
 * tcpdump notices that nobody reads only when a packet comes, so the kernel is asked to end it with its parent;
 * that wish is lost when a process gives up root, and `-w` dissects nothing, so it stays root (-Z).
 * Without immediate mode a packet waits up to a second; with it, each takes a slot of the snap length, so that is kept
 * smaller: only offloaded TCP of more is cut, and what reads the stream finds its way again.
 */
function tcpdumpArguments({ interface: device, filter, snapLength, bufferBytes }: EngineRequest): string[] {
  const snap = String(Math.min(snapLength, IMMEDIATE_SNAP_LENGTH))
  const kibibytes = String(Math.ceil(bufferBytes / 1024))
  const options = ['-i', device, '-p', '-n', '-U', '-s', snap, '-B', kibibytes, '--immediate-mode']
  return ['--pdeathsig', 'KILL', '--', 'tcpdump', '-Z', 'root', ...options, '-w', '-', '--', filter]
}

function besideThisFile(): string {
  return fileURLToPath(new URL(`./capture-child${extname(import.meta.url)}`, import.meta.url))
}

/** Whether the engine can tell how many packets the kernel had no room for. */
export function countsDrops(engine: CaptureEngine): boolean {
  return engine !== 'cap'
}

const MAX_REPORT_BYTES = 4096

/** Reads what engines say on stderr, line by line, into reports. */
export class ReportReader {
  readonly #onReport: (report: CaptureReport) => void
  #rest = ''
  /** The last line that was no report: why the program ended, if it ends. */
  lastWords = ''

  constructor(onReport: (report: CaptureReport) => void) {
    this.#onReport = onReport
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!.slice(-MAX_REPORT_BYTES)
    for (const line of lines) {
      const report = readReport(line)
      if (report) this.#onReport(report)
      // libpcap repeats itself in brackets on a second line.
      else if (line.trim() !== '' && !line.startsWith('(')) this.lastWords = line.slice(0, 200)
    }
  }
}

function readReport(line: string): CaptureReport | undefined {
  // tcpdump, asked by SIGUSR1: "tcpdump: 7 packets captured, 7 packets received by filter, 0 packets dropped …".
  const counts = /(\d+) packets? received by filter, (\d+) packets? dropped by kernel/.exec(line)
  if (counts) return { type: 'statistics', received: Number(counts[1]), dropped: Number(counts[2]) }
  if (!line.startsWith('{"type":')) return undefined
  try {
    return JSON.parse(line) as CaptureReport
  } catch {
    return undefined
  }
}
