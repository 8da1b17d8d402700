import type { ComponentChildren } from 'preact'
import type { HealthSnapshot } from '../api/live.ts'
import { showCount, showMoment } from './format.ts'
import { health } from './state.ts'

type Tone = 'good' | 'warn' | 'bad' | 'idle'

const SENSOR_TONE: Readonly<Record<HealthSnapshot['sensor']['state'], Tone>> = {
  running: 'good',
  starting: 'warn',
  failed: 'bad',
}
const RULES_TONE: Readonly<Record<HealthSnapshot['rules']['state'], Tone>> = {
  applied: 'good',
  pending: 'warn',
  observing: 'idle',
  off: 'warn',
  failing: 'bad',
}
const REGISTRAR_TONE: Readonly<Record<HealthSnapshot['registrar']['state'], Tone>> = {
  running: 'good',
  starting: 'warn',
  off: 'idle',
  failed: 'bad',
}

/** Whether Ringfence itself is well. */
export function Health() {
  const now = health.value
  if (!now) return null
  const { sensor, rules, registrar, traffic } = now
  const ports = [
    ...traffic.udpPorts.map((port) => `udp ${port}`),
    ...traffic.tcpPorts.map((port) => `tcp ${port}`),
  ]
  return (
    <section class="card health" data-testid="health" aria-label="Health of Ringfence">
      <Part name="Sensor" tone={SENSOR_TONE[sensor.state]} state={sensor.state} testid="health-sensor">
        <Fact name="engine">{sensor.engine}</Fact>
        <Fact name="frames seen">{showCount(sensor.framesSeen)}</Fact>
        <Fact name="lost" testid="frames-lost" isBad={sensor.framesLost > 0}>
          {showCount(sensor.framesLost)}
        </Fact>
        <Fact name="malformed">{showCount(sensor.malformed)}</Fact>
        <Fact name="sources">{showCount(sensor.sourcesTracked)}</Fact>
        <Fact name="on">{`${traffic.interfaces.join(', ')} ${ports.join(', ')}`}</Fact>
        <Note>{sensor.state === 'running' ? '' : sensor.detail}</Note>
      </Part>
      <Part name="Rules" tone={RULES_TONE[rules.state]} state={rules.state} testid="health-rules">
        <Fact name="backend">{rules.backend}</Fact>
        <Fact name="pending" testid="pending-changes" isBad={rules.pendingChanges > 0}>
          {showCount(rules.pendingChanges)}
        </Fact>
        <Fact name="last applied">
          {rules.lastAppliedAt === null ? 'never' : showMoment(rules.lastAppliedAt, now.time)}
        </Fact>
        <Fact name="repairs">{showCount(rules.repairs)}</Fact>
        <Fact name="REGISTERs dropped">{showCount(rules.registerPacketsDropped)}</Fact>
        <Note testid="last-error">{rules.lastError}</Note>
      </Part>
      {registrar.state !== 'off' && (
        <Part
          name="Registrar"
          tone={REGISTRAR_TONE[registrar.state]}
          state={registrar.state}
          testid="health-registrar"
        >
          <Fact name="accounts">{showCount(registrar.accounts)}</Fact>
          <Fact name="bindings">{showCount(registrar.bindings)}</Fact>
          <Note>{registrar.state === 'failed' ? registrar.detail : ''}</Note>
        </Part>
      )}
      {now.mode === 'observe' && (
        <details class="would-have-done" data-testid="would-have-done">
          <summary>What would have been done ({showCount(rules.wouldHaveDone.length)})</summary>
          <ol>
            {rules.wouldHaveDone.slice(-50).map((line, index) => (
              <li key={index}>{line}</li>
            ))}
          </ol>
        </details>
      )}
    </section>
  )
}

interface PartProps {
  readonly name: string
  readonly tone: Tone
  readonly state: string
  readonly testid: string
  readonly children: ComponentChildren
}

function Part({ name, tone, state, testid, children }: PartProps) {
  return (
    <div class="part" data-testid={testid} data-state={state}>
      <h2>
        {name} <span class={`tag ${tone}`}>{state}</span>
      </h2>
      <dl class="facts">{children}</dl>
    </div>
  )
}

interface FactProps {
  readonly name: string
  readonly testid?: string
  readonly isBad?: boolean
  readonly children: ComponentChildren
}

function Fact({ name, testid, isBad, children }: FactProps) {
  return (
    <div class={isBad ? 'bad' : ''}>
      <dt>{name}</dt>
      <dd data-testid={testid}>{children}</dd>
    </div>
  )
}

function Note({ children, testid }: { children: string | null; testid?: string }) {
  if (!children) return null
  return (
    <div class="note">
      <dt class="unseen">detail</dt>
      <dd class="wrong" data-testid={testid}>
        {children}
      </dd>
    </div>
  )
}
