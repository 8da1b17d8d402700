import type { EpochMilliseconds, Milliseconds, Seconds } from '../../registrar/net/time.ts'
import type { Expected } from './baseline.ts'
import { nextOutage, type Outage, type Silence } from './outage.ts'

/**
 * `attack`: far more REGISTERs than usual, and few of them succeed. `recovery`: known phones come back all at once,
 * and succeed; nobody is blocked for a rate then.
 */
export type WeatherName = 'peace' | 'attack' | 'recovery'

/** What the state is decided from, of one summary of the sensor. */
export interface WeatherSecond {
  readonly time: EpochMilliseconds
  readonly seconds: Seconds
  readonly registers: number
  /** Of sources that are in no lane of their own, each counted up to its own limit. */
  readonly unknownRegisters: number
  /** REGISTERs that the softswitch answered, in whatever way. */
  readonly answered: number
  readonly successes: number
  /** Those to ports whose answers are seen: a share of successes is one of these. */
  readonly sightedRegisters: number
  /** Accounts that registered within the last `RETURN_WINDOW` from sources with an earlier success. */
  readonly returned: number
  /** Phones that are known: registered now, or sources that registered within the last days. */
  readonly phones: number
  /** Whether registered phones wait for any answer at all. */
  readonly silence: Silence
  /** Not all that came was seen: REGISTERs are so many or more. */
  readonly lowerBounds: boolean
  /** Packets a second to SIP ports over UDP, by the kernel's own count; null where it has not told lately. */
  readonly arrivals: number | null
}

/** What a state was decided from, for people and for the journal. Rates are a second, over `seconds`. */
export interface WeatherFigures {
  readonly seconds: Seconds
  /** REGISTERs were so many or more in some of these seconds. */
  readonly atLeast: boolean
  /** Packets to SIP ports over UDP as the kernel counted them, the most of these seconds; null where it told nothing. */
  readonly arrivals: number | null
  readonly registers: number
  readonly unknownRegisters: number
  readonly sightedRegisters: number
  readonly answered: number
  readonly successes: number
  /** Successes of the REGISTERs to ports whose answers are seen; null where there were none. */
  readonly share: number | null
  /** The baseline of this hour; null while it is not learnt. */
  readonly usualRegisters: number | null
  readonly usualShare: number | null
  /** Over so many REGISTERs a second is far more than usual. */
  readonly bound: number
  readonly returned: number
  readonly phones: number
}

export interface WeatherState {
  readonly state: WeatherName
  readonly since: EpochMilliseconds
  /** In one sentence. */
  readonly why: string
  readonly figures: WeatherFigures
  /** The last ten seconds. */
  readonly recent: readonly WeatherSecond[]
  /** Since when an attack, or a return, is seen without a pause; and when each was seen last. */
  readonly attackSince: EpochMilliseconds | null
  readonly attackSeen: EpochMilliseconds
  readonly returnSince: EpochMilliseconds | null
  readonly returnSeen: EpochMilliseconds
  /** The most accounts that came back within the window, in this recovery. */
  readonly returnPeak: number
  /** The softswitch answers nobody; and when that was last so. */
  readonly outage: Outage | null
  readonly outageSeen: EpochMilliseconds
  /** Until when no recovery begins: the last one had its time. */
  readonly recoveryBarredUntil: EpochMilliseconds
}

/** Accounts that register are counted over so long. */
export const RETURN_WINDOW: Milliseconds = 30_000

