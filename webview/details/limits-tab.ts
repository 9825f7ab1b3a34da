import type { LimitField, LimitTexts, Point } from '../messages.ts'
import { Chart, type ChartSpec } from './chart.ts'
import { type Cell, definitions, element, formatBytes, formatMemory } from './dom.ts'
import { LimitsForm } from './limits-form.ts'

/** Five minutes of seconds. */
const kept = 300

const blue = '--vscode-charts-blue'
const orange = '--vscode-charts-orange'
const perSecond = (bytes: number): string => `${formatBytes(bytes)}/s`

const charts: readonly ChartSpec[] = [
  {
    title: 'Memory',
    lines: [{ label: 'in use', color: blue, value: (point) => point.memory }],
    limit: (point) => point.memoryLimit,
    format: formatMemory,
  },
  {
    title: 'Processors',
    lines: [{ label: 'in use', color: blue, value: (point) => point.cpu }],
    limit: (point) => point.cpuLimit,
    format: (value) => String(Number(value.toFixed(value < 0.1 ? 4 : 2))),
  },
  {
    title: 'Processes',
    lines: [{ label: 'alive', color: blue, value: (point) => point.pids }],
    limit: (point) => point.pidsLimit,
    format: (value) => String(Number(value.toFixed(1))),
  },
  {
    title: 'Disk',
    lines: [
      { label: 'read', color: blue, value: (point) => point.read },
      { label: 'written', color: orange, value: (point) => point.write },
    ],
    format: perSecond,
  },
]

/** Use against limits, live, and the limits to be changed. */
export class LimitsTab {
  readonly root: HTMLElement
  readonly #form: LimitsForm
  readonly #charts = charts.map((spec) => new Chart(spec))
  readonly #facts = element('div')
  readonly #idle = element('p', {}, 'The container does not run: there is nothing to measure.')
  #points: Point[] = []

  constructor(save: (limits: LimitTexts) => void) {
    this.#form = new LimitsForm(save)
    const plots = element('div', { class: 'charts' }, ...this.#charts.map((chart) => chart.root))
    this.root = element(
      'div',
      {},
      element('h2', {}, 'Limits'),
      this.#form.root,
      element('h2', {}, 'Use'),
      this.#idle,
      this.#facts,
      plots,
    )
    new ResizeObserver(() => this.#fit()).observe(plots)
    const themed = new MutationObserver(() => this.#recolor())
    themed.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] })
  }

  setLimits(limits: LimitTexts, running: boolean): void {
    this.#form.show(limits)
    this.#idle.hidden = running
  }

  saved(warnings: readonly string[]): void {
    this.#form.saved(warnings)
  }

  refused(field: LimitField | null, sentence: string): void {
    this.#form.refused(field, sentence)
  }

  setPoints(points: readonly Point[]): void {
    this.#points = points.slice(-kept)
    this.#draw()
  }

  addPoint(point: Point): void {
    this.#points = [...this.#points, point].slice(-kept)
    this.#draw()
  }

  #draw(): void {
    for (const chart of this.#charts) chart.show(this.#points)
    const last = this.#points.at(-1)
    if (last) this.#facts.replaceChildren(definitions(factsOf(last)))
  }

  #fit(): void {
    for (const chart of this.#charts) chart.resize()
    this.#draw()
  }

  #recolor(): void {
    for (const chart of this.#charts) chart.forget()
    this.#draw()
  }
}

/** One that asks for somebody's attention. */
const warning = (text: string): Cell => element('span', { class: 'badge warning' }, text)

function factsOf(point: Point): { name: string; value: Cell }[] {
  const percent = (value: number | null): string => (value === null ? 'unknown' : `${Number(value.toFixed(1))} %`)
  const pressure = point.pressure
    ? [
        { name: 'Waits for processors', value: percent(point.pressure.cpu) },
        { name: 'Waits for memory', value: percent(point.pressure.memory) },
        { name: 'Waits for disks', value: percent(point.pressure.io) },
      ]
    : [{ name: 'Pressure', value: 'this kernel does not tell' }]
  return [
    { name: 'Throttled', value: `in ${percent(point.throttled * 100)} of the periods` },
    { name: 'Out-of-memory kills', value: point.oomKills > 0 ? warning(String(point.oomKills)) : '0' },
    { name: 'Memory at its limit', value: `${point.failures} times` },
    { name: 'Most memory ever', value: point.memoryPeak === null ? 'unknown' : formatMemory(point.memoryPeak) },
    ...pressure,
  ]
}
