import type { LiveSnapshot, RatePoint } from '../../dashboard/api/status.ts'
import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { WeatherName } from '../decide/weather.ts'
import type { SensorSummary } from '../sensor/messages.ts'

const HISTORY_POINTS = 600
/** A block or so many drops a second within this time: an attack goes on. */
const ATTACK_MEMORY: Milliseconds = 30_000
const ATTACK_DROPS_A_SECOND = 50
/** After so long without any of that, the sentence says that the attack is over. */
const ATTACK_PAUSE: Milliseconds = 5_000
/** So many REGISTERs a second, of which so few lead to a success, are an attack too, from however many sources. */
const ATTACK_REGISTERS_A_SECOND = 500
const ATTACK_SUCCESS_SHARE = 0.05
/** What the kernel counted longer ago is none of now. */
const ARRIVALS_LAST: Milliseconds = 5_000

/** What is happening: the rates of the last minutes and the state in one sentence. */
export class Picture {
  readonly #history: RatePoint[] = []
  #lastBlockVerdict: EpochMilliseconds = 0
  #lastDropping: EpochMilliseconds = 0
  #lastUnanswered: EpochMilliseconds = 0
  #droppedBefore: { readonly at: EpochMilliseconds; readonly packets: number } | undefined
  #droppedPerSecond = 0
  #arrivals: { readonly perSecond: number; readonly at: EpochMilliseconds } | undefined

  get history(): readonly RatePoint[] {
    return this.#history
  }

  get latest(): RatePoint {
    return (
      this.#history.at(-1) ?? { time: 0, registers: 0, sipMessages: 0, successes: 0, failures: 0, cpu: 0 }
    )
  }

  summarised(summary: SensorSummary, cpu: number): void {
    const perSecond = (count: number) => Math.round(count / Math.max(summary.seconds, 0.001))
    this.#history.push({
      time: summary.time,
      registers: perSecond(summary.registers),
      sipMessages: perSecond(summary.sipMessages),
      successes: perSecond(summary.successes),
      failures: perSecond(summary.failures),
      ...(summary.lowerBounds ? this.#bounded(summary.time) : {}),
      cpu,
    })
    const { successes } = this.latest
    // Where answers are not seen, the lack of successes says nothing.
    const registers = this.latest.registers - perSecond(summary.unseenRegisters)
    if (registers >= ATTACK_REGISTERS_A_SECOND && successes < registers * ATTACK_SUCCESS_SHARE) {
      this.#lastUnanswered = summary.time
    }
    if (this.#history.length > HISTORY_POINTS) this.#history.shift()
  }

  /** Packets a second to SIP ports over UDP, as the kernel counted them. */
  arrived(perSecond: number, at: EpochMilliseconds): void {
    this.#arrivals = { perSecond: Math.round(perSecond), at }
  }

  #bounded(now: EpochMilliseconds): Pick<RatePoint, 'atLeast' | 'arrivals'> {
    const told = this.#arrivals
    return { atLeast: true, ...(told && now - told.at < ARRIVALS_LAST ? { arrivals: told.perSecond } : {}) }
  }

  blocked(at: EpochMilliseconds): void {
    this.#lastBlockVerdict = at
  }

  /** All that the kernel dropped so far. A counter that went back began anew. */
  dropped(packets: number, at: EpochMilliseconds): void {
    const before = this.#droppedBefore
    this.#droppedBefore = { at, packets }
    if (!before || at <= before.at) return
    this.#droppedPerSecond = Math.round((Math.max(0, packets - before.packets) * 1000) / (at - before.at))
    if (this.#droppedPerSecond >= ATTACK_DROPS_A_SECOND) this.#lastDropping = at
  }

  underAttack(now: EpochMilliseconds): boolean {
    return now - this.#lastSign < ATTACK_MEMORY
  }

  /** When an attack was last seen to go on. */
  get #lastSign(): EpochMilliseconds {
    return Math.max(this.#lastBlockVerdict, this.#lastDropping, this.#lastUnanswered)
  }

  /** For how many seconds an attack seems over; undefined while it goes on. Counters are not read every second. */
  #overFor(now: EpochMilliseconds): Seconds | undefined {
    const pause = now - this.#lastSign
    if (pause < ATTACK_PAUSE || this.#droppedPerSecond >= ATTACK_DROPS_A_SECOND) return undefined
    return Math.floor(pause / 1_000)
  }

  /** The state and its sentence, from what is known of the parts. */
  state(
    now: EpochMilliseconds,
    parts: {
      mode: 'enforce' | 'observe'
      off: boolean
      faults: readonly string[]
      weather: { readonly state: WeatherName; readonly why: string }
      blocks: number
      suspensions: number
    },
  ): Pick<LiveSnapshot, 'state' | 'sentence'> {
    const { registers, atLeast, arrivals = 0 } = this.latest
    const seen = `${count(registers)} ${registers === 1 ? 'REGISTER' : 'REGISTERs'}`
    const all = arrivals > registers ? ` of ${count(arrivals)} packets` : ''
    const rate = `${atLeast ? 'at least ' : ''}${seen}${all} a second`
    const suspended = parts.suspensions > 0 ? `, ${count(parts.suspensions)} suspended` : ''
    const stands = `${count(parts.blocks)} blocked${suspended}`
    if (parts.off) return { state: 'off', sentence: `Off: the kernel holds no rules of Ringfence. ${rate}.` }
    if (parts.faults.length > 0)
      return { state: 'degraded', sentence: `Not in order: ${parts.faults.join(' ')}` }
    const { weather } = parts
    const attack = this.underAttack(now) || weather.state === 'attack'
    const over = weather.state === 'attack' ? undefined : this.#overFor(now)
    if (parts.mode === 'observe') {
      const goesOn = over === undefined ? 'an attack goes on' : `an attack ended ${over} s ago`
      const calm = weather.state === 'recovery' ? 'phones come back all at once' : 'quiet'
      const what = attack && weather.state !== 'recovery' ? goesOn : calm
      return { state: 'observing', sentence: `Observing only, ${what}: ${rate}, ${stands} if enforced.` }
    }
    // Who comes back all at once is dropped in part, too; that is no attack.
    if (weather.state === 'recovery') {
      return { state: 'recovery', sentence: `Recovering: ${weather.why} ${rate}, ${stands}.` }
    }
    if (attack) {
      const drops = `the kernel drops ${count(this.#droppedPerSecond)} packets a second`
      const what = over === undefined ? 'Under attack' : `An attack ended ${over} s ago`
      return { state: 'attack', sentence: `${what}: ${rate}, ${drops}, ${stands}.` }
    }
    return { state: 'peace', sentence: `Quiet: ${rate}, ${stands}.` }
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