const NEVER: EpochMilliseconds = Number.NEGATIVE_INFINITY
const SMOOTHED_OVER: Milliseconds = 10_000
/** A summary a second comes some milliseconds early or late. */
const LENIENCE: Milliseconds = 100
const ATTACK_FOR: Milliseconds = 5_000
const RETURN_FOR: Milliseconds = 2_000
/** Both end so long after they were last seen. */
const CALM_FOR: Milliseconds = 60_000
/** So long after an outage phones come back. */
const RETURN_AFTER_OUTAGE: Milliseconds = 600_000
/** Who comes back has come back by then; whoever makes it look like it has no more than that. */
const LONGEST_RECOVERY: Milliseconds = 900_000
const RECOVERY_BARRED_FOR: Milliseconds = 600_000
/** An attack that is over ends under so much of the bound that it began at. */
const BACK = 0.7
/** The share of successes has fallen when it is under so much of the usual one. */
const FALLEN = 0.5
/** Half of the REGISTERs of a quiet day are challenged, and half succeed; a little less where nobody knows. */
const USUAL_SHARE = 0.3
/** Fewer accounts at once are no storm; nor is less than so many times the usual. */
const FEWEST_RETURNED = 20
const RETURN_TIMES = 3
/** A storm is over when so small a part of it is left. */
const STORM_PART = 0.25
/** Of what is answered: a challenge and a success for each phone, with some that are stale. */
const RETURN_SHARE = 0.2
/** A phone sends its REGISTER eleven times in 32 s, sooner at first (RFC 3261 section 17.1.2.2). */
const MOST_A_PHONE = 2

const NO_FIGURES: WeatherFigures = {
  seconds: 0,
  atLeast: false,
  arrivals: null,
  registers: 0,
  unknownRegisters: 0,
  sightedRegisters: 0,
  answered: 0,
  successes: 0,
  share: null,
  usualRegisters: null,
  usualShare: null,
  bound: 0,
  returned: 0,
  phones: 0,
}

const PEACE = 'No more REGISTERs than usual, or as many of them succeed.'

export function peacefulSince(since: EpochMilliseconds): WeatherState {
  return {
    state: 'peace',
    since,
    why: PEACE,
    figures: NO_FIGURES,
    recent: [],
    attackSince: null,
    attackSeen: NEVER,
    returnSince: null,
    returnSeen: NEVER,
    returnPeak: 0,
    outage: null,
    outageSeen: NEVER,
    recoveryBarredUntil: NEVER,
  }
}

export interface WeatherSettings {
  readonly expected: Expected
  /** REGISTERs a second that all unknown sources together may send: the measure while nothing is learnt. */
  readonly total: number
}

/** The state that follows: at each summary of the sensor, and once a second without one. */
export function nextWeather(
  before: WeatherState,
  settings: WeatherSettings,
  { now, second }: { readonly now: EpochMilliseconds; readonly second?: WeatherSecond },
): WeatherState {
  const steady = notAfter(before, now)
  const seen = second ? see(steady, settings, second) : steady
  const next = decide(seen, now, settings)
  if (next === undefined) return seen
  const barred = seen.state === 'recovery' ? now + RECOVERY_BARRED_FOR : seen.recoveryBarredUntil
  return {
    ...seen,
    ...next,
    since: now,
    // A recovery that gave way to an attack is not barred from going on after it.
    recoveryBarredUntil: next.state === 'peace' ? barred : seen.recoveryBarredUntil,
  }
}

function see(before: WeatherState, settings: WeatherSettings, second: WeatherSecond): WeatherState {
  const now = second.time
  const recent = [...before.recent, second].filter(({ time }) => time > now - SMOOTHED_OVER && time <= now)
  const figures = figuresOf(recent, settings)
  const outage = nextOutage(before.outage, second.silence, now)
  const outageSeen = outage ? now : before.outageSeen
  const signs = signsOf(figures, settings, {
    holds: before.state,
    returnPeak: before.returnPeak,
    afterOutage: now - outageSeen < RETURN_AFTER_OUTAGE,
  })
  return {
    ...before,
    figures,
    recent,
    outage,
    outageSeen,
    // Nobody can make one: whoever made it look like a recovery before must not keep the phones of this one waiting.
    recoveryBarredUntil: outage ? NEVER : before.recoveryBarredUntil,
    attackSince: signs.attack ? (before.attackSince ?? now - second.seconds * 1_000) : null,
    attackSeen: signs.attack ? now : before.attackSeen,
    returnSince: signs.returning ? (before.returnSince ?? now - second.seconds * 1_000) : null,
    returnSeen: signs.returning ? now : before.returnSeen,
    returnPeak: before.state === 'recovery' ? Math.max(before.returnPeak, figures.returned) : 0,
  }
}

