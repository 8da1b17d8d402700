import { createHash } from 'node:crypto'
import type { Source } from './net/address.ts'
import type { EpochMilliseconds, Seconds } from './net/time.ts'
import { aorOf, readUri, type Uri } from './sip/read-uri.ts'

export type Transport = 'udp' | 'tcp'

/** Where an account is for now (RFC 3261 section 10). A plain value, kept as it is in the journal. */
export interface Binding {
  readonly user: string
  /** The contact's URI as the phone wrote it. */
  readonly contact: string
  /** 0 to 1; 1 where the phone says nothing. */
  readonly q: number
  /** `+sip.instance` (RFC 5626 section 4.1): which phone it is, whatever its contact is now. */
  readonly instance: string | null
  readonly callId: string
  readonly cseq: number
  /** Where the REGISTER came from: behind a NAT, the only place that reaches the phone. */
  readonly source: Source
  readonly transport: Transport
  readonly userAgent: string
  readonly registeredAt: EpochMilliseconds
  readonly refreshedAt: EpochMilliseconds
  readonly expiresAt: EpochMilliseconds
}

export type RemovalCause = 'unregistered' | 'expired' | 'replaced' | 'account-removed' | 'forced'

export type BindingChange =
  | { readonly kind: 'added' | 'refreshed'; readonly binding: Binding }
  | { readonly kind: 'removed'; readonly binding: Binding; readonly cause: RemovalCause }

/** Where bindings outlive a restart: a journal of changes. */
export interface BindingStore {
  /** The bindings that the journal ends with. */
  load(): Iterable<Binding>
  append(change: BindingChange): void
}

/** A contact as a REGISTER asks for it. */
export interface WantedContact {
  readonly uri: string
  readonly key: string
  readonly q: number
  readonly instance: string | null
  /** Of the contact or else of the Expires header; undefined where the phone leaves it to us. */
  readonly expires: Seconds | undefined
}

/** Everything a REGISTER says about bindings, once it is known who sent it. */
export interface RegisterOrder {
  readonly user: string
  readonly callId: string
  readonly cseq: number
  readonly source: Source
  readonly transport: Transport
  readonly userAgent: string
  readonly wish:
    | { readonly kind: 'fetch' }
    | { readonly kind: 'remove-all' }
    | { readonly kind: 'set'; readonly contacts: readonly WantedContact[] }
}

/**
 * One text for all ways to write a contact's URI. Stricter than RFC 3261 section 19.1.4 in that all parameters have
 * to be the same: there, equality is not transitive and could not be looked up.
 */
export function contactKey(uri: Uri): string {
  const parameters = [...uri.parameters].map(([name, value]) => `;${name}=${value.toLowerCase()}`).sort()
  const where = uri.scheme === 'tel' ? '' : `:${uri.port ?? ''}`
  const key = `${uri.scheme}:${aorOf(uri)}${where}${parameters.join('')}`
  return key.length <= LONGEST_KEY ? key : createHash('sha256').update(key).digest('base64')
}

/** The key of a binding that was kept; its contact was a URI when it came. */
export function keyOfBinding(binding: Binding): string {
  const uri = readUri(binding.contact)
  return uri.ok ? contactKey(uri.value) : binding.contact
}

const LONGEST_KEY = 256
