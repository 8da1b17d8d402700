import type { RatePoint } from '../api/status.ts'
import { showRate } from './format.ts'
import { history, live } from './state.ts'
import { type Line, TimeChart } from './time-chart.tsx'

const REGISTER_LINES: readonly Line[] = [
  { label: 'REGISTERs', colour: '--line-main', fill: true, of: mostOf },
  { label: 'succeed', colour: '--line-good', of: (point) => point.successes },
  { label: 'fail', colour: '--line-bad', of: (point) => point.failures },
]
/** What the sensor sees of a flood is a sample, which falls while the flood stands: then the kernel's own count is drawn. */
function mostOf({ registers, arrivals = 0 }: RatePoint): number {
  return Math.max(registers, arrivals)
}

const CPU_LINES: readonly Line[] = [
  { label: 'CPU', colour: '--line-main', fill: true, of: (point) => point.cpu },
]

export function Charts() {
  const points = history.value
  const rates = live.value!.rates
  return (
    <section class="charts" aria-label="The last five minutes">
      <figure class="card">
        <figcaption>
          <h2>REGISTERs a second</h2>
          <Legend lines={REGISTER_LINES} />
        </figcaption>
        <TimeChart
          testid="chart-registers"
          points={points}
          lines={REGISTER_LINES}
          least={10}
          summary={`REGISTERs a second over the last five minutes, now ${rates.atLeast ? 'at least ' : ''}${showRate(rates.registers)}`}
        />
        {points.some(({ atLeast }) => atLeast) && (
          <p class="sub" data-testid="chart-bounds">
            Where not all was seen, the line is what the kernel counted: all packets to SIP ports. Those that
            succeed and fail are so many or more.
          </p>
        )}
      </figure>
      <figure class="card">
        <figcaption>
          <h2>CPU %</h2>
        </figcaption>
        <TimeChart
          testid="chart-cpu"
          points={points}
          lines={CPU_LINES}
          least={100}
          summary={`CPU use over the last five minutes, now ${showRate(rates.cpu)} percent`}
        />
      </figure>
    </section>
  )
}

function Legend({ lines }: { lines: readonly Line[] }) {
  return (
    <ul class="legend">
      {lines.map(({ label, colour }) => (
        <li key={label}>
          <i class={colour.slice(2)} aria-hidden="true" />
          {label}
        </li>
      ))}
    </ul>
  )
}
