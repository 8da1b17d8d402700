import { OrderRefused } from '../../dashboard/api/control-plane.ts'
import { CliFailure, EXIT } from './outcome.ts'

/** What `read` makes of a target; its refusal is wrong usage, before the daemon is asked. */
export function readingTarget(read: () => string): string {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof OrderRefused)) throw error
    throw new CliFailure(EXIT.usage, error.code, error.message)
  }
}
