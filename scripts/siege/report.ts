import { showCount } from '../bench/figures.ts'
import type { CallerName, CallFigures } from './calls.ts'
import { grown } from './grown.ts'
import type { KernelTables } from './kernel-tables.ts'
import {
  convergedAfter,
  type KindFigures,
  kindsOf,
  NEWCOMER_TIME,
  type NewcomerFigures,
  newcomersOf,
  troubledFor,
  unansweredOf,
} from './phone-figures.ts'
import type { PhoneKind } from './phones/plan.ts'
import type { SiegeRecord } from './siege.ts'

/** Less idle than this and the machine was the limit, not what is measured. */
const SATURATED = 0.95

export interface SiegeFigures {
  readonly attack: string
  readonly guard: string
  readonly nonces: string
  readonly seconds: number
  readonly seed: number
  readonly share: number
  readonly attackPerSecond: number | null
  readonly attackSent: number | null
  readonly kinds: Readonly<Partial<Record<PhoneKind, KindFigures>>>
  readonly newcomers: NewcomerFigures
  /** Phones of each kind that the guard, or whatever else, kept out before anybody attacked. */
  readonly absent: Readonly<Partial<Record<PhoneKind, number>>>
  /** Phones that were registered before and heard nothing for 32 s in the attack. */
  readonly unanswered: number
  /** Milliseconds until all customers were served in time again; null: they always were. */
  readonly troubledFor: number | null
  /** Of a storm: milliseconds until its last phone was back; null where not all came back, or there was none. */
  readonly convergedAfter: number | null
  readonly storm: number
  readonly calls: Readonly<Record<CallerName, CallFigures>>
  /** Milliseconds from the flood's first packet; null where there was no flood, or no drop within 5 s. */
  readonly firstDropAfter: number | null
  /** The same of the moment at which a limit was crossed; null where that is not known. */
  readonly limitCrossedAfter: number | null
  /** Bytes. */
  readonly tables: KernelTables | null
  readonly honestBlocked: readonly string[]
  readonly bans: number
  readonly reachedPerSecond: number
  readonly answeredPerSecond: number
  /** Percent of one core, in user space, and beside it what the kernel does for these processes. */
  readonly cpu: Readonly<Record<string, number>> | null
  readonly cpuInKernel: Readonly<Record<string, number>> | null
  /** Bytes when they were most, those that processes share counted once. */
  readonly memory: Readonly<Record<string, number>> | null
  /** Of these, the buffers that the kernel captures into. */
  readonly rings: number | null
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
  const spent = (where: 'user' | 'system') =>
    after.figures &&
    Object.fromEntries(
      Object.entries(after.figures).map(([name, { [where]: time }]) => {
        const more = time - (before.figures?.[name]?.[where] ?? 0)
        return [name, more / seconds / 10] as const
      }),
    )
  const read = (after.arrived.read - before.arrived.read) / seconds
  const refused = (after.arrived.refused - before.arrived.refused) / seconds
  const busy =
    (after.machine.busy - before.machine.busy) / Math.max(1, after.machine.all - before.machine.all)
  const own = (after.machine.own - before.machine.own) / Math.max(1, after.machine.all - before.machine.all)
  return {
    attack: order.attack,
    guard: order.guard,
    nonces: order.nonces,
    seconds: order.seconds,
    seed: order.seed,
    share: order.share,
    attackPerSecond: flood ? flood.sent / flood.seconds : null,
    attackSent: flood?.sent ?? null,
    kinds: kindsOf(phones),
    newcomers: newcomersOf(phones),
    absent: record.absent,
    unanswered: unansweredOf(phones),
    troubledFor: troubledFor(phones),
    convergedAfter: convergedAfter(phones),
    storm: phones.phones.filter(({ kind }) => kind === 'storm').length,
    calls: record.calls,
    firstDropAfter: flood && record.firstDrop !== null ? Math.max(0, record.firstDrop - flood.begun) : null,
    limitCrossedAfter: record.limitCrossedAfter,
    tables: record.tables,
    honestBlocked: record.honestBans.map(({ target, by, reason }) => `${target} by ${by}: ${reason}`),
    bans: record.bans,
    reachedPerSecond: read + refused,
    answeredPerSecond: read,
    cpu: spent('user'),
    cpuInKernel: spent('system'),
    memory: record.memory?.kinds ?? null,
    rings: record.memory?.rings ?? null,
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
  const absent = showEach(figures.absent, showCount)
  if (absent) rows.push(['not registered even before the attack', absent])
  rows.push(['waited for 32 s without an answer', `${figures.unanswered} phones that had been registered`])
  if (figures.storm > 0) {
    const all = `${showCount(figures.storm)} phones`
    rows.push(['back after the outage', `${all}, the last after ${showTime(figures.convergedAfter)}`])
  }
  if (figures.kinds.customer) {
    const value = figures.troubledFor === null ? 'always' : `after ${showTime(figures.troubledFor)}`
    rows.push(['customers all served in time', value])
  }
  for (const [name, { begun, completed, broken }] of Object.entries(figures.calls)) {
    rows.push([`calls of the ${name}`, `${begun} begun, ${completed} completed, ${broken} broken`])
  }
  if (figures.firstDropAfter !== null)
    rows.push([
      'first drop',
      `${showTime(figures.firstDropAfter)}; a limit crossed ${showTime(figures.limitCrossedAfter)}`,
    ])
  if (figures.guard !== 'none') {
    rows.push(['honest blocked or suspended', showHonest(figures.honestBlocked)])
    rows.push(['blocks and suspensions in all', showCount(figures.bans)])
  }
  const { reachedPerSecond, answeredPerSecond } = figures
  rows.push([
    'reached the softswitch',
    `${showCount(reachedPerSecond)}/s, of which it read ${showCount(answeredPerSecond)}/s`,
  ])
  if (figures.cpu && figures.memory && Object.keys(figures.cpu).length > 0) {
    const percent = (values: Readonly<Record<string, number>>) =>
      `${sum(values).toFixed(1)} (${showEach(values, (value) => value.toFixed(1))})`
    rows.push(['processor in user space, % of a core', percent(figures.cpu)])
    rows.push(['the same in the kernel', percent(figures.cpuInKernel ?? {})])
    const memory = `${showMegabytes(sum(figures.memory))} (${showEach(figures.memory, showMegabytes)})`
    rows.push(['memory, MB', `${memory}, of it capture buffers ${showMegabytes(figures.rings ?? 0)}`])
  }
  if (figures.tables) {
    const { sets, limits } = figures.tables
    rows.push(["the kernel's tables, MB", `sets ${showMegabytes(sets)}, limits ${showMegabytes(limits)}`])
  }
  if (figures.framesSeen !== null) {
    rows.push(['frames', `${showCount(figures.framesSeen)} seen, ${showCount(figures.framesLost ?? 0)} lost`])
    rows.push(['limits', figures.strict ?? ''])
    rows.push(['dropped by the kernel', showEach(figures.dropped ?? {}, showCount) || 'nothing'])
  }
  if (figures.droppedBy) rows.push(['by these rules', showEach(figures.droppedBy, showCount) || 'none'])
  if (figures.full.length > 0) rows.push(['full', figures.full.join(' ')])
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

const sum = (values: Readonly<Record<string, number>>) =>
  Object.values(values).reduce((total, value) => total + value, 0)
const showMegabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
const showShare = (value: number | null) => (value === null ? '–' : `${(100 * value).toFixed(1)} %`)
const showTime = (value: number | null) => (value === null ? '–' : `${showCount(value)} ms`)
