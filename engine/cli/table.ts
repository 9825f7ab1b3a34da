/** Columns as Docker's command line sets them: three spaces apart and at least ten wide, the last one unpadded. Pure. */

const gap = 3
const narrowest = 10

export function table(head: readonly string[], rows: readonly (readonly string[])[], atLeast = narrowest): string {
  const widths = head.map((title, column) =>
    Math.max(atLeast, ...[title, ...rows.map((row) => row[column]!)].map((cell) => cell.length + gap)),
  )
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === cells.length - 1 ? cell : cell.padEnd(widths[column]!))).join('')
  return [head, ...rows].map((cells) => `${line(cells)}\n`).join('')
}
