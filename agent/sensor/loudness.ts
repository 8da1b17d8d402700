import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'

/** More frames a second than this, over so long, are more than should be read one by one. */
const LOUD: Rate = { frames: 10_000, over: 200 }
/** Under so many a second for so long it is quiet again. */
const QUIET_FRAMES = 5_000
const QUIET_FOR: Seconds = 10
/** Of a sample that lets so many a second pass, more than this may be any number of arrivals. */
const SURE_OF_A_SAMPLE = 0.9

interface Rate {
  /** A second. */
  readonly frames: number
  readonly over: Milliseconds
}

/** What was noticed within some seconds while requests are read from the kernel's log. */
export interface LoudSecond {
  readonly seconds: Seconds
  /** Frames of what is still captured plainly: answers, TCP. */
  readonly answers: number
  /** Packets of the sample; and how many of them a second its rule lets pass. */
  readonly samples: number
  readonly mostSamples: number
  /** Requests a second that the rules counted; undefined where nobody told. */
  readonly arrivals: number | undefined
}

/**
 * Whether so much arrives that requests should be read from the kernel's log, which is bounded, and no more one by one.
 * The clock is the frames' own. Loud and quiet are far apart, so that a flood at the edge does not switch all the time.
 */
export class Loudness {
  readonly #loud: Rate
  #frames = 0
  #since: EpochMilliseconds = Number.NEGATIVE_INFINITY
  #quietFor: Seconds = 0

  constructor(loud: Rate = LOUD) {
    this.#loud = loud
  }

  /** A frame was captured plainly. True where it was one too many: it is loud. */
  frame(time: EpochMilliseconds): boolean {
    const most = (this.#loud.frames * this.#loud.over) / 1_000
    if (this.#frames === 0) this.#since = time
    if (++this.#frames <= most) return false
    this.#frames = 0
    const took = time - this.#since
    return took >= 0 && took <= this.#loud.over
  }

  /** The kernel had no room for frames of some seconds: they came as well. True where it is loud. */
  lost(frames: number, seconds: Seconds): boolean {
    return frames / Math.max(seconds, 0.001) > this.#loud.frames
  }

  /** True where it has been quiet for long enough. */
  second({ seconds, answers, samples, mostSamples, arrivals }: LoudSecond): boolean {
    const span = Math.max(seconds, 0.001)
    const sampled = samples / span
    // A log that is short of time hands on less than its rule lets pass, so a small sample alone says nothing.
    const unseen = sampled < mostSamples * SURE_OF_A_SAMPLE ? sampled : Number.POSITIVE_INFINITY
    const requests = arrivals === undefined ? unseen : Math.max(arrivals, sampled)
    this.#quietFor = requests + answers / span < QUIET_FRAMES ? this.#quietFor + seconds : 0
    if (this.#quietFor < QUIET_FOR) return false
    this.restart()
    return true
  }

  /** Forgets what was counted: what is captured is another thing now. */
  restart(): void {
    this.#frames = 0
    this.#quietFor = 0
  }
}
