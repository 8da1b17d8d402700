import type { HealthSnapshot } from '../api/live.ts'
import { Fact, Note, Part, Remark, type Tone } from './fact-list.tsx'
import { showCount, showMoment, showRate } from './format.ts'
import { SoftswitchPart, sayReading } from './softswitch-part.tsx'
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
const LOG_TONE: Readonly<Record<HealthSnapshot['logs'][number]['state'], Tone>> = {
  following: 'good',
  waiting: 'warn',
  failed: 'bad',
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

function weatherTone({ weather: { state, anomalies, outage } }: HealthSnapshot): Tone {
  if (outage) return 'bad'
  return state === 'peace' && anomalies.length === 0 ? 'good' : 'warn'
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
        <Note testid="reading">{sayReading(now)}</Note>
      </Part>
      <SoftswitchPart now={now} />
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
      <Part name="Weather" tone={weatherTone(now)} state={now.weather.state} testid="health-weather">
        <Fact name="usual REGISTERs">
          {now.weather.baseline.usual?.registers == null
            ? `learning, ${now.weather.baseline.hours} of ${now.weather.baseline.hoursNeeded} hours`
            : `${showRate(now.weather.baseline.usual.registers)}/s`}
        </Fact>
        <Fact name="capacity">
          {now.weather.capacity.perSecond === null
            ? 'not known yet'
            : `${showCount(now.weather.capacity.perSecond)}/s, ${now.weather.capacity.how}`}
        </Fact>
        <Fact name={`${now.weather.state} since`}>{showMoment(now.weather.since, now.time)}</Fact>
        <Remark testid="weather-why">{now.weather.why}</Remark>
        <Note testid="outage">{now.weather.outage?.sentence ?? null}</Note>
        {now.weather.anomalies.map(({ sentence }) => (
          <Note key={sentence} testid="anomaly">
            {sentence}
          </Note>
        ))}
      </Part>
      {now.logs.map((log) => (
        <Part
          key={log.log}
          name={`Log of ${log.log}`}
          tone={LOG_TONE[log.state]}
          state={log.state}
          testid={`health-log-${log.log}`}
        >
          <Fact name="file">{log.path}</Fact>
          <Fact name="lines">{showCount(log.linesRead)}</Fact>
          <Fact name="understood">{showCount(log.linesUnderstood)}</Fact>
          <Fact name="let go" isBad={log.linesLetGo > 0}>
            {showCount(log.linesLetGo)}
          </Fact>
          <Fact name="not believed">{showCount(log.linesDoubtful)}</Fact>
          <Fact name="used">{showCount(log.eventsUsed)}</Fact>
          <Note>{log.reason}</Note>
        </Part>
      ))}
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
