import { DEFAULT_SIP_LIMITS, type SipLimits } from '../../registrar/sip/message.ts'

/**
 * What the sensor reads of a message: whatever fits a datagram. Softswitches read what is longer and has more headers
 * than any phone sends, so a guesser must not hide behind them; how long it takes, the length of the datagram bounds.
 */
export const READING_LIMITS: SipLimits = {
  ...DEFAULT_SIP_LIMITS,
  headerCount: 32_768,
  headerBytes: 65_535,
  uriBytes: 65_535,
}
