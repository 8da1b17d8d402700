import type { SipMessage } from '../../registrar/sip/message.ts'
import { readVia } from '../../registrar/sip/read-via.ts'

const MOST_COUNTED = 8

/** Via values of a message, counted roughly: one for a phone, more where a proxy put its own before it. */
export function countVias(message: SipMessage): number {
  let vias = 0
  for (const value of message.all('via')) {
    vias++
    // Several may stand in one header field (RFC 3261 section 7.3.1), each beginning with the protocol.
    for (let at = value.indexOf(','); at >= 0 && vias < MOST_COUNTED; at = value.indexOf(',', at + 1)) {
      if (
        value
          .slice(at + 1, at + 8)
          .trimStart()
          .toUpperCase()
          .startsWith('SIP')
      )
        vias++
    }
    if (vias >= MOST_COUNTED) return MOST_COUNTED
  }
  return vias
}

const USUAL_PORT = 5060

/**
 * The port that an answer over UDP goes to where the request does not ask for its own (RFC 3261 section 18.2.2, RFC 3581);
 * undefined where it does, or where that cannot be read. Many softswitches answer to the request's own port all the same.
 */
export function answerPort(request: SipMessage): number | undefined {
  const written = request.first('via') ?? ''
  if (written.includes('rport')) return undefined
  const via = readVia(written)
  return via.ok ? (via.value.port ?? USUAL_PORT) : undefined
}
