/** What scripts can tell apart. Listed in every `--help`. */
export const EXIT = {
  done: 0,
  /** Refused, or it failed. */
  failed: 1,
  usage: 2,
  /** No daemon answers on the socket. */
  unreachable: 3,
  notFound: 4,
  /** This user may not. */
  permission: 5,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

export const EXIT_CODES_HELP = `
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon is not running or does not answer,
4 not found, 5 not permitted.`

/** A command that ends otherwise than done. The message is one sentence (or several lines) for a person. */
export class CliFailure extends Error {
  readonly exitCode: ExitCode
  /** A word for scripts: `not-found`, `unreachable` … */
  readonly code: string
  constructor(exitCode: ExitCode, code: string, message: string) {
    super(message)
    this.name = 'CliFailure'
    this.exitCode = exitCode
    this.code = code
  }
}
