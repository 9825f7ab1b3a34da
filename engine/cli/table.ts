/** Columns as Docker's command line sets them: at least as wide as their head, three spaces apart. Pure. */

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]! + 3))
      .join('')
      .trimEnd()
  return [head, ...rows].map((cells) => `${line(cells)}\n`).join('')
}
