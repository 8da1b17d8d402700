import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Real SIP material beside the checkout; it is no part of the product and may be missing. */
export const SHARED = fileURLToPath(new URL('../../shared/corpora/', import.meta.url))

/** Whether it is there; says so loudly where it is not. */
export function hasShared(): boolean {
  if (existsSync(SHARED)) return true
  console.warn(`SKIPPED: ${SHARED} is missing, so nothing here was tried on real captures`)
  return false
}
