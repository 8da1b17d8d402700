import { useSignal } from '@preact/signals'
import { enforceSip } from './ask.ts'
import { showCount } from './format.ts'
import { health } from './state.ts'
import { attempt, say } from './toasts.tsx'

const ROWS = 8

/** The limit for SIP other than REGISTER: whom it would hit, before it does. */
export function SipLimit() {
  const asked = useSignal(false)
  const limits = health.value?.limits
  if (!limits) return null
  const { perSecond, burst, prefix, total, enforced } = limits.sip
  const sources = limits.sipWouldLimit
  const set = (wanted: boolean) =>
    attempt(async () => {
      asked.value = false
      const { notice } = await enforceSip(wanted)
      const enforced =
        notice === null ? 'The SIP limit is enforced.' : `The SIP limit is enforced: ${notice}.`
      say({
        text: wanted ? enforced : 'The SIP limit is only observed.',
        tone: 'done',
        undo: { label: 'Undo', run: () => set(!wanted) },
      })
    })

  return (
    <section class="card" data-testid="sip-limit" data-enforced={enforced}>
      <div class="head">
        <h2>SIP limit</h2>
        <span class={enforced ? 'tag on' : 'tag'}>{enforced ? 'enforced' : 'observed'}</span>
      </div>
      <p class="sub">
        {perSecond}/s, burst {burst}, for each source that is not a known customer.{' '}
        {enforced
          ? `What is over it is dropped, and what is over ${prefix.perSecond}/s of a prefix or ${total.perSecond}/s of all of them.`
          : 'Nothing is dropped yet.'}
      </p>
      {sources.length === 0 ? (
        <p class="sub">{enforced ? 'No source is over it.' : 'It would limit nobody now.'}</p>
      ) : (
        <>
          <h3>{enforced ? 'Over it now' : 'Would be limited'}</h3>
          <ul class="sources">
            {sources.slice(0, ROWS).map(({ address, packets }) => (
              <li key={address} data-testid="sip-would-limit">
                <span class="target">{address}</span>
                <span class="figure">{showCount(packets)} packets</span>
              </li>
            ))}
          </ul>
          {sources.length > ROWS && <p class="sub">and {showCount(sources.length - ROWS)} more</p>}
        </>
      )}
      <div class="buttons">
        {enforced ? (
          <button type="button" data-testid="sip-observe" onClick={() => set(false)}>
            Only observe
          </button>
        ) : asked.value ? (
          <>
            <button type="button" class="primary" data-testid="sip-enforce-sure" onClick={() => set(true)}>
              Enforce now
            </button>
            <button
              type="button"
              onClick={() => {
                asked.value = false
              }}
            >
              Cancel
            </button>
            <span class="sub">A trunk in the list loses calls.</span>
          </>
        ) : (
          <button
            type="button"
            data-testid="sip-enforce"
            onClick={() => {
              if (sources.length === 0) void set(true)
              else asked.value = true
            }}
          >
            Enforce
          </button>
        )}
      </div>
    </section>
  )
}
