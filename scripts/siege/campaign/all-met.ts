import type { CampaignRow } from './table.ts'

/**
 * Whether Ringfence met its targets in all of its sieges: what others do is there to compare. A siege that was repeated at
 * half the rate, because the machine itself was the limit, is judged by the repetition.
 */
export function allMet(rows: readonly CampaignRow[]): boolean {
  const counting = rows.filter((row, i) => !isHalfOf(rows[i + 1], row))
  return counting.every((row) => {
    if ('failed' in row) return row.guard !== 'ringfence'
    return row.figures.guard !== 'ringfence' || row.verdict.kind !== 'missed'
  })
}

function isHalfOf(next: CampaignRow | undefined, row: CampaignRow): boolean {
  if (next === undefined || 'failed' in next || 'failed' in row) return false
  const { attack, guard, nonces, share } = row.figures
  const other = next.figures
  return (
    other.attack === attack && other.guard === guard && other.nonces === nonces && other.share === share / 2
  )
}
