import { showCount, showGigabytes, showRate } from './format.ts'
import { counts, health, live } from './state.ts'

/** The three numbers to see from across the room. */
export function Headline() {
  const rates = live.value!.rates
  const host = health.value?.host
  const { blocks, suspensions } = counts.value
  const allowed = health.value?.counts.allowed ?? 0
  return (
    <section class="tiles" aria-label="Now">
      <Tile
        label="REGISTERs a second"
        value={`${rates.atLeast ? '≥ ' : ''}${showRate(rates.registers)}`}
        testid="registers-rate"
      >
        {showRate(rates.successes)}/s succeed · {showRate(rates.failures)}/s fail
        {rates.arrivals !== undefined && ` · ${showRate(rates.arrivals)} packets/s in the kernel`}
      </Tile>
      <Tile label="CPU" value={showRate(rates.cpu)} unit="%" testid="cpu">
        {host && `memory ${showGigabytes(host.memoryUsed)} of ${showGigabytes(host.memoryTotal)} GB`}
      </Tile>
      <Tile label="Blocked addresses" value={showCount(blocks)} testid="blocked-count">
        {showCount(suspensions)} suspended · {showCount(allowed)} on the allowlist
      </Tile>
    </section>
  )
}

interface TileProps {
  readonly label: string
  readonly value: string
  readonly unit?: string
  readonly testid: string
  // biome-ignore lint/suspicious/noExplicitAny: what preact calls its children
  readonly children?: any
}

function Tile({ label, value, unit, testid, children }: TileProps) {
  return (
    <div class="card tile">
      <h2>{label}</h2>
      <p class="number">
        <span data-testid={testid}>{value}</span>
        {unit && <span class="unit">{unit}</span>}
      </p>
      <p class="sub">{children}</p>
    </div>
  )
}
