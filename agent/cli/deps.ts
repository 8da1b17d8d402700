import type { Clock } from '../../registrar/net/time.ts'
import type { Config } from '../config/config.ts'

/** What the commands touch of the world. Heavy parts are loaded only by the command that needs them. */
export interface CliDeps {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Whether colours are welcome on standard output. */
  readonly colours: boolean
  readonly now: Clock
  /** Who gives the order, like `root@cli`. */
  readonly caller: string
  readonly defaults: { readonly configFile: string; readonly socket: string }
  readonly version: () => string
  /** Asks on the terminal without echo; undefined where there is none. */
  readonly askSecret: ((question: string) => Promise<string>) | undefined
  /** All of standard input, or undefined where it is longer than `limit` bytes. */
  readonly readInput: (limit: number) => Promise<string | undefined>
  readonly runDaemon: (options: { readonly configFile: string }) => Promise<number>
  readonly replayCaptures: (options: ReplayRequest) => Promise<{ readonly exitCode: number }>
  /** Takes every rule and set out of the kernel, without a daemon. Gives the names removed. */
  readonly removeEverything: () => Promise<readonly string[]>
}

export interface ReplayRequest {
  readonly files: readonly string[]
  readonly ports: readonly number[] | 'any'
  readonly json: boolean
  readonly config: Config
  readonly write: (line: string) => void
  readonly writeError: (line: string) => void
}
