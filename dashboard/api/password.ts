import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, link, mkdir, open, unlink, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Why the password file cannot be used, and what to do about it. */
export class PasswordFileError extends Error {
  readonly file: string
  constructor(file: string, message: string, options?: ErrorOptions) {
    super(`${file}: ${message}`, options)
    this.name = 'PasswordFileError'
    this.file = file
  }
}

export interface LoadedPassword {
  readonly password: string
  readonly created: boolean
  /** Something the admin should know: the file stood open to others. */
  readonly warning?: string
}

const SHORTEST = 12

/**
 * The dashboard's password: the first line of a file that only its owner may read. Where there is none, one of 125
 * random bits is written. A file that others may read is closed to them, with a warning: refusing to start would take
 * the protection's dashboard away in the night for a wrong umask. A file of another user or a symbolic link is
 * refused, since then somebody else decides the password.
 */
export async function loadOrCreatePassword(file: string): Promise<LoadedPassword> {
  const loaded = await read(file)
  if (loaded) return loaded
  const password = generatePassword()
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(draft, `${password}\n`, { mode: 0o600, flag: 'wx' })
    await chmod(draft, 0o600)
    // A link appears whole or not at all, and never over a file that came between.
    await link(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new PasswordFileError(file, `cannot be written (${(error as Error).message})`, { cause: error })
    }
    const other = await read(file)
    if (other) return other
    throw new PasswordFileError(file, 'cannot be written', { cause: error })
  } finally {
    await unlink(draft).catch(() => undefined)
  }
  return { password, created: true }
}

/** Five groups of five letters and digits that are not mistaken for each other: 125 bits. */
export function generatePassword(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789'
  const letters = [...randomBytes(25)].map((byte) => alphabet[byte & 31])
  return [0, 5, 10, 15, 20].map((start) => letters.slice(start, start + 5).join('')).join('-')
}

async function read(file: string): Promise<LoadedPassword | undefined> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      const why = error.code === 'ELOOP' ? 'is a symbolic link; put the file itself there' : error.message
      throw new PasswordFileError(file, why, { cause: error })
    },
  )
  if (!handle) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile()) throw new PasswordFileError(file, 'is not a file')
    if (stats.uid !== 0 && stats.uid !== process.getuid?.()) {
      throw new PasswordFileError(file, `belongs to user ${stats.uid}; run: chown root ${file}`)
    }
    const isOpenToOthers = (stats.mode & 0o077) !== 0
    if (isOpenToOthers) await handle.chmod(0o600)
    if (stats.size > 4096) throw new PasswordFileError(file, 'is too large for a password file')
    const password = (await handle.readFile('utf8')).split('\n')[0]!.trim()
    if (password.length < SHORTEST) {
      throw new PasswordFileError(
        file,
        `holds a password of less than ${SHORTEST} characters; write a longer one, or delete the file to get a new one`,
      )
    }
    if (!isOpenToOthers) return { password, created: false }
    const mode = (stats.mode & 0o777).toString(8)
    return {
      password,
      created: false,
      warning: `${file} could be read by others (mode ${mode}) and is now closed to them (600); change the password if somebody may have read it`,
    }
  } finally {
    await handle.close()
  }
}
