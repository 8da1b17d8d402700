import type { HealthSnapshot } from '../api/live.ts'
import { Fact, Note, Part, Remark, type Tone } from './fact-list.tsx'
import { showCount, showMoment } from './format.ts'
import { health } from './state.ts'

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
  contested: 'bad',
}
const REGISTRAR_TONE: Readonly<Record<HealthSnapshot['registrar']['state'], Tone>> = {
  running: 'good',
  starting: 'warn',
  off: 'idle',
  failed: 'bad',
}

/** What the big number of dropped REGISTERs leaves out. */
const DROPS: readonly (readonly [cause: string, name: string])[] = [
  ['sipLimit', 'SIP dropped'],
  ['rest', 'unasked dropped'],
  ['gateways', 'gateway calls dropped'],
  ['ceiling', 'over ceiling dropped'],
  ['connections', 'connections refused'],
]

function contested({ rules, time }: HealthSnapshot): string | null {
  if (rules.state !== 'contested') return null
  const found = rules.lastRepair === null ? '' : ` (${rules.lastRepair})`
  const next =
    rules.contestedUntil === null ? '' : ` The next repair is at ${showMoment(rules.contestedUntil, time)}.`
  return `Another program keeps changing the rules${found}.${next}`
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
        <Fact name="judged">{showCount(rules.judged.udp + rules.judged.tcp)}</Fact>
        <Fact name="REGISTERs dropped">{showCount(rules.registerPacketsDropped)}</Fact>
        {DROPS.filter(([cause]) => (rules.dropped[cause] ?? 0) > 0).map(([cause, name]) => (
          <Fact key={cause} name={name} testid={`dropped-${cause}`}>
            {showCount(rules.dropped[cause] ?? 0)}
          </Fact>
        ))}
        <Note testid="last-error">{rules.lastError}</Note>
        <Note testid="contested">{contested(now)}</Note>
        <Note testid="not-in-path">{rules.notInPath}</Note>
        {rules.full.map((sentence) => (
          <Note key={sentence} testid="full">
            {sentence}
          </Note>
        ))}
      </Part>
      <Part
        name="Lanes"
        tone={now.strict.state === 'strict' ? 'warn' : 'good'}
        state={now.strict.state}
        testid="health-lanes"
      >
        <Fact name="proven">{showCount(now.lanes.proven)}</Fact>
        <Fact name="returning">{showCount(now.lanes.returning)}</Fact>
        <Fact name="answered">{showCount(now.lanes.answered)}</Fact>
        <Fact name="ignoring">{showCount(now.lanes.ignoring)}</Fact>
        <Fact name={`${now.strict.state} since`}>{showMoment(now.strict.since, now.time)}</Fact>
        {now.gateways.map(({ name, cps }) => (
          <Fact key={name} name={name}>{`${cps} calls/s`}</Fact>
        ))}
        <Remark testid="strict-why">{now.strict.why}</Remark>
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
