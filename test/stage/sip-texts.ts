/** A SIP message that begins with this line: long enough to be no keepalive. */
export function sip(startLine: string): string {
  const lines = [
    startLine,
    'Via: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1',
    'From: <sip:1@pbx.example>;tag=1',
    'To: <sip:1@pbx.example>',
    'Call-ID: 1',
    'CSeq: 1 REGISTER',
  ]
  return `${lines.join('\r\n')}\r\n\r\n`
}

export const REGISTER = sip('REGISTER sip:pbx.example SIP/2.0')
export const OPTIONS = sip('OPTIONS sip:pbx.example SIP/2.0')
export const INVITE = sip('INVITE sip:1@pbx.example SIP/2.0')
export const OK = sip('SIP/2.0 200 OK')

export function times(amount: number, text: string): readonly string[] {
  return new Array<string>(amount).fill(text)
}
