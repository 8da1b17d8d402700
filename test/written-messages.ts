import { assemble, type HeaderPair, statusLine, writeHeader } from '../registrar/sip/write-message.ts'

interface Parts {
  readonly headers: readonly HeaderPair[]
  readonly body?: Buffer | string
}

/** A request as a phone writes it (RFC 3261 section 7.1): Ringfence itself sends none. Content-Length is added. */
export function writeRequest({
  method,
  uri,
  headers,
  body,
}: Parts & { readonly method: string; readonly uri: string }): Buffer {
  return assemble(`${method} ${uri} SIP/2.0`, headers.map(writeHeader), body)
}

/** A response (RFC 3261 section 7.2) without a request that it answers. */
export function writeResponse({
  status,
  reasonPhrase,
  headers,
  body,
}: Parts & { readonly status: number; readonly reasonPhrase: string }): Buffer {
  return assemble(statusLine(status, reasonPhrase), headers.map(writeHeader), body)
}
