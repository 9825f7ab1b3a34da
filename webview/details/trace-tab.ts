import type { SpanRow } from '../messages.ts'
import { element, formatDuration, table } from './dom.ts'

const colors = ['blue', 'green', 'orange', 'purple', 'yellow', 'red', 'plain']

/** The last start: each step a bar where it lies in time, and the same as a table. */
export function traceTab(rows: readonly SpanRow[], total: number): HTMLElement {
  if (rows.length === 0)
    return element('p', {}, 'There is no trace: the container was not started since the engine was.')
  const layers = [...new Set(rows.map((row) => row.layer))]
  const words = `The last start took ${formatDuration(total)} in ${rows.length} steps through ${layers.length} layers.`
  const bars = rows.map((row) => bar(row, total, colors[layers.indexOf(row.layer) % colors.length] ?? 'blue'))
  const cells = rows.map((row) => [
    `${'\u2003'.repeat(row.depth)}${row.name}`,
    row.layer,
    formatDuration(row.start),
    formatDuration(row.duration),
  ])
  return element(
    'div',
    {},
    element('p', {}, words),
    element(
      'div',
      { class: 'trace', role: 'img', 'aria-label': `${words} The table below has each of them.` },
      ...bars,
    ),
    table('Steps of the last start', ['step', 'layer', 'from', 'took'], cells),
  )
}

/** Places are percent of the whole; a bar too short to be seen is a line. */
function bar(row: SpanRow, total: number, color: string): HTMLElement {
  const whole = total > 0 ? total : 1
  const drawn = element('span', { class: `bar ${color}` })
  drawn.style.left = `${(row.start / whole) * 100}%`
  drawn.style.width = `${(row.duration / whole) * 100}%`
  const label = element('span', { class: 'bar-label' }, `${row.layer}: ${row.name}`)
  const took = element('span', { class: 'bar-time' }, formatDuration(row.duration))
  label.style.paddingLeft = `${row.depth * 10}px`
  return element('div', { class: 'bar-row' }, label, element('span', { class: 'bar-space' }, drawn), took)
}
