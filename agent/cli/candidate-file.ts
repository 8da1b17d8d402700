import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { CliFailure, EXIT } from './outcome.ts'

/** As large as a configuration file may be; the daemon's reader has the same bound. */
const LARGEST_FILE = 8 * 1024 * 1024

/**
 * The text of a candidate configuration. It is read here and not by the daemon: the daemon does not see `/tmp` and
 * home directories, and must not read on somebody's word what that person may not.
 */
export function readCandidateFile(file: string): string {
  let descriptor: number | undefined
  try {
    // A named pipe must not hold the command.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const facts = fstatSync(descriptor)
    if (!facts.isFile()) throw unreadable(file, 'is no regular file; expected a YAML file')
    if (facts.size > LARGEST_FILE)
      throw unreadable(file, `is larger than ${LARGEST_FILE} bytes; expected a YAML file`)
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(descriptor))
  } catch (error) {
    if (error instanceof CliFailure) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CliFailure(
        EXIT.permission,
        'not-permitted',
        `${file} may not be read by this user; try again as root`,
      )
    }
    throw unreadable(
      file,
      code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? 'unknown error'})`,
    )
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function unreadable(file: string, why: string): CliFailure {
  return new CliFailure(EXIT.failed, 'unreadable', `${file} ${why}`)
}
