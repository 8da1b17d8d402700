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
import type { JudgedSource, Measure, PolicyRun, TouchedPhone } from './policy-run.ts'

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
  const changes: Record<ChangeKind, SourceChange[]> = { new: [], gone: [], harder: [], softer: [] }
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
    },
    same,
    notes: [
      ...about.notes,
      ...(notKept > 0 ? [`${notKept} verdicts were about more sources than a comparison keeps apart`] : []),
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

function targetOf({ port, address }: Verdict): string {
  return port === null ? showPrefix(sourcePrefixOf(address)) : showSource({ address, port })
}

/** Undefined where both do the same, for as long. */
function kindOf(was: JudgedSource | undefined, becomes: JudgedSource | undefined): ChangeKind | undefined {
  const [old, next] = [hardestOf(was), hardestOf(becomes)]
  if (!next) return old ? 'gone' : undefined
  if (!old) return 'new'
  if (old.rank !== next.rank) return next.rank > old.rank ? 'harder' : 'softer'
  // What only informs lasts no time.
  if (old.rank <= INFORMS || Math.abs(old.lasted - next.lasted) < 1_000) return undefined
  return next.lasted > old.lasted ? 'harder' : 'softer'
}

interface Hardest {
  readonly rank: number
  /** The first of its rank, and what all of that rank come to. */
  readonly measure: Measure
  readonly count: number
  readonly lasted: number
}

function hardestOf(judged: JudgedSource | undefined): Hardest | undefined {
  const all = [...(judged?.measures ?? []), ...(judged?.informing ?? [])]
  const rank = Math.max(...all.map(({ verdict }) => rankOf(verdict)))
  const ofRank = all.filter(({ verdict }) => rankOf(verdict) === rank)
  const [measure] = ofRank
  if (!measure) return undefined
  return {
    rank,
    measure,
    count: ofRank.reduce((sum, { count }) => sum + count, 0),
    lasted: ofRank.reduce((sum, { lasted }) => sum + lasted, 0),
  }
}

const INFORMS = 2

/** From the softest: what informs, one port, the address, everything on the SIP ports. */
function rankOf({ action, port, scope }: Verdict): number {
  if (action === 'alert') return 1
  if (action === 'limit') return INFORMS
  if (port !== null) return action === 'suspend' ? 3 : 4
  if (action === 'suspend') return 5
  return scope === 'register' ? 6 : 7
}

function changeOf(
  source: Prefix,
  was: JudgedSource | undefined,
  becomes: JudgedSource | undefined,
): SourceChange {
  return {
    source: showPrefix(source),
    before: judgementOf(hardestOf(was)),
    after: judgementOf(hardestOf(becomes)),
    phonesTouched: becomes?.phonesTouched ?? 0,
  }
}

function judgementOf(hardest: Hardest | undefined): SourceJudgement | null {
  if (!hardest) return null
  const { measure, count, lasted, rank } = hardest
  const { name, action, scope, grade, reason } = measure.verdict
  return {
    verdict: name,
    action,
    scope,
    target: targetOf(measure.verdict),
    first: measure.from,
    count,
    seconds: rank <= INFORMS ? 0 : Math.round(lasted / 1_000),
    grade,
    reason: cut(reason),
  }
}

/** Those that touch registered phones first, then the hardest. */
function shorten(changes: readonly SourceChange[]): ChangesOfKind {
  const weight = ({ before, after }: SourceChange) => (after ?? before)?.seconds ?? 0
  const sorted = [...changes].sort((a, b) => b.phonesTouched - a.phonesTouched || weight(b) - weight(a))
  return { count: changes.length, first: sorted.slice(0, MOST_SHOWN) }
}

function cut(reason: string): string {
  return reason.length > LONGEST_REASON ? `${reason.slice(0, LONGEST_REASON - 1)}…` : reason
}
