import type { EpochMilliseconds, Milliseconds } from '../../registrar/net/time.ts'

/** So many REGISTERs, seen over at least so long, without one packet that entered our chains. */
const UNJUDGED_REGISTERS = 20
const UNJUDGED_FOR: Milliseconds = 5_000

/** What is known of the way that packets take: past our rules, or around them. A plain value. */
export interface PathEvidence {
  /** Packets that the rules had judged at the last look; undefined before the first one. */
  readonly judged: number | undefined
  /** When they were last seen to grow (or looked at first). REGISTERs from before then are no evidence. */
  readonly judgedAt: EpochMilliseconds
  /** REGISTERs seen since, and from when to when they came. */
  readonly registers: number
  readonly firstAt: EpochMilliseconds
  readonly lastAt: EpochMilliseconds
  /** Since when it is known that packets go around the rules; null while they do not. */
  readonly aroundSince: EpochMilliseconds | null
}

export const NO_PATH_EVIDENCE: PathEvidence = {
  judged: undefined,
  judgedAt: 0,
  registers: 0,
  firstAt: 0,
  lastAt: 0,
  aroundSince: null,
}

export type PathSighting =
  /** The sensor counted REGISTERs to protected ports between two moments. */
  | {
      readonly kind: 'registers'
      readonly from: EpochMilliseconds
      readonly to: EpochMilliseconds
      readonly count: number
    }
  /** The kernel's counters were read: packets to protected ports that entered the chains so far. */
  | { readonly kind: 'judged'; readonly at: EpochMilliseconds; readonly packets: number }
  /** There are no rules to judge anything: observe mode, off, or not applied. */
  | { readonly kind: 'no-rules' }

/**
 * Weighs whether packets pass our rules at all. The sensor sees a packet before netfilter does and tells of it up to
 * a second later, so only REGISTERs of a time that began after the counters last grew count, and only a look at the
 * counters decides.
 */
export function weighPath(evidence: PathEvidence, sighting: PathSighting): PathEvidence {
  switch (sighting.kind) {
    case 'no-rules':
      return NO_PATH_EVIDENCE
    case 'registers': {
      const { from, to, count } = sighting
      if (count === 0 || evidence.judged === undefined || from < evidence.judgedAt) return evidence
      const firstAt = evidence.registers === 0 ? from : evidence.firstAt
      return { ...evidence, registers: evidence.registers + count, firstAt, lastAt: to }
    }
    case 'judged': {
      const { at, packets } = sighting
      if (packets !== evidence.judged) return { ...NO_PATH_EVIDENCE, judged: packets, judgedAt: at }
      const { registers, firstAt, lastAt, aroundSince } = evidence
      const isAround = registers >= UNJUDGED_REGISTERS && lastAt - firstAt >= UNJUDGED_FOR
      return isAround && aroundSince === null ? { ...evidence, aroundSince: firstAt } : evidence
    }
  }
}

/** What to look at where packets go around the rules; null where they do not. */
export function sayNotInPath(
  evidence: PathEvidence,
  protect: { readonly interfaces: readonly string[]; readonly addresses: 'local' | readonly unknown[] },
): string | null {
  if (evidence.aroundSince === null) return null
  const where = protect.addresses === 'local' ? 'addresses of this host' : 'the protected addresses'
  return (
    `Not in the path: ${evidence.registers.toLocaleString('en-US')} REGISTERs to ${where} were seen on ` +
    `${protect.interfaces.join(', ')} and no rule judged one packet. Look for a bridge without ` +
    'net.bridge.bridge-nf-call-iptables=1 (and br_netfilter loaded), a softswitch in another network namespace ' +
    '(a container), an XDP program before netfilter, or a wrong protect.interfaces or protect.addresses.'
  )
}
