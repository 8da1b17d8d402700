import { sip } from '../stage/sip-texts.ts'

export { INVITE, OK, OPTIONS, REGISTER, sip, times } from '../stage/sip-texts.ts'

export const BYE = sip('BYE sip:1@pbx.example SIP/2.0')
export const ACK = sip('ACK sip:1@pbx.example SIP/2.0')
