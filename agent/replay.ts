import { createReadStream } from 'node:fs'
import type { ComparisonView } from '../dashboard/api/comparison.ts'
import type { Prefix } from '../registrar/net/address.ts'
import type { EpochMilliseconds } from '../registrar/net/time.ts'
import { showDuration } from '../registrar/net/time.ts'
import { sparedBy } from './backtest/backtest.ts'
import { comparePolicies } from './backtest/compare-policies.ts'
import { PolicyRun } from './backtest/policy-run.ts'
import type { Frame } from './capture/frame.ts'
import { CaptureReader } from './capture/read-capture.ts'
import type { DetectionPolicy, Verdict } from './detect/verdict.ts'
import { Pipeline } from './sensor/pipeline.ts'

export interface ReplayOptions {
  /** Paths of captures; `-` reads one from standard input. */
  readonly files: readonly string[]
  readonly ports: readonly number[] | 'any'
  /** One JSON object a line instead of text for people. */
  readonly json: boolean
  readonly config: ReplayPolicy
  /** Another policy to compare it with: then no single verdict is written, but what the two decide otherwise. */
  readonly against?: {
    readonly config: ReplayPolicy
    readonly names: readonly [config: string, against: string]
  }
  readonly write: (line: string) => void
  readonly writeError: (line: string) => void
}

/** What a configuration says of verdicts. */
export interface ReplayPolicy {
  readonly policy: DetectionPolicy
  readonly allow?: readonly Prefix[]
  readonly gateways?: readonly { readonly prefixes: readonly Prefix[] }[]
}

/** The counts of a whole replay, as `--json` prints them last. */
export interface ReplaySummary {
  readonly type: 'summary'
  readonly frames: number
  /** Everything that begins like SIP, malformed messages included. */
  readonly sipMessages: number
  /** REGISTER messages, retransmissions included. */
  readonly registers: number
  /** Exchanges by how they ended; a retransmitted answer counts once. */
  readonly challenges: number
  readonly successes: number
  readonly failures: number
  /** Distinct sources of REGISTERs: IPv4 addresses and IPv6 /64s. */
  readonly sources: number
  /** Those of the SIP messages that cannot be used. */
  readonly malformed: number
}

/**
 * Takes captures along the same way as live packets (decode, observe, verdict), clocked by their own timestamps.
 * Several files are one story, in the order given. Exit code 1 where a file could not be read as a capture.
 */
export async function replayCaptures(
  options: ReplayOptions,
): Promise<{ exitCode: number; summary: ReplaySummary; comparison?: ComparisonView }> {
  const { config, against } = options
  const way = wayOf(options.ports, config, (verdict) => {
    if (!against) options.write(options.json ? verdictLine(verdict) : verdictText(verdict))
  })
  // Each has a pipeline of its own: what is read of a flood depends on what was decided about it.
  const other = against && wayOf(options.ports, against.config)
  const span: { from: EpochMilliseconds | null; to: EpochMilliseconds | null } = { from: null, to: null }
  const take = (frame: Frame) => {
    way.pipeline.take(frame)
    if (!other) return
    other.pipeline.take(frame)
    span.from = Math.min(span.from ?? frame.time, frame.time)
    span.to = Math.max(span.to ?? frame.time, frame.time)
  }
  const { pipeline } = way
  const { detector } = way.run
  let exitCode = 0
  for (const file of options.files) {
    const fault = await replayFile(file, take)
    if (fault === undefined) continue
    options.writeError(fault.sentence)
    if (fault.fatal) exitCode = 1
  }
  if (pipeline.undecoded > 0) {
    options.writeError(
      `${pipeline.undecoded} frames hold no UDP or TCP that can be decoded; they were passed over.`,
    )
  }
  const { registers, sipMessages, challenges, successes, failures, malformed } = detector.totals
  const summary: ReplaySummary = {
    type: 'summary',
    frames: pipeline.frames,
    sipMessages,
    registers,
    challenges,
    successes,
    failures,
    sources: detector.sources.size + detector.sources.letGo,
    malformed,
  }
  options.write(options.json ? JSON.stringify(summary) : summaryText(summary))
  if (!against || !other) return { exitCode, summary }
  const [name, otherName] = against.names
  const comparison = comparePolicies(
    { name, run: way.run },
    { name: otherName, run: other.run },
    { ...span, notes: [WHAT_A_CAPTURE_HIDES] },
  )
  return { exitCode, summary, comparison }
}

