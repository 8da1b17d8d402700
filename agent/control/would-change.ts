import type { SourceStory } from '../../dashboard/api/source-story.ts'
import { type Address, type Prefix, prefixContains } from '../../registrar/net/address.ts'
import { type EpochMilliseconds, showDuration } from '../../registrar/net/time.ts'
import { RETURNING_FOR } from '../detect/flood.ts'
import type { DetectionPolicy } from '../detect/verdict.ts'
import type { Decision } from '../journal/entries.ts'
import type { SourceKnowledge } from '../sensor/messages.ts'
import { moment } from './source-evidence.ts'
import { showTarget } from './views.ts'

/** Orders and blocks of one source that are told one by one. */
const MOST_DECISIONS = 3

export interface WouldChange {
  readonly address: Address
  readonly lane: SourceStory['lane']
  readonly standing: readonly Decision[]
  readonly configuredAllow: readonly Prefix[]
  readonly knowledge: SourceKnowledge | null
  readonly policy: Pick<DetectionPolicy, 'registerRetry' | 'registerSuspend' | 'registerSuspendTime'>
  readonly registered: NonNullable<SourceStory['registeredPorts']>
  readonly now: EpochMilliseconds
}

/** What would put a source in another lane: what it can do itself, what time does, and which order does. */
export function whatWouldChange(facts: WouldChange): readonly string[] {
  const { address, lane, standing, configuredAllow, registered, policy } = facts
  switch (lane) {
    case 'allowed':
      return configuredAllow.some((prefix) => prefixContains(prefix, address))
        ? ['it is on the allowlist of the configuration file: take it out there']
        : [`\`ringfence disallow\` of the entry that holds it (\`ringfence allowed\` lists them)`]
    case 'blocked':
    case 'suspended': {
      return [
        ...endsOf(facts),
        ...(registered.count > 0 && standing.some(isOfVerdict)
          ? [
              `its ${registered.count === 1 ? 'registered port stays' : `${registered.count} registered ports stay`} served meanwhile, but for a port that is suspended itself`,
            ]
          : []),
        `\`ringfence allow ${address}\` ends all of it, and no verdict reaches it again`,
      ]
    }
    case 'gateway':
      return ['its prefix is under gateways in the configuration: its calls a second are set there']
    case 'proven':
      return [
        'each port stays proven until its registration ends, and its next success renews it; from another port it would be returning',
        // Where it failed already, what counts is when that is over.
        ...(standing.length > 0 ? endsOf(facts) : howItFails(policy)),
      ]
    case 'answered':
      return [
        'a success makes its port proven; without one it is unknown again within a minute',
        ...howItFails(policy),
      ]
    case 'returning':
      return [
        `a registration with a nonce of its own would make its port proven; ${untilForgotten(facts)}`,
        ...howItFails(policy),
      ]
    case 'ignoring':
      return [
        'an answer to one of its challenges would take it out of this lane, and a success make its port proven',
      ]
    case 'unknown':
      return ['a registration with a nonce of its own would make its port proven', ...howItFails(policy)]
  }
}

function endsOf(facts: WouldChange): readonly string[] {
  const { standing } = facts
  const all = standing.slice(0, MOST_DECISIONS).map((decision) => endOf(decision, facts))
  const more = standing.length - all.length
  return more > 0 ? [...all, `and ${more} more that stand against it`] : all
}

function endOf(decision: Decision, { now }: WouldChange): string {
  const target = showTarget(decision)
  const order = `\`ringfence unblock ${target}\` ends it now`
  const what = `the ${decision.kind === 'block' ? 'block' : 'suspension'} of ${target}`
  if (decision.until === null) return `${what} stands until it is taken back: ${order}`
  return `${what} ends in ${showDuration((decision.until - now) / 1_000)}; ${order}`
}

/** The operator's own orders spare nobody. */
function isOfVerdict({ by }: Decision): boolean {
  return by !== 'operator'
}

function howItFails({
  registerRetry,
  registerSuspend,
  registerSuspendTime,
}: WouldChange['policy']): string[] {
  if (!registerSuspend) return []
  const span = showDuration(registerSuspendTime)
  return [`${registerRetry} failed registrations of one account in a row would suspend it for ${span}`]
}

function untilForgotten({ knowledge, now }: WouldChange): string {
  const success = moment(knowledge?.lastSuccess ?? null)
  const left = success === undefined ? undefined : success + RETURNING_FOR - now
  const when = left === undefined || left <= 0 ? 'some days' : showDuration(left / 1_000)
  return `without a success it is unknown again in ${when}`
}
