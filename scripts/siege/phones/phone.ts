import { setTimeout as pause } from 'node:timers/promises'
import { movedSeat, roamedSeat } from './incidents.ts'
import { Line } from './line.ts'
import type { Incident, PhoneGroup, PhoneKind, PhoneRecord, PhoneSeat, Registration } from './plan.ts'
import { between, type Random } from './random.ts'
import { type Dialog, register } from './register.ts'

/** Seconds until a phone tries again after a failure, least and most: RFC 5626 4.5 doubles from 30, devices are eager. */
const RETRY_AFTER = [10, 30] as const
/** Seconds until somebody types a password again. */
const TYPE_AGAIN = [3, 8] as const
/** So often somebody types it wrong at most: fewer than the policy's limit of 6. */
const MOST_MISTYPED = 3
/** Within so many seconds a phone with a longer period refreshes for the first time. */
const FIRST_REFRESH = 60
/** A binding outlives its refresh by so many seconds. */
const GRACE = 30

type End = { readonly address: string; readonly port: number }

/** One honest phone: it registers, waits, registers again, and tries again after a failure. */
export class Phone {
  readonly kind: PhoneKind
  #seat: PhoneSeat
  readonly #registrations: Registration[] = []
  readonly #random: Random
  readonly #period: number
  readonly #first: number
  readonly #firstRefresh: number
  readonly #reusesNonce: boolean
  #line: Line | undefined
  #packetsBefore = 0
  /** What happened to it and is not yet acted on. */
  #incident: Incident | null = null
  #mistypes = 0
  #isGone = false
  #waiting = new AbortController()

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
    this.#firstRefresh = group.firstRefresh ?? FIRST_REFRESH
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
      packetsSent: this.#packetsBefore + (this.#line?.packetsSent ?? 0),
    }
  }

  /** Plays until it is switched off. `clock` gives milliseconds since it began. */
  async play(server: End, clock: () => number): Promise<void> {
    await this.#wait(this.#first)
    let line = await this.#open(server)
    const random = this.#random
    let dialog = this.#newDialog()
    const expires = Math.ceil(this.#period) + GRACE
    // A phone with a long period stands for one that was there before: its binding ends during the siege.
    let wait = this.#period > this.#firstRefresh ? this.#firstRefresh * random() : this.#period
    while (!this.#isGone) {
      if (this.#incident !== null) {
        const restarted = this.#meet(this.#incident)
        this.#incident = null
        if (restarted) dialog = this.#newDialog()
        line = await this.#open(server)
      }
      if (!this.#reusesNonce) dialog.nonce = null
      const registration: Registration = { begun: clock(), ended: null, outcome: null }
      if (this.#mistypes > 0) registration.mistyped = true
      this.#registrations.push(registration)
      const password = `${this.#mistypes > 0 ? 'typo' : 'pw'}${this.#seat.user}`
      registration.outcome = await register(line, { ...this.#seat, password }, dialog, {
        server: server.address,
        expires,
        random,
      })
      registration.ended = clock()
      const spent = (registration.ended - registration.begun) / 1_000
      await this.#wait(Math.max(0.1, this.#next(registration, wait - spent)))
      wait = this.#period
    }
  }

  /** Something happens to it; it acts on that at its next registration, which is at once unless it cannot know. */
  befall(what: Incident): void {
    this.#incident = what
    if (what !== 'moves') this.#waiting.abort()
  }

  /** It is switched off: it sends nothing more, and `play` ends. */
  hangUp(): void {
    this.#isGone = true
    this.#waiting.abort()
    this.#line?.close()
  }

  #next(registration: Registration, rest: number): number {
    if (registration.mistyped) {
      this.#mistypes -= 1
      return between(TYPE_AGAIN, this.#random)
    }
    return registration.outcome === 'registered' ? rest : between(RETRY_AFTER, this.#random)
  }

  /** Gives whether it forgot everything. */
  #meet(what: Incident): boolean {
    switch (what) {
      case 'moves':
        this.#seat = movedSeat(this.#seat)
        return false
      case 'roams':
        this.#seat = roamedSeat(this.#seat)
        return false
      case 'reboots':
        return true
      case 'mistypes':
        this.#mistypes = 1 + Math.floor(this.#random() * MOST_MISTYPED)
        return true
    }
  }

  async #open(server: End): Promise<Line> {
    this.#packetsBefore += this.#line?.packetsSent ?? 0
    this.#line?.close()
    this.#line = await Line.open(this.#seat, server)
    return this.#line
  }

  #newDialog(): Dialog {
    const own = () => Math.floor(this.#random() * 2 ** 48).toString(16)
    return { callId: `${own()}@${this.#seat.address}`, tag: own(), cseq: 0, nonce: null }
  }

  async #wait(seconds: number): Promise<void> {
    // It happened while it was registering.
    if (this.#incident !== null && this.#incident !== 'moves') return
    this.#waiting = new AbortController()
    // Woken up: what befell it is acted on now.
    await pause(seconds * 1_000, undefined, { signal: this.#waiting.signal }).catch(() => {})
  }
}
