/** Medians, and how ours relates to each of the others, as lines of text. */

export type Row = { title: string; unit: string; values: ReadonlyMap<string, number> }

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const digits = (value: number): string => (value < 10 ? value.toFixed(1) : Math.round(value).toString())

function cell(row: Row, column: string, ours: string): string {
  const value = row.values.get(column)
  if (value === undefined) return '–'
  const own = row.values.get(ours)
  if (column === ours || own === undefined) return digits(value)
  // Above 1: ours is better.
  const ratio = row.unit.endsWith('/s') ? own / value : value / own
  return `${digits(value)} (${ratio.toFixed(1)}×)`
}

/** The first column is ours; behind each other's value stands how many times better ours is. */
export function tableLines(columns: readonly string[], rows: readonly Row[]): string[] {
  const body = rows.map((row) => [row.title, row.unit, ...columns.map((column) => cell(row, column, columns[0]!))])
  const lines = [['', '', ...columns], ...body]
  const widths = lines[0]!.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)))
  return lines.map((line) =>
    line.map((text, at) => (at < 2 ? text.padEnd(widths[at]!) : text.padStart(widths[at]!))).join('  '),
  )
}
