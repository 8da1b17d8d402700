import type { Frame } from '../../../agent/capture/frame.ts'
import { ethernet, ipv4, udp } from '../../packets.ts'

export const SERVER = '192.0.2.2'

export interface Sent {
  readonly at: number
  readonly address: string
  readonly port: number
  /** Whole header lines of the request: a User-Agent. */
  readonly says?: string
  /** The Via line of a phone behind a proxy, which comes back in the answer. */
  readonly behind?: string
}

export interface ModelOptions {
  /** Whether all sources get the same nonce within a second, as from Kamailio's default. */
  readonly shares: boolean
  /** How it answers wrong credentials. */
  readonly refusesWith?: 401 | 403 | 404
  /** Accounts that exist; others are answered 404 where `refusesUnknown`. */
  readonly accounts?: ReadonlySet<string>
  readonly refusesUnknown?: boolean
}

/**
 * A softswitch of a few lines: challenges bare REGISTERs, takes the password `right` over a nonce that it issued, and
 * refuses everything else. What it is sent and what it answers comes out as captured frames.
 */
export class ModelSoftswitch {
  readonly #options: ModelOptions
  readonly #issued = new Map<string, number>()
  readonly #onFrame: (frame: Frame) => void
  #count = 0
  #branch = 0

  constructor(options: ModelOptions, onFrame: (frame: Frame) => void) {
    this.#options = options
    this.#onFrame = onFrame
  }

  /** A bare REGISTER, forged or not; gives back the nonce that the answer carries to that address. */
  ask(from: Sent, account: string, extra = ''): string | undefined {
    const { accounts, refusesUnknown = false } = this.#options
    const nonce = this.#issue(from.at)
    const known = !refusesUnknown || (accounts?.has(account) ?? true)
    this.#exchange(from, account, {
      request: extra,
      answer: known
        ? `SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="${nonce}"`
        : 'SIP/2.0 404 Not Found',
    })
    return known ? nonce : undefined
  }

  /** A REGISTER with credentials. */
  tell(from: Sent, account: string, { nonce, password }: { nonce: string; password: string }): void {
    const { refusesWith = 401, accounts } = this.#options
    const issuedAt = this.#issued.get(nonce)
    const isFresh = issuedAt !== undefined && from.at - issuedAt < 300_000
    const request = `Authorization: Digest username="${account}", realm="r", nonce="${nonce}", uri="sip:r", response="${password}"\r\n`
    const challenge = (stale: string) =>
      `SIP/2.0 401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="${this.#issue(from.at)}"${stale}`
    const isRight = isFresh && password === 'right' && (accounts?.has(account) ?? true)
    const answer = isRight
      ? `SIP/2.0 200 OK\r\nContact: <sip:${account}@${from.address}:${from.port}>;expires=3600`
      : !isFresh && issuedAt !== undefined
        ? challenge(', stale=true')
        : isFresh && refusesWith !== 401
          ? `SIP/2.0 ${refusesWith} No`
          : challenge('')
    this.#exchange(from, account, { request, answer })
  }

  /** A whole registration of a phone. */
  register(from: Sent, account: string): void {
    const nonce = this.ask(from, account)
    if (nonce !== undefined) this.tell({ ...from, at: from.at + 20 }, account, { nonce, password: 'right' })
  }

  /** Anything to the softswitch that it does not answer. */
  send(from: Sent, payload: string | Buffer): void {
    this.#frame(
      from.at,
      { source: from.address, sourcePort: from.port, destination: SERVER, destinationPort: 5060 },
      payload,
    )
  }

  #issue(at: number): string {
    const nonce = this.#options.shares ? `second-${Math.floor(at / 1_000)}` : `own-${this.#count++}`
    this.#issued.set(nonce, at)
    return nonce
  }

  #exchange(from: Sent, account: string, { request, answer }: { request: string; answer: string }): void {
    const common =
      `Via: SIP/2.0/UDP ${from.address}:${from.port};branch=z9hG4bK${this.#branch}\r\n${from.behind ?? ''}From: <sip:${account}@r>;tag=1\r\n` +
      `To: <sip:${account}@r>\r\nCall-ID: c${this.#branch++}\r\nCSeq: 1 REGISTER\r\n`
    this.send(
      from,
      `REGISTER sip:r SIP/2.0\r\n${common}${from.says ?? ''}${request}Content-Length: 0\r\n\r\n`,
    )
    const [status, ...headers] = answer.split('\r\n')
    const rest = headers.length === 0 ? '' : `${headers.join('\r\n')}\r\n`
    this.#frame(
      from.at + 1,
      { source: SERVER, sourcePort: 5060, destination: from.address, destinationPort: from.port },
      `${status}\r\n${common}${rest}Content-Length: 0\r\n\r\n`,
    )
  }

  #frame(
    time: number,
    ends: { source: string; sourcePort: number; destination: string; destinationPort: number },
    payload: string | Buffer,
  ): void {
    const bytes = ethernet(ipv4(ends, udp(ends, payload)))
    this.#onFrame({ time, linkType: 1, bytes, originalLength: bytes.length })
  }
}
