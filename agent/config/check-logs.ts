import { accessSync, constants, statSync } from 'node:fs'
import type { Config } from './config.ts'

/** Says why a file cannot be read now; null where it can. */
export type FaultOf = (path: string) => string | null

/** Logs that cannot be read now. They may come to be there later, so this stops nothing. */
export function checkLogs(
  { evidence }: Config,
  faultOf: FaultOf,
): { readonly path: readonly PropertyKey[]; readonly message: string }[] {
  return Object.entries(evidence).flatMap(([log, path]) => {
    const fault = path === null ? null : faultOf(path)
    if (fault === null) return []
    return [{ path: ['evidence', log], message: `${path} ${fault}; nothing is learnt from it until then` }]
  })
}

export function whyUnreadable(path: string): string | null {
  try {
    if (!statSync(path).isFile()) return 'is not a regular file'
    accessSync(path, constants.R_OK)
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return 'is not there yet'
    if (code === 'EACCES' || code === 'EPERM') return 'may not be read by this user'
    return `cannot be read (${code ?? 'unknown error'})`
  }
}
