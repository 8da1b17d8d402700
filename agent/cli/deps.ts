import type { ComparisonView } from '../../dashboard/api/comparison.ts'
import type { Clock, Milliseconds } from '../../registrar/net/time.ts'
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
  /**
   * Asks on the terminal, with echo; undefined where there is none. Gives what was typed, an empty text where the
   * terminal was closed or the question broken off, undefined where the time was over.
   */
  readonly askLine:
    | ((question: string, options: { readonly within: Milliseconds }) => Promise<string | undefined>)
    | undefined
  /** All of standard input, or undefined where it is longer than `limit` bytes. */
  readonly readInput: (limit: number) => Promise<string | undefined>
  readonly runDaemon: (options: { readonly configFile: string }) => Promise<number>
  readonly replayCaptures: (options: ReplayRequest) => Promise<{
    readonly exitCode: number
    readonly comparison?: ComparisonView | undefined
  }>
  /** Takes every rule and set out of the kernel, without a daemon. Gives the names removed. */
  readonly removeEverything: () => Promise<readonly string[]>
  /** Puts rules and sets back once, without a daemon; where one answers on the socket nothing is done. */
  readonly restoreRules: (options: {
    readonly configFile: string
    readonly socket: string
  }) => Promise<Restored>
  /** Runs a program that was built beside the commands, on this terminal. Gives its exit code. */
  readonly runBeside: (request: BesideRequest) => Promise<number>
}

/** `input` is handed over as JSON, and is on no command line. */
export interface BesideRequest {
  readonly program: 'simulate' | 'demo'
  readonly input: unknown
}

/** What `ringfence restore` did, in a word and in a sentence. */
export interface Restored {
  readonly outcome: 'restored' | 'daemon-runs' | 'observing'
  readonly says: string
}

export interface ReplayRequest {
  readonly files: readonly string[]
  readonly ports: readonly number[] | 'any'
  readonly json: boolean
  readonly config: Config
  /** Another configuration to compare it with, and what both are called. */
  readonly against?: { readonly config: Config; readonly names: readonly [config: string, against: string] }
  readonly write: (line: string) => void
  readonly writeError: (line: string) => void
}
