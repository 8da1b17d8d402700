import { percentile, showCount } from '../bench/figures.ts'
import type { PhoneKind, PhoneRecord, PhonesResult, Registration } from './phones/plan.ts'
import { NEWCOMER_TIME, type SiegeRecord } from './siege.ts'

/** A registration counts as a success with a 200 within so many milliseconds. */
const IN_TIME = 4_000
/** Less idle than this and the machine was the limit, not what is measured. */
const SATURATED = 0.95

/** Of the registrations that phones of a kind began while the attack went on. */
export interface KindFigures {
  readonly phones: number
  readonly registrations: number
  /** With a 200 within 4 s, 0 to 1; null where there were none. */
  readonly success: number | null
  readonly late: number
  readonly refused: number
  readonly silence: number
  /** Milliseconds from the first packet to the 200, of those that got one; null where none did. */
  readonly p50: number | null
  readonly p99: number | null
}

export interface SiegeFigures {
  readonly attack: string
  readonly guard: string
  readonly nonces: string
  readonly seconds: number
  readonly seed: number
  readonly attackPerSecond: number | null
  readonly attackSent: number | null
  readonly kinds: Readonly<Partial<Record<PhoneKind, KindFigures>>>
  readonly newcomers: {
    readonly phones: number
    /** Of those who appeared early enough to have their 32 s in the attack, 0 to 1. */
    readonly within32: number | null
    readonly p50: number | null
    readonly p99: number | null
  }
  readonly honestBlocked: readonly string[]
  readonly decisions: number
  readonly reachedPerSecond: number
  readonly answeredPerSecond: number
  /** Percent of one core. */
  readonly cpu: Readonly<Record<string, number>> | null
  /** Bytes. */
  readonly memory: Readonly<Record<string, number>> | null
  readonly framesSeen: number | null
  readonly framesLost: number | null
  readonly strict: string | null
  readonly dropped: Readonly<Record<string, number>> | null
  /** The same by the rule that dropped them. */
  readonly droppedBy: Readonly<Record<string, number>> | null
  readonly full: readonly string[]
  readonly guesses: { readonly tries: number; readonly refused: number; readonly silent: number } | null
  /** Of all cores, 0 to 1. */
  readonly machineBusy: number
  /** Of all cores, what this siege took itself. */
  readonly machineOwn: number
  readonly queueDrops: number
  readonly saturated: boolean
  readonly phonesTimersLate: number
  readonly explained: SiegeRecord['explained']
}

export function figuresOf(record: SiegeRecord): SiegeFigures {
  const { order, phones, flood, before, after } = record
  const seconds = (after.time - before.time) / 1_000
  const spent = (name: 'daemon' | 'sensor' | 'capture') =>
    (after.figures![name].time - before.figures![name].time) / seconds / 10
  const read = (after.arrived.read - before.arrived.read) / seconds
  const refused = (after.arrived.refused - before.arrived.refused) / seconds
  const busy =
    (after.machine.busy - before.machine.busy) / Math.max(1, after.machine.all - before.machine.all)
  const own = (after.machine.own - before.machine.own) / Math.max(1, after.machine.all - before.machine.all)
  const kinds: Partial<Record<PhoneKind, KindFigures>> = {}
  for (const kind of ['customer', 'ordinary', 'newcomer', 'office'] as const) {
    const those = phones.phones.filter((phone) => phone.kind === kind)
    if (those.length > 0) kinds[kind] = kindFigures(those, phones)
  }
  return {
    attack: order.attack,
    guard: order.guard,
    nonces: order.nonces,
    seconds: order.seconds,
    seed: order.seed,
    attackPerSecond: flood ? flood.sent / flood.seconds : null,
    attackSent: flood?.sent ?? null,
    kinds,
    newcomers: newcomerFigures(phones),
    honestBlocked: record.honestDecisions.map(({ target, by, reason }) => `${target} by ${by}: ${reason}`),
    decisions: record.decisions,
    reachedPerSecond: read + refused,
    answeredPerSecond: read,
    cpu: after.figures && { daemon: spent('daemon'), sensor: spent('sensor'), capture: spent('capture') },
    memory: record.memory,
    framesSeen: after.status && after.status.sensor.framesSeen - before.status!.sensor.framesSeen,
    framesLost: after.status && after.status.sensor.framesLost - before.status!.sensor.framesLost,
    strict: after.status && `${after.status.strict.state}: ${after.status.strict.why}`,
    dropped: after.status && grown(before.status!.rules.dropped, after.status.rules.dropped),
    droppedBy: after.drops && grown(before.drops!, after.drops),
    full: after.status?.rules.full ?? [],
    guesses: record.guessers,
    machineBusy: busy,
    machineOwn: own,
    queueDrops: after.machine.queueDrops - before.machine.queueDrops,
    saturated: busy > SATURATED,
    phonesTimersLate: phones.timersLate,
    explained: record.explained,
  }
}

function kindFigures(phones: readonly PhoneRecord[], { attack, ended }: PhonesResult): KindFigures {
  const during = phones.flatMap(({ registrations }) =>
    registrations.filter(
      ({ begun }) => begun >= (attack.begun ?? 0) && begun < Math.min(attack.ended ?? ended, ended - IN_TIME),
    ),
  )
  const got = during.filter(({ outcome }) => outcome === 'registered')
  const times = got.map(timeOf)
  const count = (outcome: Registration['outcome']) => during.filter((one) => one.outcome === outcome).length
  return {
    phones: phones.length,
    registrations: during.length,
    success: share(times.filter((time) => time <= IN_TIME).length, during.length),
    late: times.filter((time) => time > IN_TIME).length,
    refused: count('refused'),
    silence: count('silence') + count(null),
    p50: orNull(percentile(times, 0.5)),
    p99: orNull(percentile(times, 0.99)),
  }
}

