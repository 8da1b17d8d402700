import { lstat } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { ListenError, listenOnSocket } from '../../dashboard/api/listen.ts'
import type { Milliseconds } from '../../registrar/net/time.ts'
import type { RulesLog } from '../../rules/engine.ts'

const CHECK_EVERY: Milliseconds = 3_000

export interface ControlDoorOptions {
  /** The API for the socket, built anew each time that the socket has to be made. */
  readonly build: () => Promise<FastifyInstance>
  readonly path: string
  readonly group: string
  readonly log: RulesLog
  readonly checkEvery?: Milliseconds
}

/** The control socket, which is made again when somebody deletes it. What has taken its place is left alone. */
export class ControlDoor {
  readonly #o: ControlDoorOptions
  #app: FastifyInstance
  #inode: number
  #timer: NodeJS.Timeout
  #checking: Promise<void> = Promise.resolve()
  /** Said once, until it is mended. */
  #lastTrouble = ''

  private constructor(options: ControlDoorOptions, opened: OpenedDoor) {
    this.#o = options
    this.#app = opened.app
    this.#inode = opened.inode
    this.#timer = setInterval(() => {
      this.#checking = this.#checking.then(() => this.#check())
    }, options.checkEvery ?? CHECK_EVERY)
  }

  /** Throws a `ListenError` where another daemon answers there already, or the socket cannot be made. */
  static async open(options: ControlDoorOptions): Promise<ControlDoor> {
    return new ControlDoor(options, await openDoor(options))
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#checking
    await this.#app.close()
  }

  async #check(): Promise<void> {
    const { path, log } = this.#o
    const found = await lstat(path).catch(() => undefined)
    if (found?.ino === this.#inode) return
    if (found) {
      this.#trouble(`something else lies at ${path} now: commands cannot reach this daemon; remove it`)
      return
    }
    try {
      const { app, inode } = await openDoor(this.#o)
      // The one before is closed after: while it lives, its number cannot be given to the new socket.
      const before = this.#app
      this.#app = app
      this.#inode = inode
      await before.close()
      this.#lastTrouble = ''
      log.warn({ socket: path }, 'the control socket was deleted; it is there again')
    } catch (error) {
      this.#trouble(
        error instanceof ListenError
          ? error.message
          : `the control socket ${path} cannot be made again: ${String(error)}`,
      )
    }
  }

  #trouble(sentence: string): void {
    if (sentence === this.#lastTrouble) return
    this.#lastTrouble = sentence
    this.#o.log.warn({ socket: this.#o.path }, sentence)
  }
}

interface OpenedDoor {
  readonly app: FastifyInstance
  readonly inode: number
}

async function openDoor({ build, path, group }: ControlDoorOptions): Promise<OpenedDoor> {
  const app = await build()
  try {
    const { inode } = await listenOnSocket(app, { path, group })
    return { app, inode }
  } catch (error) {
    await app.close()
    throw error
  }
}