/** A clock that is set back must not hold a state up until it is where it was. */
function notAfter(state: WeatherState, now: EpochMilliseconds): WeatherState {
  if (state.since <= now && state.attackSeen <= now && state.returnSeen <= now && state.outageSeen <= now)
    return state
  const past = (at: EpochMilliseconds | null) => (at === null ? null : Math.min(at, now))
  return {
    ...state,
    since: Math.min(state.since, now),
    attackSince: past(state.attackSince),
    attackSeen: Math.min(state.attackSeen, now),
    returnSince: past(state.returnSince),
    returnSeen: Math.min(state.returnSeen, now),
    outage: state.outage && { ...state.outage, since: Math.min(state.outage.since, now) },
    outageSeen: Math.min(state.outageSeen, now),
    recoveryBarredUntil: Math.min(state.recoveryBarredUntil, now + RECOVERY_BARRED_FOR),
  }
}

function figuresOf(recent: readonly WeatherSecond[], { expected, total }: WeatherSettings): WeatherFigures {
  const seconds = Math.max(
    0.001,
    sum(recent, (each) => each.seconds),
  )
  const rate = (of: (each: WeatherSecond) => number) => sum(recent, of) / seconds
  const registers = rate((each) => each.registers)
  const successes = rate((each) => each.successes)
  const sightedRegisters = rate((each) => each.sightedRegisters)
  const ranges = expected.kind === 'learnt' ? expected.ranges : undefined
  const last = recent.at(-1)!
  const counted = recent.flatMap(({ arrivals }) => arrivals ?? [])
  return {
    seconds,
    atLeast: recent.some(({ lowerBounds }) => lowerBounds),
    arrivals: counted.length > 0 ? Math.max(...counted) : null,
    registers,
    unknownRegisters: rate((each) => each.unknownRegisters),
    answered: rate((each) => each.answered),
    successes,
    sightedRegisters,
    share: sightedRegisters > 0 ? successes / sightedRegisters : null,
    usualRegisters: ranges?.registers?.usual ?? null,
    usualShare: ranges?.share?.usual ?? null,
    bound: ranges?.registers?.high ?? total,
    returned: last.returned,
    phones: last.phones,
  }
}

function signsOf(
  figures: WeatherFigures,
  { expected }: WeatherSettings,
  {
    holds,
    returnPeak,
    afterOutage,
  }: { readonly holds: WeatherName; readonly returnPeak: number; readonly afterOutage: boolean },
): { readonly attack: boolean; readonly returning: boolean } {
  const { registers, unknownRegisters, sightedRegisters, answered, successes, share, phones, bound } = figures
  const isLearnt = expected.kind === 'learnt'
  // While nothing is learnt, only REGISTERs of strangers are known to be too many.
  const measured = isLearnt ? registers : unknownRegisters
  const isFar = measured > bound * (holds === 'attack' ? BACK : 1)
  const hasFallen = share !== null && share < (figures.usualShare ?? USUAL_SHARE) * FALLEN
  // Whoever writes the addresses of customers sends more than their phones could; the rest comes from strangers.
  const isStrange =
    unknownRegisters >= registers / 2 ||
    registers - unknownRegisters > Math.max(FEWEST_RETURNED, phones * MOST_A_PHONE)
  // Phones that nobody answers send again and again: that is what an outage looks like, and no attack.
  const isOutage = answered < sightedRegisters / 100 && !isStrange
  const usualReturned = isLearnt
    ? ((expected.ranges.successes?.usual ?? 0) * RETURN_WINDOW) / 1_000
    : Number.POSITIVE_INFINITY
  const many = Math.max(
    FEWEST_RETURNED,
    returnPeak * STORM_PART,
    afterOutage && !isLearnt ? 0 : usualReturned * RETURN_TIMES,
  )
  // Nobody without the passwords of many known accounts can make it look like this.
  const returning =
    figures.returned >= many && successes >= answered * RETURN_SHARE && successes > 0 && !isStrange
  return { attack: isFar && hasFallen && !isOutage && !returning, returning }
}