/** From a newcomer's first packet to its first 200, whatever it had to try in between. */
function newcomerFigures({ phones, attack, ended }: PhonesResult): SiegeFigures['newcomers'] {
  const end = attack.ended ?? ended
  const those = phones.filter(({ kind, registrations: [first] }) => {
    // One second less: the last of them appears when the attack has 32 s to go, give or take its start.
    return kind === 'newcomer' && first !== undefined && first.begun + (NEWCOMER_TIME - 1) * 1_000 <= end
  })
  const times = those.flatMap(({ registrations }) => {
    const success = registrations.find(({ outcome }) => outcome === 'registered')
    return success ? [success.ended! - registrations[0]!.begun] : []
  })
  return {
    phones: those.length,
    within32: share(times.filter((time) => time <= NEWCOMER_TIME * 1_000).length, those.length),
    p50: orNull(percentile(times, 0.5)),
    p99: orNull(percentile(times, 0.99)),
  }
}

const timeOf = ({ begun, ended }: Registration) => ended! - begun
const share = (part: number, all: number) => (all === 0 ? null : part / all)
const orNull = (value: number) => (Number.isNaN(value) ? null : Math.round(value))

function grown(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(after)
      .map(([cause, packets]) => [cause, packets - (before[cause] ?? 0)] as const)
      .filter(([, packets]) => packets > 0),
  )
}

/** What a person reads: one row a figure. */
export function renderFigures(figures: SiegeFigures): string {
  const rows: [string, string][] = [
    ['attack', `${figures.attack}, ${figures.seconds} s, nonces ${figures.nonces}, seed ${figures.seed}`],
    ['guard', figures.guard],
  ]
  if (figures.attackPerSecond !== null) {
    rows.push(['sent', `${showCount(figures.attackSent!)} packets, ${showCount(figures.attackPerSecond)}/s`])
  }
  if (figures.guesses) {
    const { tries, refused, silent } = figures.guesses
    rows.push(['guesses', `${tries} tries, ${refused} told wrong, ${silent} unanswered`])
  }
  for (const [kind, one] of Object.entries(figures.kinds)) {
    const failed = `${one.late} late, ${one.silence} unanswered, ${one.refused} refused`
    rows.push([
      `${kind}: registered within 4 s`,
      `${showShare(one.success)} of ${one.registrations}; p50 ${showTime(one.p50)}, p99 ${showTime(one.p99)}; ${failed}`,
    ])
  }
  const { phones, within32, p50, p99 } = figures.newcomers
  if (phones > 0) {
    const value = `${showShare(within32)} of ${phones}; p50 ${showTime(p50)}, p99 ${showTime(p99)}`
    rows.push([`newcomers within ${NEWCOMER_TIME} s`, value])
  }
  if (figures.guard !== 'none') {
    rows.push(['honest blocked or suspended', showHonest(figures.honestBlocked)])
    rows.push(['blocks and suspensions in all', showCount(figures.decisions)])
  }
  const { reachedPerSecond, answeredPerSecond } = figures
  rows.push([
    'reached the softswitch',
    `${showCount(reachedPerSecond)}/s, of which it read ${showCount(answeredPerSecond)}/s`,
  ])
  if (figures.cpu && figures.memory) {
    rows.push(['processor time, % of a core', showEach(figures.cpu, (value) => value.toFixed(1))])
    rows.push(['memory, MB', showEach(figures.memory, (value) => (value / 1e6).toFixed(0))])
    const seen = `${showCount(figures.framesSeen ?? 0)} seen, ${showCount(figures.framesLost ?? 0)} lost`
    rows.push(['frames', seen])
    rows.push(['limits', figures.strict ?? ''])
    rows.push(['dropped by the kernel', showEach(figures.dropped ?? {}, showCount) || 'nothing'])
    rows.push(['by these rules', showEach(figures.droppedBy ?? {}, showCount) || 'none'])
    if (figures.full.length > 0) rows.push(['full', figures.full.join(' ')])
  }
  const percent = (value: number) => `${(100 * value).toFixed(0)} %`
  const machine = `${percent(figures.machineBusy)} busy (${percent(figures.machineOwn)} by this siege)${figures.saturated ? ', SATURATED' : ''}`
  const drops = `${showCount(figures.queueDrops)} packets lost in queues`
  rows.push([
    'machine',
    `${machine}, ${drops}, phones' timers up to ${figures.phonesTimersLate.toFixed(0)} ms late`,
  ])
  for (const { address, lane, reason } of figures.explained)
    rows.push([`late: ${address}`, `${lane}: ${reason}`])
  return ['| what | figure |', '|---|---|', ...rows.map(([what, value]) => `| ${what} | ${value} |`)].join(
    '\n',
  )
}

function showEach(values: Readonly<Record<string, number>>, show: (value: number) => string): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${show(value)}`)
    .join(', ')
}

function showHonest(those: readonly string[]): string {
  return those.length === 0 ? '0' : `${those.length}: ${those.slice(0, 5).join('; ')}`
}

const showShare = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(1)} %`)
const showTime = (value: number | null) => (value === null ? '–' : `${showCount(value)} ms`)
