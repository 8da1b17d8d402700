/** A datagram made to be slow to read. */
export interface HostileMessage {
  readonly name: string
  readonly bytes: Buffer
}

const START = 'REGISTER sip:example.com SIP/2.0\r\n'
const REST = 'Call-ID: a@b\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n'

/** Shapes that have cost SIP readers quadratic time, memory or their stack, each of about `size` bytes. */
export function hostileMessages(size: number): readonly HostileMessage[] {
  const fill = (piece: string, length: number) =>
    piece.repeat(Math.ceil(length / piece.length)).slice(0, length)
  const room = size - START.length - REST.length
  /** Headers of this name, each just below the limit of one, filled with a piece. */
  const fields = (name: string, head: string, piece: string, each = 8_000) => {
    const count = Math.max(1, Math.floor(room / each))
    return (
      START + `${name}: ${head}${fill(piece, each - name.length - head.length - 4)}\r\n`.repeat(count) + REST
    )
  }
  const shapes: Readonly<Record<string, string>> = {
    'one header of the whole datagram': `${START}X: ${fill('a', room)}\r\n${REST}`,
    '30,000 tiny headers': `${START}${fill('a:\r\n', room)}\r\n${REST}`,
    'lines without a colon': `${START}${fill('x\n', room)}${REST}`,
    'headers up to every limit': START + `Via: ${fill('a', 8_000)}\r\n`.repeat(8) + REST,
    'endless folding': `${START}X: a${fill('\r\n ', room)}\r\n${REST}`,
    'folded Call-ID': fields('Call-ID', '', '\r\n a'),
    'folds of blanks': fields('Call-ID', '', ' \r\n\t '),
    'lone CRs in values': fields('Call-ID', '', '\r'),
    'no line break': fill('REGISTER', size),
    'a start line of the whole datagram': `REGISTER sip:${fill('a', size - 30)} SIP/2.0\r\n\r\n`,
    'a method of the whole datagram': `${fill('A', size - 20)} sip:a SIP/2.0\r\n\r\n`,
    'a start line of blanks': `REGISTER${fill(' ', size - 30)}sip:a SIP/2.0\r\n\r\n`,
    'a reason phrase of the whole datagram': `SIP/2.0 200 ${fill('a', size - 16)}\r\n\r\n`,
    'CRLFs, then a message': `${fill('\r\n', size - 100)}${START}${REST}`,
    'only CRs': fill('\r', size),
    'only NULs': fill('\0', size),
    'spaces in values': fields('Call-ID', '', ' '),
    'quotes in Contact': fields('Contact', '', '"'),
    'backslashes in Contact': fields('Contact', '"', '\\'),
    'an open quote in Authorization': fields('Authorization', 'Digest username="', 'a'),
    'escapes in Authorization': fields('Authorization', 'Digest username="', '\\a'),
    'commas in Authorization': fields('Authorization', 'Digest ', ','),
    'parameters in Authorization': fields('Authorization', 'Digest ', 'a=b,c=d,'),
    'To: < and spaces': fields('To', '<', ' '),
    'angle brackets in Contact': fields('Contact', '', '<sip:a>,'),
    'commas in Contact': fields('Contact', '', ','),
    'addresses in Contact': fields('Contact', '', 'sip:a@b,'),
    'semicolons in Contact': fields('Contact', '<sip:a@b>', ';'),
    'parameters in Contact': fields('Contact', '<sip:a@b>', ';a;b;c;d;e=f'),
    'at signs in Contact': fields('Contact', '<sip:', '@'),
    'percent signs in Contact': fields('Contact', '<sip:', '%'),
    'hops in Via': fields('Via', '', 'SIP/2.0/UDP a;branch=b,'),
    'parameters in Via': fields('Via', 'SIP/2.0/UDP a', ';x=y'),
    'slashes in Via': fields('Via', 'SIP/2.0/', '/'),
    'digits in CSeq': fields('CSeq', '', '9'),
    'digits in Content-Length': fields('Content-Length', '', '9'),
    'bytes that are no UTF-8': fields('Call-ID', '', '\xff'),
    'one name 128 times': `${START}${'Via: SIP/2.0/UDP a\r\n'.repeat(125)}${REST}`,
  }
  return Object.entries(shapes).map(([name, text]) => ({ name, bytes: Buffer.from(text, 'latin1') }))
}
