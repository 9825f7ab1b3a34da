/** One way for every list to be printed: a table, ids, a template, or JSON. Pure but for the printing. */
import { compileTemplate } from './go-template.ts'
import { table } from './table.ts'

export type Column<Item> = { name: string; head: string; text: (item: Item) => string }
export type ListFlags = { format?: string; quiet?: boolean; noTrunc?: boolean }

/**
 * `columns` are all that a format can name; `shown` those of the table when none is given. With quiet, `id` is all.
 */
export function renderList<Item>(
  items: readonly Item[],
  columns: readonly Column<Item>[],
  shown: readonly string[],
  id: string,
  flags: ListFlags,
): string {
  const textOf = (item: Item, name: string): string => columns.find((column) => column.name === name)!.text(item)
  if (flags.quiet === true && flags.format === undefined) return items.map((item) => `${textOf(item, id)}\n`).join('')
  const format = flags.format ?? 'table'
  if (format === 'table') {
    const head = shown.map((name) => columns.find((column) => column.name === name)!.head)
    return table(
      head,
      items.map((item) => shown.map((name) => textOf(item, name))),
    )
  }
  const view = (item: Item): Record<string, string> =>
    Object.fromEntries(columns.map(({ name, text }) => [name, text(item)]))
  if (format === 'json') return items.map((item) => `${JSON.stringify(view(item))}\n`).join('')
  if (!format.startsWith('table ')) {
    const template = compileTemplate(tabs(format))
    return items.map((item) => `${template(view(item))}\n`).join('')
  }
  const template = compileTemplate(tabs(format.slice(6)))
  const head = template(Object.fromEntries(columns.map(({ name, head: title }) => [name, title]))).split('\t')
  return table(
    head,
    items.map((item) => fill(template(view(item)).split('\t'), head.length)),
  )
}

const fill = (cells: string[], length: number): string[] => [
  ...cells,
  ...Array<string>(Math.max(0, length - cells.length)).fill(''),
]

/** A shell hands `\t` over as two characters. */
const tabs = (format: string): string => format.replaceAll('\\t', '\t').replaceAll('\\n', '\n')
