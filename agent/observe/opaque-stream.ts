import type { Opaque } from './sight.ts'

/** An upgrade request is looked at so far. */
const MOST_LOOKED_AT = 2_048

/**
 * What a TCP stream carries whose first seen bytes are these, where that is no SIP in clear. A TLS record begins with its
 * type, 20 to 23, and the version 3 (RFC 8446 section 5.1); SIP over WebSocket with an upgrade of HTTP (RFC 7118, RFC
 * 6455 section 4).
 */
export function recogniseOpaque(bytes: Buffer): Opaque | undefined {
  if (bytes.length < 3) return undefined
  const first = bytes[0]!
  if (first >= 20 && first <= 23) return bytes[1] === 3 && bytes[2]! <= 4 ? 'tls' : undefined
  const word = bytes.readUIntBE(0, 3)
  if (word !== GET && word !== HTT) return undefined
  const head = bytes.toString('latin1', 0, MOST_LOOKED_AT).toLowerCase()
  const isUpgrade = word === GET || head.startsWith('http/1.1 101')
  return isUpgrade && head.includes('\nupgrade: websocket') ? 'websocket' : undefined
}

const GET = 0x474554
const HTT = 0x485454