const WHAT_A_CAPTURE_HIDES =
  'what a source would have done otherwise, had it been blocked or let go on, is not in the capture'

/** The packet's way under one policy. */
function wayOf(
  ports: ReplayOptions['ports'],
  { policy, allow = [], gateways = [] }: ReplayPolicy,
  onVerdict?: (verdict: Verdict) => void,
): { readonly pipeline: Pipeline; readonly run: PolicyRun } {
  const run = new PolicyRun({
    policy,
    isSpared: sparedBy({ allow, gateways: gateways.flatMap(({ prefixes }) => prefixes), protect: [] }),
    ...(onVerdict ? { onVerdict } : {}),
  })
  const pipeline = new Pipeline({
    ports: ports === 'any' ? 'any' : { udp: new Set(ports), tcp: new Set(ports) },
    exchanges: { isBound: (source, at) => run.detector.bindings.isBoundAt(source, at) },
    countFlood: (address, time) => run.countFlood(address, time),
    onObservation: (observation) => run.observe(observation),
  })
  return { pipeline, run }
}

async function replayFile(
  file: string,
  take: (frame: Frame) => void,
): Promise<{ sentence: string; fatal: boolean } | undefined> {
  const reader = new CaptureReader({ onFrame: take })
  const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 262_144 })
  try {
    for await (const chunk of stream) {
      reader.push(chunk as Buffer)
      if (reader.outcome) break
    }
  } catch (error) {
    // What the lines are written to may be gone: that is no fault of the file.
    if (!isReadFault(error)) throw error
    return { sentence: `${file}: cannot be read (${error.code}).`, fatal: true }
  }
  const { outcome, frames } = reader.end()
  switch (outcome.kind) {
    case 'complete':
      return undefined
    case 'truncated':
      return { sentence: `${file}: ${outcome.detail}; its ${frames} whole frames were used.`, fatal: false }
    case 'bad-block':
      return {
        sentence: `${file}: ${outcome.detail}; the ${frames} frames before it were used.`,
        fatal: true,
      }
    case 'not-a-capture':
      return { sentence: `${file}: ${outcome.detail}`, fatal: true }
  }
}

/** `ENOENT` of open, `EISDIR` of read. */
function isReadFault(error: unknown): error is NodeJS.ErrnoException {
  const { syscall } = error as NodeJS.ErrnoException
  return syscall === 'open' || syscall === 'read'
}

function verdictLine(verdict: Verdict): string {
  const { time, address, port, action, scope, grade, name, reason, evidence, duration } = verdict
  return JSON.stringify({
    type: 'verdict',
    time,
    source: address,
    port,
    action,
    scope,
    grade,
    name,
    reason,
    seconds: duration,
    evidence,
  })
}

function verdictText({ time, address, port, action, scope, grade, reason, duration }: Verdict): string {
  const target =
    port === null ? address : address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
  const span = action === 'limit' || action === 'alert' ? '' : ` for ${showDuration(duration)}`
  return `${showTime(time)}  ${action} ${target}${span} (${scope}, grade ${grade}): ${printable(reason)}`
}

function summaryText(summary: ReplaySummary): string {
  return [
    `${summary.frames} frames, ${summary.sipMessages} SIP messages, ${summary.malformed} malformed`,
    `${summary.registers} REGISTERs of ${summary.sources} sources: ${summary.challenges} challenges, ` +
      `${summary.successes} successes, ${summary.failures} failures`,
  ].join('\n')
}

function showTime(time: EpochMilliseconds): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString()
}

/** A reason can hold an account name that an attacker chose: nothing in it may steer a terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?')
}
