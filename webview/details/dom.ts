type Child = Node | string | null | undefined
type Properties = Record<string, string | number | boolean | ((event: Event) => void) | undefined>

/** Makes an element. A function is a listener by its event's name, `true` an attribute without a value, `false` none. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') made.addEventListener(name, value)
    else if (value === true) made.setAttribute(name, '')
    else if (value !== undefined && value !== false) made.setAttribute(name, String(value))
  }
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

export type Cell = string | Node

/** A table with a head for each column; the first cell of a row names the row. */
export function table(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly Cell[])[],
): HTMLTableElement {
  const head = element('tr', {}, ...columns.map((column) => element('th', { scope: 'col' }, column)))
  const body = rows.map((cells) =>
    element(
      'tr',
      {},
      ...cells.map((cell, index) => (index === 0 ? element('th', { scope: 'row' }, cell) : element('td', {}, cell))),
    ),
  )
  return element(
    'table',
    {},
    element('caption', {}, caption),
    element('thead', {}, head),
    element('tbody', {}, ...body),
  )
}

/** A list of names and values. */
export const definitions = (pairs: readonly { name: string; value: Cell }[]): HTMLElement =>
  element('dl', {}, ...pairs.flatMap(({ name, value }) => [element('dt', {}, name), element('dd', {}, value)]))

/** Milliseconds for a reader: `0.42 ms`, `12 ms`, `1.2 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`
  return `${milliseconds >= 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(2)} ms`
}

const memoryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const units = ['B', 'kB', 'MB', 'GB', 'TB']

/** Binary units, as memory is counted and limits are written: `512m` is `512 MiB`. */
export function formatMemory(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(memoryUnits.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** unit
  return `${Number(value.toFixed(unit === 0 || value >= 100 ? 0 : 1))} ${memoryUnits[unit]}`
}

/** Decimal units, as sizes on a disk are everywhere in Drydock. */
export function formatBytes(bytes: number): string {
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** unit
  return `${Number(value.toFixed(unit === 0 || value >= 100 ? 0 : 1))} ${units[unit]}`
}
