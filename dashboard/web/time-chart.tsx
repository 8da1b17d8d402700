import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { RatePoint } from '../api/status.ts'
import { showCount } from './format.ts'
import { CHART_SECONDS } from './state.ts'

export interface Line {
  readonly label: string
  /** The CSS variable that holds its colour, which differs in the dark. */
  readonly colour: `--${string}`
  readonly fill?: boolean
  readonly of: (point: RatePoint) => number
}

interface TimeChartProps {
  readonly points: readonly RatePoint[]
  readonly lines: readonly Line[]
  /** The vertical scale shows at least 0 to this. */
  readonly least: number
  /** What the chart shows, for who cannot see it. */
  readonly summary: string
  readonly testid: string
}

const HEIGHT = 160
/** 1, 2, 5, 10, 20, … so that no two labels round to the same. */
const WHOLE_STEPS = Array.from({ length: 10 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat()

export function TimeChart({ points, lines, least, summary, testid }: TimeChartProps) {
  const holder = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  const shown = useRef(points)
  shown.current = points

  useEffect(() => {
    const element = holder.current!
    const draw = () => {
      chart.current?.destroy()
      chart.current = new uPlot(optionsOf(lines, least, element), dataOf(shown.current, lines), element)
    }
    draw()
    const resized = new ResizeObserver(() => {
      chart.current?.setSize({ width: element.clientWidth, height: HEIGHT })
    })
    resized.observe(element)
    // A canvas takes no part in the cascade: other colours need a new drawing.
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', draw)
    return () => {
      resized.disconnect()
      dark.removeEventListener('change', draw)
      chart.current?.destroy()
      chart.current = undefined
    }
  }, [lines, least])

  useEffect(() => {
    chart.current?.setData(dataOf(points, lines))
  }, [points, lines])

  return <div class="chart" ref={holder} role="img" aria-label={summary} data-testid={testid} />
}

function dataOf(points: readonly RatePoint[], lines: readonly Line[]): uPlot.AlignedData {
  return [points.map(({ time }) => time / 1000), ...lines.map(({ of }) => points.map(of))]
}

function optionsOf(lines: readonly Line[], least: number, element: HTMLElement): uPlot.Options {
  const styles = getComputedStyle(element)
  const colour = (name: string) => styles.getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--text-soft'),
    font: `11px ${styles.fontFamily}`,
    grid: { stroke: colour('--grid'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: element.clientWidth || 300,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: {
        range: (_chart, _min, max) => {
          const end = max ?? Date.now() / 1000
          return [end - CHART_SECONDS, end]
        },
      },
      y: { range: (_chart, _min, max) => [0, Math.max(least, (max ?? 0) * 1.1)] },
    },
    axes: [
      {
        ...axis,
        space: 70,
        size: 26,
        values: (_chart, splits) => splits.map((split) => clock(split)),
        incrs: [30, 60, 120],
      },
      { ...axis, size: 52, space: 30, incrs: WHOLE_STEPS, values: (_chart, splits) => splits.map(short) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 1.5,
        points: { show: false },
        ...(line.fill ? { fill: colour(`${line.colour}-fill`) } : {}),
      })),
    ],
  }
}

function clock(seconds: number): string {
  const time = new Date(seconds * 1000)
  const pad = (value: number) => String(value).padStart(2, '0')
  return `${pad(time.getHours())}:${pad(time.getMinutes())}${time.getSeconds() ? `:${pad(time.getSeconds())}` : ''}`
}

function short(value: number): string {
  return value >= 10_000 ? `${value / 1000}k` : showCount(value)
}
