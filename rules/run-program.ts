import { isAbsolute } from 'node:path'
import { type ExecaError, execa } from 'execa'
import { KernelError } from './kernel.ts'

export interface ProgramRun {
  readonly program: string
  readonly arguments: readonly string[]
  readonly input?: string
  /** A named network namespace to run in. */
  readonly netns: string | undefined
}

const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']

/** The C locale, since messages are read, and the folders of system programs, which a service's PATH may lack. */
export const PROGRAM_ENVIRONMENT = {
  PATH: [...(process.env.PATH ?? '').split(':').filter(isAbsolute), ...SYSTEM_FOLDERS].join(':'),
  LC_ALL: 'C',
}

const TIMEOUT = 30_000
const MAX_OUTPUT = 256 * 1024 * 1024

/** Runs a program to its end and gives what it wrote. Throws `KernelError`. */
export async function runProgram(run: ProgramRun): Promise<string> {
  const [file, args] = commandOf(run)
  try {
    const { stdout } = await execa(file, args, {
      input: run.input ?? '',
      env: PROGRAM_ENVIRONMENT,
      extendEnv: false,
      timeout: TIMEOUT,
      maxBuffer: MAX_OUTPUT,
      stripFinalNewline: false,
    })
    return stdout
  } catch (error) {
    throw errorOf(run, error as ExecaError)
  }
}

/** What to execute for a run, namespace included. */
export function commandOf(run: Pick<ProgramRun, 'program' | 'arguments' | 'netns'>): [string, string[]] {
  if (run.netns === undefined) return [run.program, [...run.arguments]]
  return ['ip', ['netns', 'exec', run.netns, run.program, ...run.arguments]]
}

function errorOf(run: ProgramRun, error: ExecaError): KernelError {
  if (error.timedOut === true) {
    return new KernelError('no-answer', `${run.program} did not answer within ${TIMEOUT / 1000} s.`)
  }
  const stderr = String(error.stderr ?? '').trim()
  return (
    explainTrouble(run.program, error.code === 'ENOENT' ? 'No such file or directory' : stderr) ??
    new KernelError(
      'refused',
      `${run.program} refused what it was given: ${lastSentence(stderr) || error.shortMessage}`,
      offendingLine(stderr, run.input ?? ''),
    )
  )
}

/** Troubles that a person has to mend; undefined for what the given text is to blame for. */
export function explainTrouble(program: string, words: string): KernelError | undefined {
  if (/No such file or directory$|command not found/.test(words) && !words.includes(':')) {
    return missingProgram(program)
  }
  if (new RegExp(`exec of "?${program}"? failed: No such file`).test(words)) return missingProgram(program)
  if (/permission denied|operation not permitted|must be root/i.test(words)) {
    return new KernelError(
      'not-permitted',
      `${program} may not change the firewall: run ringfence as root, or give it CAP_NET_ADMIN.`,
    )
  }
  return undefined
}

function missingProgram(program: string): KernelError {
  const debian = program.startsWith('ipset') ? 'ipset' : 'iptables'
  return new KernelError('missing-program', `${program} is not installed: run "apt-get install ${debian}".`)
}

/** iptables-restore counts the lines of its input from 1, and names COMMIT where the kernel refused the whole. */
function offendingLine(stderr: string, input: string): string | null {
  const number = /line:? (\d+)/.exec(stderr)?.[1]
  return number === undefined ? null : (input.split('\n')[Number(number) - 1] ?? null)
}

function lastSentence(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Try `'))
  return lines.slice(-3).join('; ').slice(0, 400)
}
