import { showCount, showMoment } from './format.ts'
import { health } from './state.ts'

/** Alerts of the last hour, and guessers that are only limited: nothing is done to them, so somebody should look. */
export function Looks() {
  const status = health.value
  if (!status || status.looks.count === 0) return null
  const { count, first } = status.looks
  return (
    <section class="card" data-testid="looks">
      <h2>Look at these</h2>
      <p class="sub">Of the last hour. Nothing blocks them.</p>
      <ul class="sources">
        {first.map(({ time, source, name, action, times, reason }) => (
          <li key={`${source} ${name} ${action}`} data-testid="look">
            <span class="target">{source}</span>
            <span class="why">
              {name}: {reason}
            </span>
            <span class="figure">
              {times > 1 && `${showCount(times)} times, `}
              {showMoment(time, status.time)}
            </span>
          </li>
        ))}
      </ul>
      {count > first.length && <p class="sub">and {showCount(count - first.length)} more</p>}
    </section>
  )
}
