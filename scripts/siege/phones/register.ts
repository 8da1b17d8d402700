import { authorize, type HeldNonce, readChallenge } from './digest.ts'
import type { Line } from './line.ts'
import type { Random } from './random.ts'

/** A phone that knows who it is. */
export interface Account {
  readonly user: number | string
  readonly password: string
  readonly address: string
  readonly port: number
}

export type Outcome = 'registered' | 'refused' | 'silence'

/** What a phone keeps from one registration to the next. */
export interface Dialog {
  readonly callId: string
  readonly tag: string
  cseq: number
  /** Null where the phone begins each registration without credentials. */
  nonce: HeldNonce | null
}

/** So many challenges in one registration are answered; a wrong password is told by the second one. */
const MOST_ROUNDS = 3

/** One registration: REGISTER, the challenge where there is one, and the answer to it. */
export async function register(
  line: Line,
  account: Account,
  dialog: Dialog,
  options: { readonly server: string; readonly expires: number; readonly random: Random },
): Promise<Outcome> {
  const answered = new Set<string>()
  for (let round = 0; round < MOST_ROUNDS; round++) {
    dialog.cseq += 1
    const response = await line.transact(requestText(account, dialog, options), dialog.cseq)
    if (response === null) return 'silence'
    if (response.status >= 200 && response.status < 300) return 'registered'
    const challenge = response.status === 401 || response.status === 407 ? readChallenge(response.text) : null
    if (challenge === null) return 'refused'
    // A second challenge that is not about a stale nonce says that the credentials are wrong.
    const wrong = dialog.nonce !== null && answered.has(dialog.nonce.challenge.nonce) && !challenge.stale
    dialog.nonce = { challenge, uses: 0 }
    if (wrong) return 'refused'
    answered.add(challenge.nonce)
  }
  return 'refused'
}

function requestText(
  { user, password, address, port }: Account,
  dialog: Dialog,
  { server, expires, random }: { readonly server: string; readonly expires: number; readonly random: Random },
): string {
  const uri = `sip:${server}`
  const own = () => Math.floor(random() * 2 ** 32).toString(16)
  const credentials =
    dialog.nonce === null
      ? []
      : [`Authorization: ${authorize(dialog.nonce, { user: String(user), password, uri, cnonce: own() })}`]
  return [
    `REGISTER ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${own()}${own()};rport`,
    'Max-Forwards: 70',
    `From: <sip:${user}@${server}>;tag=${dialog.tag}`,
    `To: <sip:${user}@${server}>`,
    `Call-ID: ${dialog.callId}`,
    `CSeq: ${dialog.cseq} REGISTER`,
    `Contact: <sip:${user}@${address}:${port}>`,
    `Expires: ${expires}`,
    ...credentials,
    'User-Agent: Honest Phone 1.0',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
}
