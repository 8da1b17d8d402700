import { createHash } from 'node:crypto'

/**
 * The phones' own digest (RFC 2617 with MD5 and qop=auth, as RFC 3261 22.4 has it). Not the registrar's: a siege must not
 * find both wrong in the same way.
 */
export interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | null
  readonly qop: boolean
  readonly stale: boolean
}

/** A challenge that was got, and how often its nonce was used. */
export interface HeldNonce {
  readonly challenge: Challenge
  uses: number
}

export function readChallenge(response: string): Challenge | null {
  const header = /^(?:WWW|Proxy)-Authenticate:\s*Digest (.*)$/im.exec(response)?.[1]
  if (header === undefined) return null
  const parameter = (name: string) => {
    const found = new RegExp(`(?:^|[ ,])${name}=(?:"([^"]*)"|([^", ]*))`, 'i').exec(header)
    return found ? (found[1] ?? found[2] ?? '') : null
  }
  const nonce = parameter('nonce')
  const realm = parameter('realm')
  if (nonce === null || realm === null) return null
  return {
    realm,
    nonce,
    opaque: parameter('opaque'),
    qop: parameter('qop') !== null,
    stale: parameter('stale')?.toLowerCase() === 'true',
  }
}

/** The Authorization header for the next use of this nonce. */
export function authorize(
  held: HeldNonce,
  { user, password, uri, cnonce }: { user: string; password: string; uri: string; cnonce: string },
): string {
  const { realm, nonce, opaque, qop } = held.challenge
  held.uses += 1
  const count = held.uses.toString(16).padStart(8, '0')
  const ha1 = md5(`${user}:${realm}:${password}`)
  const ha2 = md5(`REGISTER:${uri}`)
  const response = qop ? md5(`${ha1}:${nonce}:${count}:${cnonce}:auth:${ha2}`) : md5(`${ha1}:${nonce}:${ha2}`)
  const parts = [
    `username="${user}"`,
    `realm="${realm}"`,
    `nonce="${nonce}"`,
    `uri="${uri}"`,
    `response="${response}"`,
    'algorithm=MD5',
    ...(opaque === null ? [] : [`opaque="${opaque}"`]),
    ...(qop ? ['qop=auth', `cnonce="${cnonce}"`, `nc=${count}`] : []),
  ]
  return `Digest ${parts.join(', ')}`
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
