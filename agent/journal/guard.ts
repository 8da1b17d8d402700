import { JournalError, type JournalFault } from './journal.ts'

/** The same methods with every fault of the database turned into a `JournalError`. */
export function guarded<Tables extends object>(tables: Tables, { file }: { readonly file: string }): Tables {
  const guardedMethods = Object.entries(tables).map(([doing, method]) => [
    doing,
    (...args: unknown[]): unknown => {
      try {
        return (method as (...args: unknown[]) => unknown)(...args)
      } catch (error) {
        throw journalErrorOf(error, { doing, file }) ?? error
      }
    },
  ])
  return Object.fromEntries(guardedMethods) as unknown as Tables
}

/** A broken world as a `JournalError`; undefined for what is a mistake of ours. */
export function journalErrorOf(
  error: unknown,
  { doing, file }: { readonly doing: string; readonly file: string },
): JournalError | undefined {
  if (error instanceof JournalError) return error
  if (!(error instanceof Error)) return undefined
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const fault = faultOf(code, { message: error.message, doing })
  if (!fault) return undefined
  const message = `${SENTENCES[fault](file)} (${doing}: ${code === '' ? error.message : code})`
  return new JournalError(fault, doing, message, { cause: error })
}

const SENTENCES: Readonly<Record<JournalFault, (file: string) => string>> = {
  full: (file) => `the journal ${file} cannot grow: the disk or its bound is full; free some space`,
  locked: (file) => `the journal ${file} is locked by another program; end it`,
  damaged: (file) => `the journal ${file} is damaged; restart the daemon to begin a fresh one`,
  'too-new': (file) => `the journal ${file} was written by a later version of Ringfence`,
  unavailable: (file) => `the journal ${file} cannot be read or written; look at its folder and permissions`,
  closed: (file) => `the journal ${file} is closed`,
}

function faultOf(
  code: string,
  { message, doing }: { readonly message: string; readonly doing: string },
): JournalFault | undefined {
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') return 'full'
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return 'locked'
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return 'damaged'
  // A table or column that should be there is not: somebody else's database, or half of one.
  if (code === 'SQLITE_ERROR' && doing === 'open') return 'damaged'
  if (/^SQLITE_(IOERR|CANTOPEN|READONLY|PERM|AUTH)/.test(code)) return 'unavailable'
  if (/^E[A-Z]+$/.test(code)) return 'unavailable'
  if (message === 'The database connection is not open') return 'closed'
  return undefined
}
