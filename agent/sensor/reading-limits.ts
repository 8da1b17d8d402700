import { DEFAULT_SIP_LIMITS, type SipLimits } from '../../registrar/sip/message.ts'

/**
 * What the sensor reads of a message. Softswitches read what is longer and has more headers than any phone sends, so a
 * guesser must not hide behind them; a message at these limits costs a third of a millisecond.
 */
export const READING_LIMITS: SipLimits = {
  ...DEFAULT_SIP_LIMITS,
  headerCount: 4_096,
  headerBytes: 32_768,
  uriBytes: 16_384,
}
