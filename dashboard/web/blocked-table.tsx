import type { DecisionView } from '../api/decisions.ts'
import { showCount, showKey, showMoment, showScope, showTimeLeft } from './format.ts'
import { counts, hostTime, live } from './state.ts'
import { unblockWithUndo } from './unblock.ts'

export function BlockedTable() {
  const rows = live.value!.blocked
  const { total } = counts.value
  return (
    <section class="card blocked">
      <div class="head">
        <h2>Blocked and suspended</h2>
        {rows.length < total && (
          <p class="sub" data-testid="blocked-more">
            the newest {showCount(rows.length)} of {showCount(total)}
          </p>
        )}
      </div>
      {rows.length === 0 ? (
        <p class="empty" data-testid="blocked-empty">
          Nobody is blocked.
        </p>
      ) : (
        <table data-testid="blocked-table">
          <thead>
            <tr>
              <th scope="col">Address</th>
              <th scope="col">Scope</th>
              <th scope="col">Reason</th>
              <th scope="col">Since</th>
              <th scope="col" class="figure">
                Time left
              </th>
              <th scope="col" class="figure">
                Dropped
              </th>
              <th scope="col">By</th>
              <th scope="col">
                <span class="unseen">Action</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={row.id} row={row} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function Row({ row }: { row: DecisionView }) {
  return (
    <tr data-testid="blocked-row" data-target={row.target}>
      <th scope="row" class="target" data-testid="target">
        {row.target}
      </th>
      <td data-label="Scope">
        <span class={`tag ${row.kind === 'suspend' ? 'suspend' : row.scope}`}>{showScope(row)}</span>
      </td>
      <td data-label="Reason" class="reason" data-testid="reason">
        <Reason row={row} />
      </td>
      <td data-label="Since" class="time">
        <time dateTime={new Date(row.since).toISOString()}>{showMoment(row.since, live.value!.time)}</time>
      </td>
      <td data-label="Time left" class="figure" data-testid="time-left">
        <TimeLeft row={row} />
      </td>
      <td data-label="Dropped" class="figure" data-testid="packets-dropped">
        {row.packetsDropped === null ? '–' : showCount(row.packetsDropped)}
      </td>
      <td data-label="By" class="by">
        {row.by}
      </td>
      <td class="action">
        <button
          type="button"
          data-testid="unblock"
          aria-label={`Unblock ${row.target}`}
          onClick={() => unblockWithUndo(row.target)}
        >
          Unblock
        </button>
      </td>
    </tr>
  )
}

/** The reason, which opens to the evidence behind it. Both can hold what an attacker wrote: always text. */
function Reason({ row }: { row: DecisionView }) {
  const evidence = Object.entries(row.evidence)
  if (row.grade) evidence.unshift(['grade', row.grade])
  if (evidence.length === 0) return <>{row.reason}</>
  return (
    <details>
      <summary>{row.reason}</summary>
      <dl class="evidence" data-testid="evidence">
        {evidence.map(([key, value]) => (
          <div key={key}>
            <dt>{showKey(key)}</dt>
            <dd>{String(value)}</dd>
          </div>
        ))}
      </dl>
    </details>
  )
}

/** The only part of a row that changes each second. */
function TimeLeft({ row }: { row: DecisionView }) {
  if (row.until === null) return <span>until unblocked</span>
  return <span>{showTimeLeft((row.until - hostTime.value) / 1000)}</span>
}
