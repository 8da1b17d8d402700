import type {
  ChangeKind,
  ChangesOfKind,
  ComparisonView,
  PhonesOfKind,
  PolicySide,
  SourceChange,
  SourceJudgement,
} from '../../dashboard/api/comparison.ts'
import { type Prefix, showPrefix, showSource, sourcePrefixOf } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Verdict } from '../detect/verdict.ts'
import type { Deed, JudgedSource } from './judged-source.ts'
import type { PolicyRun, TouchedPhone } from './policy-run.ts'

const MOST_SHOWN = 50
const LONGEST_REASON = 300

export interface NamedRun {
  readonly name: string
  readonly run: PolicyRun
}

/** What the second policy decides otherwise than the first, over the same traffic. */
export function comparePolicies(
  before: NamedRun,
  after: NamedRun,
  about: {
    readonly from: EpochMilliseconds | null
    readonly to: EpochMilliseconds | null
    readonly notes: readonly string[]
  },
): ComparisonView {
  const changes: Record<ChangeKind, SourceChange[]> = {
    new: [],
    gone: [],
    harder: [],
    softer: [],
    other: [],
  }
  let same = 0
  for (const source of new Set([...before.run.judged.keys(), ...after.run.judged.keys()])) {
    const [was, becomes] = [before.run.judged.get(source), after.run.judged.get(source)]
    const kind = kindOf(was, becomes)
    if (kind === undefined) same++
    else changes[kind].push(changeOf(source, was, becomes))
  }
  const notKept = before.run.counts.notKept + after.run.counts.notKept
  return {
    from: about.from,
    to: about.to,
    before: sideOf(before),
    after: sideOf(after),
    phones: {
      registered: after.run.phones.registered,
      touched: onlyIn(after.run, before.run),
      relieved: onlyIn(before.run, after.run),
      spared: after.run.spared.size,
    },
    changes: {
      new: shorten(changes.new),
      gone: shorten(changes.gone),
      harder: shorten(changes.harder),
      softer: shorten(changes.softer),
      other: shorten(changes.other),
    },
    same,
    notes: [
      ...about.notes,
      ...(notKept > 0
        ? [`${notKept} verdicts were about more sources or ports than a comparison keeps apart`]
        : []),
    ],
  }
}

function sideOf({ name, run }: NamedRun): PolicySide {
  const { blocks, suspensions, informing } = run.counts
  return { name, blocks, suspensions, informing, sources: run.judged.size, phonesTouched: run.touched.size }
}

function onlyIn(run: PolicyRun, other: PolicyRun): PhonesOfKind {
  const phones = [...run.touched].filter(([key]) => !other.touched.has(key)).map(([, phone]) => phone)
  return { count: phones.length, first: phones.slice(0, MOST_SHOWN).map(shownPhone) }
}

function shownPhone({ phone: { account, source }, time, verdict }: TouchedPhone) {
  return { account, source: showSource(source), time, by: `${sayWhat(verdict)}: ${cut(verdict.reason)}` }
}

/** `suspend of 198.51.100.7:5060 (retry-limit)` */
function sayWhat(verdict: Verdict): string {
  return `${verdict.action} of ${targetOf(verdict)} (${verdict.name})`
}

function targetOf({ port, address, prefix }: Verdict): string {
  return port === null ? showPrefix(prefix ?? sourcePrefixOf(address)) : showSource({ address, port })
}

/** Undefined where both do the same: as often, for as long, from the same moment on. */
function kindOf(was: JudgedSource | undefined, becomes: JudgedSource | undefined): ChangeKind | undefined {
  if (!was) return 'new'
  if (!becomes) return 'gone'
  for (const rank of RANKS) {
    const [old, next] = [sumOf(was, rank), sumOf(becomes, rank)]
    // Of one port that is suspended often and one that is suspended for long, the time decides.
    const difference =
      beyond(next.lasted - old.lasted, 1_000) ||
      next.count - old.count ||
      beyond(old.first - next.first, 1_000)
    if (difference !== 0) return difference > 0 ? 'harder' : 'softer'
  }
  return isSame(was, becomes) ? undefined : 'other'
}

/** A difference, or 0 where it is less than that. Two that never were (infinite) do not differ. */
function beyond(difference: number, least: number): number {
  return Math.abs(difference) < least || Number.isNaN(difference) ? 0 : difference
}

/** What informs may differ, and the rules and ports of what is as hard. */
function isSame(was: JudgedSource, becomes: JudgedSource): boolean {
  if (was.deeds.size !== becomes.deeds.size) return false
  return [...was.deeds].every(([key, old]) => {
    const next = becomes.deeds.get(key)
    return (
      next !== undefined &&
      old.count === next.count &&
      old.targets === next.targets &&
      targetOf(old.verdict) === targetOf(next.verdict) &&
      beyond(next.lasted - old.lasted, 1_000) === 0 &&
      beyond(next.first - old.first, 1_000) === 0
    )
  })
}

const INFORMS = 2
/** Of what keeps packets out, from the hardest. */
const RANKS = [7, 6, 5, 4, 3] as const

/** From the softest: what informs, one port, the address, everything on the SIP ports. */
function rankOf({ action, port, scope }: Verdict): number {
  if (action === 'alert') return 1
  if (action === 'limit') return INFORMS
  if (port !== null) return action === 'suspend' ? 3 : 4
  if (action === 'suspend') return 5
  return scope === 'register' ? 6 : 7
}

/** What all rules of one rank come to. */
function sumOf({ deeds }: JudgedSource, rank: number): Pick<Deed, 'count' | 'lasted' | 'first'> {
  const sum = { count: 0, lasted: 0, first: Number.POSITIVE_INFINITY }
  for (const { verdict, count, lasted, first } of deeds.values()) {
    if (rankOf(verdict) !== rank) continue
    sum.count += count
    sum.lasted += lasted
    sum.first = Math.min(sum.first, first)
  }
  return sum
}

function changeOf(
  source: Prefix,
  was: JudgedSource | undefined,
  becomes: JudgedSource | undefined,
): SourceChange {
  return {
    source: showPrefix(source),
    before: judgementsOf(was),
    after: judgementsOf(becomes),
    phonesTouched: becomes?.phonesTouched ?? 0,
  }
}

/** The hardest first; of one rank what lasts longest, then what was first. */
function judgementsOf(judged: JudgedSource | undefined): readonly SourceJudgement[] {
  return [...(judged?.deeds.values() ?? [])]
    .sort((a, b) => rankOf(b.verdict) - rankOf(a.verdict) || b.lasted - a.lasted || a.first - b.first)
    .map(judgementOf)
}

function judgementOf({ verdict, first, count, targets, lasted }: Deed): SourceJudgement {
  const { name, action, scope, grade, reason } = verdict
  return {
    verdict: name,
    action,
    scope,
    target: targetOf(verdict),
    targets,
    first,
    count,
    seconds: Math.round(lasted / 1_000),
    grade,
    reason: cut(reason),
  }
}

/** Those that touch registered phones first, then what lasts longest. */
function shorten(changes: readonly SourceChange[]): ChangesOfKind {
  const weight = ({ before, after }: SourceChange) =>
    (after.length > 0 ? after : before).reduce((sum, { seconds }) => sum + seconds, 0)
  const sorted = [...changes].sort((a, b) => b.phonesTouched - a.phonesTouched || weight(b) - weight(a))
  return { count: changes.length, first: sorted.slice(0, MOST_SHOWN) }
}

function cut(reason: string): string {
  return reason.length > LONGEST_REASON ? `${reason.slice(0, LONGEST_REASON - 1)}…` : reason
}
