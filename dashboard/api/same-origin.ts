import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { DoorRefused } from './errors.ts'

/**
 * Refuses a Host that is neither an address nor one of the names this machine goes by. A page of another site can
 * have its own name resolve to this machine (DNS rebinding), but it cannot make the browser send another Host.
 */
export function checkHost(headers: IncomingHttpHeaders, names: ReadonlySet<string>): void {
  const name = hostNameOf(headers.host ?? '')
  if (name === 'localhost' || isIP(name) !== 0 || names.has(name)) return
  throw new DoorRefused(
    'forbidden',
    'The dashboard is not served under this name; open it by its address or as localhost.',
  )
}

/**
 * Refuses requests that another site made in the admin's browser. `Sec-Fetch-Site` tells also another port of the
 * same machine, for which a SameSite cookie would still be sent.
 */
export function checkNotCrossSite(headers: IncomingHttpHeaders): void {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') refuse()
  const origin = headers.origin
  if (origin !== undefined && hostOfOrigin(origin) !== headers.host?.toLowerCase()) refuse()
}

/** For what changes something: the request must also prove to be the page's own, or a program's. */
export function checkSameOrigin(headers: IncomingHttpHeaders): void {
  checkNotCrossSite(headers)
  const isProven =
    headers['sec-fetch-site'] === 'same-origin' ||
    headers.origin !== undefined ||
    headers['x-ringfence'] === '1'
  if (!isProven) refuse()
}

function refuse(): never {
  throw new DoorRefused(
    'forbidden',
    'Only the dashboard itself may ask for this; a program sends the header x-ringfence: 1.',
  )
}

function hostOfOrigin(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

function hostNameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)
  if (bracketed) return bracketed[1]!
  return host.replace(/:\d*$/, '').toLowerCase()
}
