import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock, Milliseconds } from '../../registrar/net/time.ts'
import { LineBudget, type LineCounts, LineCutter, type LogEncoding } from './line-cutter.ts'
import { OpenLog } from './open-log.ts'

/** Writes that come together are read together. */
const GATHER: Milliseconds = 20
/** Inotify tells of every change; where it cannot (too many watches, a file system of the network) this does. */
const LOOK_ANYWAY: Milliseconds = 2_000
/** Whoever writes the log may go on writing to the file of before for a while. */
const READ_ROTATED_FOR: Milliseconds = 60_000
/** Between a log's going and a new one's coming there is a moment at every rotation. */
const AWAY_FOR: Milliseconds = 30_000
/** Files of before that are read on at once. */
const MOST_ROTATED = 4

export interface TailState {
  readonly state: 'following' | 'waiting' | 'failed'
  /** Why not, in words; empty while it follows. */
  readonly reason: string
}

interface RotatedLog {
  readonly log: OpenLog
  quietSince: Milliseconds
}

/**
 * Follows a log: hands on every line that is written from now on. A file that is not there yet is waited for and read
 * from its beginning. It may be renamed and made anew, copied and emptied, or deleted: what was read once is not read
 * again, and what is still written to the file of before is read too.
 */
export class TailFile {
  readonly counts: LineCounts = { read: 0, letGo: 0 }
  readonly #path: string
  readonly #clock: Clock
  readonly #onLine: (line: string) => void
  readonly #budget: LineBudget
  readonly #encoding: LogEncoding
  /** Since when there is no file of that name, while the one of before is read on. */
  #awaySince: Milliseconds | undefined
  #state: TailState = { state: 'waiting', reason: 'it has not been looked for yet' }
  #current: OpenLog | undefined
  #rotated: RotatedLog[] = []
  /** Only what is written from now on counts, so the file that is there at the start is read from its end on. */
  #isFirst = true
  #watchers: FSWatcher[] = []
  /** The file that is watched besides its folder: a link's target is in another one. */
  #watched = ''
  #gather: NodeJS.Timeout | undefined
  #anyway: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #again = false
  #isStopped = false

  constructor(options: {
    readonly path: string
    readonly clock: Clock
    readonly onLine: (line: string) => void
    readonly mostLinesASecond?: number
    readonly encoding?: LogEncoding
  }) {
    this.#encoding = options.encoding ?? 'utf8'
    this.#path = options.path
    this.#clock = options.clock
    this.#onLine = options.onLine
    this.#budget = new LineBudget({
      clock: options.clock,
      ...(options.mostLinesASecond === undefined ? {} : { most: options.mostLinesASecond }),
    })
  }

  get state(): TailState {
    return this.#state
  }

  /** Resolves when the file is followed, or found missing. */
  start(): Promise<void> {
    this.#anyway = setInterval(() => void this.look(), LOOK_ANYWAY)
    return this.look()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearInterval(this.#anyway)
    clearTimeout(this.#gather)
    this.#closeWatchers()
    await this.#looking
    for (const { log } of this.#rotated) await log.close()
    await this.#current?.close()
    this.#rotated = []
    this.#current = undefined
  }

  /** Looks at the file and reads what is new; resolves when nothing more is there. */
  look(): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    if (this.#looking) {
      this.#again = true
      return this.#looking
    }
    this.#looking = this.#lookUntilDone().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookUntilDone(): Promise<void> {
    do {
      this.#again = false
      try {
        await this.#lookOnce()
        this.#isFirst = false
      } catch (error) {
        this.#failed(error)
      }
    } while (this.#again && !this.#isStopped)
  }

  async #lookOnce(): Promise<void> {
    this.#watchFolder()
    const found = await identityOf(this.#path)
    if (this.#current) await this.#read(this.#current)
    if (this.#current && found !== undefined && found !== this.#current.identity) {
      // Renamed: what is still written to it comes before nothing that matters.
      this.#rotated.push({ log: this.#current, quietSince: this.#clock() })
      this.#current = undefined
    }
    if (!this.#current && found !== undefined) {
      const log = await OpenLog.open(this.#path, {
        from: this.#isFirst ? 'end' : 'beginning',
        cutter: new LineCutter({
          counts: this.counts,
          budget: this.#budget,
          encoding: this.#encoding,
          onLine: this.#onLine,
        }),
      })
      this.#current = log
      await this.#read(log)
    }
    if (this.#current) this.#watchFile(this.#current.identity)
    await this.#readRotated()
    // While the name is away for a moment, the file of before is still the one that is written to.
    this.#awaySince = found === undefined ? (this.#awaySince ?? this.#clock()) : undefined
    const isGone = this.#awaySince !== undefined && this.#clock() - this.#awaySince >= AWAY_FOR
    this.#state = !this.#current
      ? { state: 'waiting', reason: 'there is no such file yet' }
      : isGone
        ? { state: 'waiting', reason: 'the file is gone; one of that name is waited for' }
        : { state: 'following', reason: '' }
  }

  async #read(log: OpenLog): Promise<boolean> {
    const read = await log.readOn(() => this.#isStopped)
    if (read === 'more') this.#again = true
    return read !== 'none'
  }

  async #readRotated(): Promise<void> {
    const now = this.#clock()
    const kept: RotatedLog[] = []
    for (const rotated of this.#rotated) {
      if (await this.#read(rotated.log)) rotated.quietSince = now
      if (now - rotated.quietSince < READ_ROTATED_FOR) kept.push(rotated)
      else await rotated.log.close()
    }
    while (kept.length > MOST_ROTATED) await kept.shift()?.log.close()
    this.#rotated = kept
  }

  #failed(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      this.#state = { state: 'waiting', reason: 'there is no such file yet' }
      this.#isFirst = false
      return
    }
    const reason = code === 'EACCES' || code === 'EPERM' ? 'it may not be read' : (message ?? String(error))
    this.#state = { state: 'failed', reason }
  }

  #soon(): void {
    if (this.#isStopped) return
    this.#gather ??= setTimeout(() => {
      this.#gather = undefined
      void this.look()
    }, GATHER)
  }

  /** The folder tells of the file's coming and going, and of writes to it under whatever name. */
  #watchFolder(): void {
    if (this.#watchers.length > 0 || this.#isStopped) return
    const name = basename(this.#path)
    this.#watch(dirname(this.#path), (changed) => {
      if (changed === null || changed === name || changed.startsWith(name)) this.#soon()
    })
  }

  #watchFile(identity: string): void {
    if (this.#watched === identity) return
    this.#closeWatchers()
    this.#watchFolder()
    this.#watch(this.#path, () => this.#soon())
    this.#watched = identity
  }

  #watch(path: string, onChange: (name: string | null) => void): void {
    try {
      const watcher = watch(path, { persistent: false }, (_event, name) => onChange(name))
      // A watch that ends (its folder went) is made again at the next look; until then the clock looks.
      watcher.on('error', () => this.#closeWatchers())
      this.#watchers.push(watcher)
    } catch {
      // Without inotify the file is looked at every two seconds.
    }
  }

  #closeWatchers(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
    this.#watched = ''
  }
}

/** Tells a file from others; undefined where there is none of that name. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(path)
    return `${dev} ${ino}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
