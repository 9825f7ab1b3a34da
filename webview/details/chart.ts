import uPlot from 'uplot'
import type { Point } from '../messages.ts'
import { element, table } from './dom.ts'

export type Line = {
  label: string
  /** A theme colour's variable. */
  color: string
  value: (point: Point) => number | null
}

export type ChartSpec = {
  title: string
  lines: readonly Line[]
  limit?: (point: Point) => number | null
  format: (value: number) => string
}

const height = 140
/** Longer than this between two samples means that nobody looked; the line has a gap then. Milliseconds. */
const gap = 3000

/** A chart of the last five minutes with its numbers in a table under it. */
export class Chart {
  readonly root: HTMLElement
  readonly #spec: ChartSpec
  readonly #canvas = element('div', { class: 'canvas', 'aria-hidden': 'true' })
  readonly #numbers = element('div')
  #plot: uPlot | undefined

  constructor(spec: ChartSpec) {
    this.#spec = spec
    this.root = element('section', { class: 'chart' }, element('h3', {}, spec.title), this.#canvas, this.#numbers)
  }

  show(points: readonly Point[]): void {
    this.#numbers.replaceChildren(this.#table(points))
    const data = this.#data(points)
    if (this.#plot) this.#plot.setData(data)
    else if (this.#canvas.clientWidth > 0) this.#plot = new uPlot(this.#options(), data, this.#canvas)
  }

  resize(): void {
    if (this.#canvas.clientWidth > 0) this.#plot?.setSize({ width: this.#canvas.clientWidth, height })
  }

  /** The next `show` draws anew, with the theme's colours of then. */
  forget(): void {
    this.#plot?.destroy()
    this.#plot = undefined
  }

  #data(points: readonly Point[]): uPlot.AlignedData {
    const readers = [...this.#spec.lines.map((line) => line.value), ...(this.#spec.limit ? [this.#spec.limit] : [])]
    const times: number[] = []
    const columns: (number | null)[][] = readers.map(() => [])
    points.forEach((point, index) => {
      const before = points[index - 1]?.time ?? point.time
      if (point.time - before > gap) {
        times.push((point.time - 1) / 1000)
        for (const column of columns) column.push(null)
      }
      times.push(point.time / 1000)
      for (const [line, read] of readers.entries()) columns[line]?.push(read(point))
    })
    return [times, ...columns]
  }

  #options(): uPlot.Options {
    const { lines, limit, format } = this.#spec
    const axis = {
      stroke: themed('--vscode-foreground'),
      grid: { stroke: themed('--vscode-editorWidget-border', '#8884'), width: 1 },
    }
    const drawn = lines.map((line) => ({
      label: line.label,
      stroke: themed(line.color),
      width: 2,
      points: { show: false },
    }))
    const limitLine = {
      label: 'limit',
      stroke: themed('--vscode-charts-red'),
      width: 1,
      dash: [6, 4],
      points: { show: false },
    }
    const values = (_plot: uPlot, splits: number[]): string[] => splits.map(format)
    return {
      width: this.#canvas.clientWidth,
      height,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [
        { ...axis, space: 80, values: (_plot: uPlot, splits: number[]) => splits.map(clock) },
        { ...axis, size: 72, values },
      ],
      series: [{}, ...drawn, ...(limit ? [limitLine] : [])],
    }
  }

  #table(points: readonly Point[]): HTMLTableElement {
    const { lines, limit, format, title } = this.#spec
    const last = points.at(-1)
    const bound = last && limit ? limit(last) : null
    const rows = lines.map((line) => {
      const values = points.map(line.value).filter((value) => value !== null)
      const now = values.at(-1)
      const average = values.reduce((sum, value) => sum + value, 0) / values.length
      const shown = [now, values.length > 0 ? average : undefined, values.length > 0 ? Math.max(...values) : undefined]
      return [
        element('span', {}, ...(lines.length > 1 ? [swatch(line)] : []), line.label),
        ...shown.map((value) => (value === undefined ? '–' : format(value))),
        limitText(bound, now, format),
      ]
    })
    const columns = ['series', 'now', 'average', 'highest', ...(limit ? ['limit'] : [])]
    return table(`${title}, last five minutes`, columns, limit ? rows : rows.map((row) => row.slice(0, 4)))
  }
}

/** The colour that a line is drawn in, where there are several. */
function swatch(line: Line): HTMLElement {
  const drawn = element('span', { class: 'swatch', 'aria-hidden': 'true' })
  drawn.style.background = `var(${line.color})`
  return drawn
}

/** Seconds since the epoch as the reader's time of day. */
const clock = (seconds: number): string => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false })

function limitText(bound: number | null, now: number | undefined, format: (value: number) => string): string {
  if (bound === null) return 'none'
  return now === undefined || bound === 0 ? format(bound) : `${format(bound)} (${Math.round((now / bound) * 100)} %)`
}

const themed = (variable: string, otherwise = '#888'): string =>
  getComputedStyle(document.documentElement).getPropertyValue(variable).trim() || otherwise
