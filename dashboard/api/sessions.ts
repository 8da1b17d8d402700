import { createHash, randomBytes } from 'node:crypto'
import type { Clock, EpochMilliseconds } from '../../registrar/net/time.ts'

export const SESSION_LIFE = 12 * 3600_000

/**
 * Who is logged in. Only the hash of a session's id is kept, so that neither a look-up's timing nor a memory dump
 * gives one away. When the table is full the oldest session ends: only who knows the password can fill it.
 */
export interface SessionTable {
  /** Starts a session and returns its id: 256 random bits for the cookie. */
  open(): string
  isOpen(id: string | undefined): boolean
  close(id: string | undefined): void
  readonly size: number
}

export function createSessionTable(options: { now: Clock; limit?: number }): SessionTable {
  const limit = options.limit ?? 500
  const endings = new Map<string, EpochMilliseconds>()

  return {
    open() {
      const id = randomBytes(32).toString('base64url')
      for (const [key, ending] of endings) {
        if (ending > options.now() && endings.size < limit) break
        endings.delete(key)
      }
      endings.set(hash(id), options.now() + SESSION_LIFE)
      return id
    },
    isOpen(id) {
      if (id === undefined) return false
      const key = hash(id)
      const ending = endings.get(key)
      if (ending === undefined) return false
      if (ending > options.now()) return true
      endings.delete(key)
      return false
    },
    close(id) {
      if (id !== undefined) endings.delete(hash(id))
    },
    get size() {
      return endings.size
    },
  }
}

function hash(id: string): string {
  return createHash('sha256').update(id).digest('base64url')
}
