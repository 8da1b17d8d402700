import { readFileSync } from 'node:fs'
import { cpus, loadavg, release } from 'node:os'

/** Takes one measured figure: what was measured, in words, and the value with its unit. */
export type Report = (what: string, value: string) => void

export interface Figure {
  readonly benchmark: string
  readonly what: string
  readonly value: string
}

/** The machine that the figures are from, in one line; a figure without it says nothing. */
export function describeMachine(): string {
  const cores = cpus()
  const load = loadavg().map((value) => value.toFixed(1))
  const parts = [
    `${cores[0]?.model ?? 'unknown CPU'}, ${cores.length} cores`,
    `Linux ${release()}${distribution()}`,
    `Node ${process.versions.node}`,
    `load average ${load.join(' ')} at the start`,
  ]
  return parts.join('; ')
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
    return name ? ` (${name})` : ''
  } catch {
    return ''
  }
}

/** A Markdown table, its columns as wide as their widest cell. */
export function renderTable(figures: readonly Figure[]): string {
  const rows = [
    ['benchmark', 'what', 'figure'],
    ...figures.map(({ benchmark, what, value }) => [benchmark, what, value]),
  ]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`)
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`)
  return lines.join('\n')
}

/** The least value that so many of them do not exceed (nearest rank); NaN where there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** `p50 1.2 ms, p99 3.4 ms, max 5.6 ms` of times in milliseconds. */
export function showTimes(times: readonly number[]): string {
  const at = (share: number) => `${percentile(times, share).toFixed(1)} ms`
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`
}

export function showCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
