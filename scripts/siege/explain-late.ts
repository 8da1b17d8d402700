import type { Ringfence } from './guards/ringfence.ts'
import type { PhonesResult } from './phones/plan.ts'
import { IN_TIME } from './phones/served.ts'

/** What Ringfence says of a phone that was not registered in time. */
export interface Explained {
  readonly address: string
  readonly lane: string
  readonly reason: string
}

const MOST_EXPLAINED = 5
/** Milliseconds; whoever registered within them is not asked about. */
const LONG = 32_000

const NO_STORY = {
  lane: 'unknown',
  laneReason: 'it has no story',
  registers: 0,
  challenges: 0,
  successes: 0,
} as const

/** What the guard knows of phones that waited for longer than a newcomer has, or to the end. */
export async function explainLate(
  guard: Ringfence,
  { phones, attack, ended: end }: PhonesResult,
): Promise<readonly Explained[]> {
  const since = attack.begun ?? 0
  const late = phones.flatMap(({ kind, address, port, registrations }) => {
    const waited = registrations.filter(
      ({ begun, ended, outcome, mistyped }) =>
        !mistyped &&
        begun >= since &&
        // What was begun just before the end was not answered for no other reason.
        (ended ?? end) - begun > IN_TIME &&
        (outcome !== 'registered' || ended! - begun > LONG),
    )
    return waited.length === 0 ? [] : [{ kind, address, port, waited }]
  })
  const stories = late.slice(0, MOST_EXPLAINED).map(async ({ kind, address, port, waited }) => {
    // Whom nothing was ever seen of has no story.
    const story = await guard.explain(address).catch(() => null)
    const { lane, laneReason, registers, challenges, successes } = story ?? NO_STORY
    const counts = `${registers} REGISTERs, ${challenges} challenges, ${successes} successes`
    const times = waited.map(({ begun, outcome }) => {
      const at = ((begun - since) / 1_000).toFixed(1)
      return `${outcome ?? 'nothing'} to that of second ${at}`
    })
    return {
      address: `${kind} ${address}:${port}`,
      lane,
      reason: `${laneReason} (${counts}; ${times.join(', ')})`,
    }
  })
  return Promise.all(stories)
}