/** The figures of the seconds since then alone: what was before an attack began makes it look smaller. */
export function figuresSince(
  { recent, figures }: Pick<WeatherState, 'recent' | 'figures'>,
  since: EpochMilliseconds | null,
  settings: WeatherSettings,
): WeatherFigures {
  const those = since === null ? [] : recent.filter(({ time }) => time > since)
  return those.length === 0 ? figures : figuresOf(those, settings)
}

/** Undefined: it stays as it is. */
function decide(
  seen: WeatherState,
  now: EpochMilliseconds,
  settings: WeatherSettings,
): (Pick<WeatherState, 'state' | 'why'> & Partial<Pick<WeatherState, 'figures'>>) | undefined {
  // While the sensor says nothing, nothing begins.
  const last = seen.recent.at(-1)?.time ?? NEVER
  const lasts = (since: EpochMilliseconds | null, span: Milliseconds) =>
    since !== null && last - since >= span - LENIENCE
  const isAttack = lasts(seen.attackSince, ATTACK_FOR)
  const isReturn = lasts(seen.returnSince, RETURN_FOR) && now >= seen.recoveryBarredUntil
  const attack = () => {
    const figures = figuresSince(seen, seen.attackSince, settings)
    return { state: 'attack', why: sayAttack(figures), figures } as const
  }
  switch (seen.state) {
    case 'peace':
      if (isReturn) return { state: 'recovery', why: sayReturn(seen, now) }
      return isAttack ? attack() : undefined
    case 'attack':
      if (isReturn) return { state: 'recovery', why: sayReturn(seen, now) }
      return now - seen.attackSeen >= CALM_FOR
        ? {
            state: 'peace',
            why: 'For a minute there were not far more REGISTERs than usual, or they succeeded.',
          }
        : undefined
    case 'recovery':
      if (isAttack) return attack()
      if (now - seen.since >= LONGEST_RECOVERY)
        return { state: 'peace', why: 'A quarter of an hour is enough for every phone to come back.' }
      return now - seen.returnSeen >= CALM_FOR
        ? { state: 'peace', why: 'For a minute no more phones came back than usual.' }
        : undefined
  }
}

function sayAttack(figures: WeatherFigures): string {
  const { registers, share, usualRegisters, unknownRegisters, bound, atLeast, arrivals } = figures
  const than =
    usualRegisters === null
      ? `${shown(unknownRegisters)} of them of unknown sources (${shown(bound)} are too many)`
      : `usual at this hour: ${shown(usualRegisters)}, up to ${shown(bound)}`
  const seen = `${shown(registers)} REGISTERs`
  const all = arrivals === null || arrivals < registers ? '' : ` of ${shown(arrivals)} packets`
  return `${atLeast ? `At least ${seen}${all}` : seen} a second (${than}), and ${percent(share ?? 0)} of them succeed.`
}

function sayReturn({ figures: { returned }, outageSeen }: WeatherState, now: EpochMilliseconds): string {
  const after = now - outageSeen < RETURN_AFTER_OUTAGE ? ' after the softswitch had answered nobody' : ''
  return `${shown(returned)} known accounts registered within half a minute${after}.`
}

/** Small rates are shown exactly. */
function shown(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

function sum<T>(values: readonly T[], of: (value: T) => number): number {
  return values.reduce((total, value) => total + of(value), 0)
}
