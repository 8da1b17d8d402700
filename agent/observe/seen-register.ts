import type { Source } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { SipRequest } from '../../registrar/sip/message.ts'
import type { SeenMessage } from './exchanges.ts'
import type { RegisterSeen, Transport } from './observation.ts'
import { readAccount } from './register-fields.ts'

const LONGEST_USER_AGENT = 128

/**
 * A REGISTER whose account and User-Agent are read only when somebody asks: in a flood nobody does, and reading
 * them costs more than all the rest. Good only until the next packet, whose bytes take the place of this one's.
 */
export class SeenRegister implements RegisterSeen {
  readonly kind = 'register'
  readonly time: EpochMilliseconds
  readonly source: Source
  readonly transport: Transport
  readonly answersOwnNonce: boolean
  readonly answersChallenge: boolean
  readonly answersSentNonce: boolean
  readonly answersUnseen: boolean
  readonly #request: SipRequest
  #account: string | undefined

  constructor(
    { time, source, transport }: SeenMessage,
    request: SipRequest,
    facts: Pick<RegisterSeen, 'answersOwnNonce' | 'answersChallenge' | 'answersSentNonce' | 'answersUnseen'>,
  ) {
    this.time = time
    this.source = source
    this.transport = transport
    this.answersOwnNonce = facts.answersOwnNonce
    this.answersChallenge = facts.answersChallenge
    this.answersSentNonce = facts.answersSentNonce
    this.answersUnseen = facts.answersUnseen === true
    this.#request = request
  }

  get account(): string {
    this.#account ??= readAccount(this.#request.first('to') ?? '')
    return this.#account
  }

  get userAgent(): string {
    return (this.#request.first('user-agent') ?? '').slice(0, LONGEST_USER_AGENT)
  }
}
