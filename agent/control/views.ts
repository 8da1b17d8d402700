import type { DecisionView } from '../../dashboard/api/decisions.ts'
import type { VerdictView } from '../../dashboard/api/source-story.ts'
import { type Prefix, showPrefix, showSource } from '../../registrar/net/address.ts'
import type { EpochMilliseconds } from '../../registrar/net/time.ts'
import type { Block } from '../../rules/desired-state.ts'
import type { Counted, KernelCounters } from '../../rules/status.ts'
import { OPERATOR } from '../decide/kernel-items.ts'
import type { Decision, VerdictEntry } from '../journal/entries.ts'

/** Packets that the kernel dropped for each target, by the key that `decisionView` asks with. */
export type DropIndex = ReadonlyMap<string, Counted>

export function indexDrops(counters: KernelCounters): DropIndex {
  const index = new Map<string, Counted>()
  for (const { block, packets, bytes } of counters.blocks) {
    index.set(blockKey(block), { packets, bytes })
  }
  for (const { suspension, packets, bytes } of counters.suspensions) {
    index.set(`${suspension.address} ${suspension.port}`, { packets, bytes })
  }
  return index
}

export function decisionView(decision: Decision, now: EpochMilliseconds, drops?: DropIndex): DecisionView {
  const { target } = decision
  const counted = drops?.get(
    target.kind === 'prefix'
      ? blockKey({ target: target.prefix, scope: decision.scope, sparesProven: decision.by !== OPERATOR })
      : `${target.address} ${target.port}`,
  )
  return {
    id: decision.id,
    kind: decision.kind,
    target: showTarget(decision),
    scope: decision.scope,
    since: decision.since,
    until: decision.until,
    secondsLeft: decision.until === null ? null : Math.max(0, Math.ceil((decision.until - now) / 1000)),
    ...(decision.endedAt === null ? {} : { endedAt: decision.endedAt }),
    ...(decision.endedAt === null || decision.endedBy === null ? {} : { endedBy: decision.endedBy }),
    by: decision.by,
    grade: decision.grade,
    reason: decision.reason,
    evidence: decision.who === null ? decision.evidence : { ...decision.evidence, orderedBy: decision.who },
    packetsDropped: counted?.packets ?? null,
    bytesDropped: counted?.bytes ?? null,
  }
}

/** The operator's block and a verdict's of one target stand beside each other. */
function blockKey({ target, scope, sparesProven }: Pick<Block, 'target' | 'scope' | 'sparesProven'>): string {
  return `${scope} ${sparesProven ? 'but the proven' : 'all'} ${target}`
}

/** `203.0.113.7`, `203.0.113.0/24`, `203.0.113.7:5062`, `[2001:db8::1]:5062`. */
export function showTarget({ target }: Pick<Decision, 'target'>): string {
  if (target.kind === 'prefix') return showPrefix(target.prefix)
  return showSource(target)
}

export function verdictView(entry: VerdictEntry): VerdictView {
  const { time, name, port, action, scope, grade, reason, evidence } = entry
  return { time, ...(name === undefined ? {} : { name }), port, action, scope, grade, reason, evidence }
}

export function showPrefixes(prefixes: readonly Prefix[]): string[] {
  return prefixes.map(showPrefix)
}
