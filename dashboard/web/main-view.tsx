import { logout, turnOn } from './ask.ts'
import { BlockForm } from './block-form.tsx'
import { BlockedTable } from './blocked-table.tsx'
import { Charts } from './charts.tsx'
import { showMoment, showTimeLeft } from './format.ts'
import { Headline } from './headline.tsx'
import { Health } from './health.tsx'
import { Looks } from './looks.tsx'
import { Mark } from './mark.tsx'
import { SipLimit } from './sip-limit.tsx'
import { connection, health, hostTime, live, view } from './state.ts'
import { attempt, say } from './toasts.tsx'

export const STATE_WORDS = {
  connecting: 'Connecting',
  lost: 'No connection',
  peace: 'Quiet',
  attack: 'ATTACK',
  recovery: 'Recovering',
  observing: 'Observing',
  off: 'OFF',
  degraded: 'Not in order',
}
const CONNECTION_WORDS = { connecting: 'Connecting…', live: 'Live', lost: 'Connection lost, trying again…' }

export function MainView() {
  const isStale = connection.value === 'lost'
  return (
    <div class={isStale ? 'page stale' : 'page'} data-testid="page-main">
      <header class="bar">
        <span class="brand">
          <Mark /> Ringfence
        </span>
        <span class={`connection ${connection.value}`} role="status" data-testid="connection">
          {CONNECTION_WORDS[connection.value]}
        </span>
        <span class="version">{health.value && `v${health.value.version}`}</span>
        <button
          type="button"
          class="quiet"
          data-testid="logout"
          onClick={() =>
            attempt(async () => {
              await logout()
              view.value = 'login'
            })
          }
        >
          Log out
        </button>
      </header>
      <main>
        <State />
        <Trial />
        {live.value && (
          <>
            <Headline />
            <Charts />
            <BlockedTable />
            <Looks />
            <div class="pair">
              <BlockForm />
              <SipLimit />
            </div>
            <Health />
          </>
        )}
      </main>
    </div>
  )
}

/** A configuration that goes by itself unless somebody keeps it: who has to know is whoever looks now. */
function Trial() {
  const trial = live.value?.trial
  if (!trial) return null
  const left = Math.max(0, (trial.until - hostTime.value) / 1000)
  return (
    <p class="card trial" data-testid="trial">
      {/* The seconds count down; what is worth being read out is that there is one. */}
      <span class="unseen" role="status">
        A configuration is on trial
      </span>
      The configuration {trial.file} of {trial.by} is on trial: it is taken back in{' '}
      <span data-testid="trial-left">{showTimeLeft(left)}</span> unless somebody says{' '}
      <code>ringfence confirm</code>.
    </p>
  )
}

function State() {
  const snapshot = live.value
  const isLost = connection.value === 'lost'
  const state = isLost ? 'lost' : (snapshot?.state ?? 'connecting')
  return (
    <section class={`state ${state}`} data-testid="state" data-state={state}>
      {/* The sentence changes each second; what is worth being read out is the state alone. */}
      <span class="unseen" role="status">
        {STATE_WORDS[state]}
      </span>
      <span class="dot" aria-hidden="true" />
      <h1>
        {isLost && 'No connection to the host. '}
        {isLost && snapshot && `At ${showMoment(snapshot.time, Date.now())}: `}
        <span data-testid="state-sentence">
          {snapshot?.sentence ?? (isLost ? 'Is the daemon running?' : 'Waiting for the host…')}
        </span>
      </h1>
      {state === 'off' && (
        <button
          type="button"
          class="primary"
          data-testid="turn-on"
          onClick={() =>
            attempt(async () => {
              const { notice } = await turnOn()
              if (notice !== null) say({ text: `${notice}.`, tone: 'done' })
            })
          }
        >
          Turn protection on
        </button>
      )}
    </section>
  )
}
