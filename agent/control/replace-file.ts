import {
  closeSync,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

/**
 * Writes a text over a file that is there, so that whoever reads it at any moment, a power cut included, finds the
 * old text or the new one. Owner and mode stay; the old text stays beside it as `.previous`. Gives that path. Throws
 * the system's error, and then nothing has changed.
 */
export function replaceFile(file: string, text: string): { readonly previous: string } {
  // Where the file is a link, what it leads to is replaced and the link stays.
  const path = realpathSync(file)
  const { uid, gid, mode } = statSync(path)
  const next = `${path}.next`
  const previous = `${path}.previous`
  try {
    // Left by an attempt that was cut short.
    rmSync(next, { force: true })
    const descriptor = openSync(next, 'wx', 0o600)
    try {
      fchownSync(descriptor, uid, gid)
      fchmodSync(descriptor, mode & 0o7777)
      writeFileSync(descriptor, text)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    keep(path, previous)
    renameSync(next, path)
  } catch (error) {
    rmSync(next, { force: true })
    throw error
  }
  // Best effort: only after this the new name outlives a power cut, and some file systems refuse it.
  try {
    const folder = openSync(dirname(path), 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  } catch {
    // The old text outlives it then.
  }
  return { previous }
}

/** The old file itself gets the second name, so that its owner and mode are right without being set. */
function keep(path: string, previous: string): void {
  rmSync(previous, { force: true })
  try {
    linkSync(path, previous)
  } catch {
    copyFileSync(path, previous)
  }
}
