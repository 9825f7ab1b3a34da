/** The lines of a pull, push or load, each layer's in its place when the output is a terminal. */
import type { IncomingMessage } from 'node:http'
import type { ProgressLine } from '../api/contract/docker.ts'
import { jsonLines, textOf } from './api-client.ts'
import { humanSize } from './units.ts'

const width = 50

function bar({ current = 0, total = 0 }: { current?: number; total?: number }): string {
  if (total <= 0) return current > 0 ? humanSize(current) : ''
  const done = Math.min(width, Math.floor((current / total) * width))
  return `[${'='.repeat(done)}>${' '.repeat(width - done)}] ${humanSize(current, 4).padStart(8)}/${humanSize(total, 4)}`
}

export const progressText = (line: ProgressLine): string => {
  const detail = bar(line.progressDetail ?? {})
  const status = `${line.status ?? ''}${detail === '' ? '' : ` ${detail}`}`
  return line.id === undefined ? status : `${line.id}: ${status}`
}

/** Throws the error that the stream ends with, if it does; wire fact 73. */
export async function showProgress(response: IncomingMessage, output: NodeJS.WriteStream): Promise<void> {
  const rows = new Map<string, number>()
  for await (const line of jsonLines<ProgressLine>(response)) {
    if (line.errorDetail !== undefined || line.error !== undefined)
      throw new Error(line.errorDetail?.message ?? line.error)
    if (line.stream !== undefined) output.write(line.stream)
    else if (line.status !== undefined) showLine(line, rows, output)
  }
}

/** As `showProgress`, without a word. */
export async function awaitProgress(response: IncomingMessage): Promise<void> {
  const last = (await textOf(response)).trim().split('\n').at(-1) ?? ''
  const { error } = JSON.parse(last === '' ? '{}' : last) as ProgressLine
  if (error !== undefined) throw new Error(error)
}

function showLine(line: ProgressLine, rows: Map<string, number>, output: NodeJS.WriteStream): void {
  const text = progressText(line)
  if (!output.isTTY) {
    // Without a terminal only what begins or ends something is worth a line.
    if (line.progressDetail?.current === undefined) output.write(`${text}\n`)
    return
  }
  if (line.id === undefined) {
    output.write(`${text}\n`)
    for (const [id, row] of rows) rows.set(id, row + 1)
    return
  }
  const row = rows.get(line.id)
  if (row === undefined) {
    for (const [id, other] of rows) rows.set(id, other + 1)
    rows.set(line.id, 1)
    output.write(`${text}\n`)
  } else output.write(`\x1b[${row}A\x1b[2K${text}\x1b[${row}B\r`)
}
