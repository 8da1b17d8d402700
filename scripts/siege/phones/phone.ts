import { setTimeout as pause } from 'node:timers/promises'
import { Line } from './line.ts'
import type { PhoneGroup, PhoneKind, PhoneRecord, PhoneSeat, Registration } from './plan.ts'
import { between, type Random } from './random.ts'
import { type Dialog, register } from './register.ts'

/** Seconds until a phone tries again after a failure, least and most: RFC 5626 4.5 doubles from 30, devices are eager. */
const RETRY_AFTER = [10, 30] as const
/** Within so many seconds a phone with a longer period refreshes for the first time. */
const FIRST_REFRESH = 60
/** A binding outlives its refresh by so many seconds. */
const GRACE = 30

/** One honest phone: it registers, waits, registers again, and tries again after a failure. */
export class Phone {
  readonly kind: PhoneKind
  readonly #seat: PhoneSeat
  readonly #registrations: Registration[] = []
  readonly #random: Random
  readonly #period: number
  readonly #first: number
  readonly #reusesNonce: boolean
  #line: Line | undefined

  constructor(
    seat: PhoneSeat,
    group: PhoneGroup,
    options: { readonly random: Random; readonly reuseNonce: number },
  ) {
    this.kind = group.kind
    this.#seat = seat
    this.#random = options.random
    this.#period = between(group.every, options.random)
    this.#first = between(group.within, options.random)
    this.#reusesNonce = options.random() < options.reuseNonce
  }

  get isRegistered(): boolean {
    return this.#registrations.some(({ outcome }) => outcome === 'registered')
  }

  get record(): PhoneRecord {
    return {
      ...this.#seat,
      kind: this.kind,
      registrations: this.#registrations,
      packetsSent: this.#line?.packetsSent ?? 0,
    }
  }

  /** Plays until the program ends. `clock` gives milliseconds since it began. */
  async play(server: { address: string; port: number }, clock: () => number): Promise<never> {
    await pause(this.#first * 1_000)
    this.#line = await Line.open(this.#seat, server)
    const random = this.#random
    const account = { ...this.#seat, password: `pw${this.#seat.user}` }
    const own = () => Math.floor(random() * 2 ** 48).toString(16)
    const dialog: Dialog = { callId: `${own()}@${account.address}`, tag: own(), cseq: 0, nonce: null }
    const expires = Math.ceil(this.#period) + GRACE
    // A phone with a long period stands for one that was there before: its binding ends during the siege.
    let wait = this.#period > FIRST_REFRESH ? FIRST_REFRESH * random() : this.#period
    for (;;) {
      if (!this.#reusesNonce) dialog.nonce = null
      const registration: Registration = { begun: clock(), ended: null, outcome: null }
      this.#registrations.push(registration)
      registration.outcome = await register(this.#line, account, dialog, {
        server: server.address,
        expires,
        random,
      })
      registration.ended = clock()
      const spent = (registration.ended - registration.begun) / 1_000
      const next = registration.outcome === 'registered' ? wait - spent : between(RETRY_AFTER, random)
      await pause(Math.max(0.1, next) * 1_000)
      wait = this.#period
    }
  }
}
