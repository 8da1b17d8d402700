import type { Decoded, UndecodedReason } from './packet.ts'

/** Why no packet came of a frame, as values made once: a flood of rubbish allocates nothing. */
export const UNDECODED: { readonly [reason in UndecodedReason]: Decoded & { readonly kind: 'undecoded' } } = {
  'unknown-link-type': { kind: 'undecoded', reason: 'unknown-link-type' },
  'not-ip': { kind: 'undecoded', reason: 'not-ip' },
  'not-udp-or-tcp': { kind: 'undecoded', reason: 'not-udp-or-tcp' },
  truncated: { kind: 'undecoded', reason: 'truncated' },
  'bad-ip-header': { kind: 'undecoded', reason: 'bad-ip-header' },
  'bad-transport-header': { kind: 'undecoded', reason: 'bad-transport-header' },
  'too-many-headers': { kind: 'undecoded', reason: 'too-many-headers' },
}

export const FRAGMENT_HELD: Decoded = { kind: 'fragment-held' }
