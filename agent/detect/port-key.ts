import type { Source } from '../../registrar/net/address.ts'

/** What tells one address and port from another. */
export function portKey({ address, port }: Source): string {
  return `${address} ${port}`
}
