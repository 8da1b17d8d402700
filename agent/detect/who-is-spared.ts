import type { ExchangeEnded } from '../observe/observation.ts'
import type { FailingAddress } from './failing-address.ts'
import { type FailingPort, TRIES_OF_A_PHONE } from './failing-port.ts'
import { type FailingSource, OFFICE } from './failing-source.ts'
import { FEWEST_ACCOUNTS, PORTS_A_PHONE } from './looks-like-phones.ts'
import type { ProvenPorts } from './proven-ports.ts'
import type { Verdict } from './verdict.ts'

/** A phone that fails does so some times in ten minutes; beyond this for each good account, guessing is what goes on. */
const FAILURES_A_GOOD_ACCOUNT = 10
/** An SBC or proxy brings many accounts from one port: for one that fails the others must not suffer. */
const ACCOUNTS_OF_AN_AGGREGATOR = 2
/** Over TCP one is enough, since a cut connection is cut for all that it carries. */
const ACCOUNTS_OF_A_SHARED_CONNECTION = 1

/** Whether failures outweigh the good traffic of an address so far that its unproven ports may go together. */
export function isSmallShare(
  address: FailingAddress,
  { goodAccounts: good, seenGood, liveBinding, stranger }: FailingSource,
  { time, transport }: ExchangeEnded,
): boolean {
  // Just restarted: who is good there is not known yet, so his port alone is what a failure costs.
  if (seenGood === 0 && liveBinding) return false
  if (good >= OFFICE) return false
  const accounts = address.accounts.names(time)
  const failures = address.accounts.events(time)
  // Over TCP a phone with a wrong password may have a new port for each try: what tells it from a guesser is its pace.
  const isPaceOfPhones = transport === 'udp' || failures <= TRIES_OF_A_PHONE * accounts
  if (transport === 'tcp' && accounts < FEWEST_ACCOUNTS && isPaceOfPhones) return false
  if (isPaceOfPhones && address.looksLikePhones(time, { good, stranger })) return false
  // Phones with wrong passwords have an account and a port or two each; who has many more ports than that hops.
  const fewPorts = transport === 'tcp' || address.ports.names(time) <= PORTS_A_PHONE * accounts
  if (isPaceOfPhones && good >= 2 && good >= accounts && fewPorts) return false
  return failures > FAILURES_A_GOOD_ACCOUNT * good
}

/**
 * A port that brings more good accounts than failing ones is an SBC's or a PBX's: its failing accounts only inform. Not
 * where it fails faster than phones do: the owner of two accounts guesses from their port for ever. An SBC's port over UDP
 * is spared even then, since one mad phone behind it is no reason to cut off its others.
 */
export function sparing(
  verdict: Verdict,
  { source, account, time, transport }: ExchangeEnded,
  {
    about,
    port,
    address,
    provenPorts,
  }: {
    readonly about: FailingSource
    readonly port: FailingPort
    readonly address: FailingAddress
    readonly provenPorts: ProvenPorts
  },
): Verdict {
  if (verdict.port === null) return verdict
  const isTcp = transport === 'tcp'
  if (port.isTooFast(time) && (isTcp || !about.isAggregator)) return verdict
  const failing = address.accounts.names(time)
  const others = provenPorts.othersAt(source, account, time)
  const spare = (why: string): Verdict => ({
    ...verdict,
    action: 'limit',
    scope: 'register',
    reason: `${verdict.reason}; not ${isTcp ? 'cut off' : 'suspended'}, since ${why}`,
  })
  const enough = isTcp ? ACCOUNTS_OF_A_SHARED_CONNECTION : ACCOUNTS_OF_AN_AGGREGATOR
  const failingThere = isTcp ? port.allAccounts(time) : failing
  if (others.count >= enough && (failingThere <= others.count || others.more)) {
    const [are, s] = others.count === 1 ? ['is', ''] : ['are', 's']
    return spare(
      `${others.count}${others.more ? ' or more' : ''} other account${s} ${are} registered from this very port`,
    )
  }
  if (isTcp && about.isAggregator) return spare('an SBC or proxy brings many accounts from this address')
  if (about.restored > ACCOUNTS_OF_AN_AGGREGATOR && provenPorts.isUnheardOf(source)) {
    return spare(
      `${about.restored} accounts were registered here before the restart, maybe from this very port`,
    )
  }
  return verdict
}
