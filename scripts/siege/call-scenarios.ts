/** What sipp plays, in its own language. A call is set up, changed after half of its time, and ended by who made it. */

/** Seconds that a call lasts, so that so many calls a CALL_SECONDS keep as many open. */
export const CALL_SECONDS = 8

const HALF = (CALL_SECONDS * 1_000) / 2 - 100

const SDP = `Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=siege 1 1 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[local_ip_type] [local_ip]
      t=0 0
      m=audio 6000 RTP/AVP 0`

/** A request that the caller sends; `uri` says whether it is inside the dialog. */
function request(
  method: string,
  uri: string,
  cseq: number,
  more: string,
  sent: 'retransmitted' | 'once',
): string {
  const inside = uri === '[next_url]'
  return `<send${sent === 'retransmitted' ? ' retrans="500"' : ''}><![CDATA[

      ${method} ${uri} SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]T[call_number]
      To: <sip:[service]@[remote_ip]>${inside ? '[peer_tag_param]' : ''}
      Call-ID: [call_id]
      CSeq: ${cseq} ${method}
      Contact: <sip:caller@[local_ip]:[local_port]>${inside ? '\n      [routes]' : ''}
      ${more}

    ]]></send>`
}

const EMPTY = 'Content-Length: 0'
const NEXT = '[next_url]'

export const MAKE_CALLS = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="makes calls">
${request('INVITE', 'sip:[service]@[remote_ip]:[remote_port]', 1, SDP, 'retransmitted')}
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="200" rrs="true"/>
${request('ACK', NEXT, 1, EMPTY, 'once')}
<pause milliseconds="${HALF}"/>
${request('INVITE', NEXT, 2, SDP, 'retransmitted')}
<recv response="100" optional="true"/>
<recv response="200"/>
${request('ACK', NEXT, 2, EMPTY, 'once')}
<pause milliseconds="${HALF}"/>
${request('BYE', NEXT, 3, EMPTY, 'retransmitted')}
<recv response="200"/>
</scenario>
`

function answer(status: string, more: string, sent: 'retransmitted' | 'once'): string {
  return `<send${sent === 'retransmitted' ? ' retrans="500"' : ''}><![CDATA[

      SIP/2.0 ${status}
      [last_Via:]
      [last_Record-Route:]
      [last_From:]
      [last_To:];tag=[pid]C[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port]>
      ${more}

    ]]></send>`
}

/** Inside the dialog the To has its tag already. */
const inside = (text: string) => text.replace(';tag=[pid]C[call_number]', '')

export const ANSWER_CALLS = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="answers calls">
<recv request="INVITE" rrs="true"/>
${answer('200 OK', SDP, 'retransmitted')}
<recv request="ACK"/>
<recv request="INVITE"/>
${inside(answer('200 OK', SDP, 'retransmitted'))}
<recv request="ACK"/>
<recv request="BYE"/>
${inside(answer('200 OK', EMPTY, 'once'))}
<timewait milliseconds="4000"/>
</scenario>
`

const REGISTER = (cseq: number, credentials: string) => `<send retrans="500"><![CDATA[

      REGISTER sip:[remote_ip] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From: <sip:[service]@[remote_ip]>;tag=[pid]R[call_number]
      To: <sip:[service]@[remote_ip]>
      Call-ID: [call_id]
      CSeq: ${cseq} REGISTER
      Contact: <sip:[service]@[local_ip]:[local_port]>
      Expires: 7200
      ${credentials}Content-Length: 0

    ]]></send>`

export const REGISTER_CALLER = `<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="registers">
${REGISTER(1, '')}
<recv response="401" auth="true"/>
${REGISTER(2, '[authentication]\n      ')}
<recv response="200"/>
</scenario>
`
