/** Limits of the SIP reader. Whatever exceeds one is refused with its name as the reason; nothing grows past them. */
export interface SipLimits {
  /** Bytes of start line, headers and body together. */
  readonly messageBytes: number
  /** Header fields in one message. */
  readonly headerCount: number
  /** Bytes of one header field, folded lines included. */
  readonly headerBytes: number
  /** Bytes of the Request-URI, or of any URI taken out of a header. */
  readonly uriBytes: number
}

export const DEFAULT_SIP_LIMITS: SipLimits = {
  messageBytes: 65_535,
  headerCount: 128,
  headerBytes: 8_192,
  uriBytes: 2_048,
}

/** Why bytes were not read as a SIP message. */
export type SipFault =
  | 'message-too-long'
  | 'too-many-headers'
  | 'header-too-long'
  | 'uri-too-long'
  | 'bad-start-line'
  | 'bad-version'
  | 'bad-method'
  | 'bad-status'
  | 'bad-uri'
  | 'bad-header'
  | 'bad-content-length'
  | 'conflicting-content-length'
  | 'truncated-headers'
  | 'truncated-body'
  | 'missing-header'
  | 'bad-cseq'
  | 'bad-via'
  | 'bad-address'

export interface SipHeader {
  /** Lower-case long form: compact `v` is `via`, `i` is `call-id` (RFC 3261 section 7.3.3). */
  readonly name: string
  /**
   * Unfolded, trimmed, as UTF-8 text; bytes that are no UTF-8 become U+FFFD. It holds no CR, LF or NUL (a space
   * stands for them), so it can always be written into another message.
   */
  readonly value: string
}

interface SipMessageBase {
  /** Every header field in order. Decoding them all costs; `first` and `all` decode only what is asked for. */
  readonly headers: readonly SipHeader[]
  /** How many header fields there are; counting them costs nothing. */
  readonly headerCount: number
  /** The value of the first header field of this (lower-case, long) name. */
  first(name: string): string | undefined
  /** The values of all header fields of this name, comma-separated lists not split. */
  all(name: string): readonly string[]
  /** A view into the bytes that were read. */
  readonly body: Buffer
}

export interface SipRequest extends SipMessageBase {
  readonly kind: 'request'
  /**
   * As written, but a known method in capitals: methods are case-sensitive (RFC 3261 section 7.1), yet Kamailio takes
   * `register` for REGISTER, and so must whoever protects it.
   */
  readonly method: string
  readonly uri: string
}

export interface SipResponse extends SipMessageBase {
  readonly kind: 'response'
  readonly status: number
  readonly reasonPhrase: string
}

export type SipMessage = SipRequest | SipResponse

/** What the reader makes of bytes. */
export type SipReading =
  | { readonly kind: 'message'; readonly message: SipMessage; readonly bytesRead: number }
  /** CRLFs, a NUL or a STUN packet: keeps a NAT binding open, says nothing (RFC 5626 section 3.5). */
  | { readonly kind: 'keepalive' }
  /** Nothing here looks like SIP: no SIP start line. */
  | { readonly kind: 'not-sip' }
  /**
   * Starts like SIP, but cannot be used. Where only the length of the body is at fault, `message` is what was read,
   * with an empty body: Kamailio answers such a REGISTER, and a server may want to refuse it with a 400.
   */
  | {
      readonly kind: 'malformed'
      readonly fault: SipFault
      readonly method?: string
      readonly message?: SipMessage
    }
