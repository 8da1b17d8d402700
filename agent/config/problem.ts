/** One thing in a configuration file that cannot be used as it stands, or deserves a second look. */
export interface ConfigProblem {
  readonly file: string
  /** Null where the file as a whole is meant (missing, unreadable). Lines and columns count from 1. */
  readonly position: { readonly line: number; readonly column: number } | null
  /** The path of the key, like `policy.flood.within`; empty where none is meant. */
  readonly key: string
  /** What was found and what was expected, in one sentence. Never holds a password. */
  readonly message: string
}

/** What reading a configuration comes to. */
export type ConfigReading<C> =
  | { readonly kind: 'ok'; readonly config: C; readonly warnings: readonly ConfigProblem[] }
  | { readonly kind: 'refused'; readonly problems: readonly ConfigProblem[] }

/** Thrown by `loadConfig`: its message holds a line for each problem. */
export class ConfigRefused extends Error {
  readonly problems: readonly ConfigProblem[]
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(showProblem).join('\n'))
    this.name = 'ConfigRefused'
    this.problems = problems
  }
}

/** `FILE:LINE:COLUMN: key: message`, the form that editors can jump to. */
export function showProblem({ file, position, key, message }: ConfigProblem): string {
  const place = position ? `${file}:${position.line}:${position.column}` : file
  return key === '' ? `${place}: ${message}` : `${place}: ${key}: ${message}`
}
