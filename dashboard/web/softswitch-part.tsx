import type { HealthSnapshot } from '../api/live.ts'
import { Fact, Note, Part, Remark, type Tone } from './fact-list.tsx'
import { showCount } from './format.ts'

type Seen = HealthSnapshot['sight'][number]['state']

/** The worst that a port can be decides what the part is. */
const WORST_FIRST: readonly Seen[] = ['half-sighted', 'blind', 'sighted', 'quiet']
const TONE: Readonly<Record<Seen, Tone>> = {
  sighted: 'good',
  quiet: 'idle',
  blind: 'warn',
  'half-sighted': 'warn',
}

/** What is seen of the softswitch: how far its ports can be read, its nonces, its registrations, its own online check. */
export function SoftswitchPart({ now }: { readonly now: HealthSnapshot }) {
  const { sight, nonces, sensor } = now
  const state = WORST_FIRST.find((each) => sight.some((port) => port.state === each)) ?? 'quiet'
  const check = sensor.onlineCheck
  const asked = check ? check.online + check.silent + check.unasked : 0
  return (
    <Part name="Softswitch" tone={TONE[state]} state={state} testid="health-softswitch">
      {sight.map(({ transport, port, state: of }) => (
        <Fact key={`${transport} ${port}`} name={`${transport} ${port}`}>
          {of}
        </Fact>
      ))}
      <Fact name="bindings">{showCount(sensor.learntBindings)}</Fact>
      {check && asked > 0 && (
        <>
          <Fact name="answer OPTIONS" testid="endpoints-online">
            {showCount(check.online)}
          </Fact>
          <Fact name="stay silent" testid="endpoints-silent">
            {showCount(check.silent)}
          </Fact>
        </>
      )}
      {nonces.map(({ server, state: of }) => (
        <Fact key={server} name={`nonces of ${server}`} isBad={of === 'shared'}>
          {of}
        </Fact>
      ))}
      {sight
        .filter(({ state: of }) => of === 'half-sighted' || of === 'blind')
        .map(({ transport, port, detail }) => (
          <Note key={`${transport} ${port}`} testid="sight-detail">
            {`${transport} ${port}: ${detail}`}
          </Note>
        ))}
      {nonces
        .filter(({ state: of }) => of === 'shared')
        .map(({ server, detail }) => (
          <Remark key={server} testid="nonces-detail">
            {`${server}: ${detail}`}
          </Remark>
        ))}
    </Part>
  )
}

/** How requests are read, where that is worth saying. */
export function sayReading({ sensor: { sampling, lowerBounds } }: HealthSnapshot): string | null {
  if (sampling?.state === 'loud')
    return `So much arrives that requests are read from the kernel's log (NFLOG group ${sampling.group}): rates say so much or more.`
  return lowerBounds ? 'Not all that came was seen: rates say so much or more.' : null
}
