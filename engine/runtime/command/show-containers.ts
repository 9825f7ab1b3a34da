/** `state` and `list`. */
import { readFileSync, writeSync } from 'node:fs'
import { EngineError, messageOf } from '../../base/errors.ts'
import { isErrno } from '../../kernel/libc.ffi.ts'
import { stateView } from './container-status.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'
import { tell } from './log.ts'

const out = 1

export function stateVerb(containers: Containers, flags: ParsedFlags): number {
  const { record, status } = containers.find(flags.args[0])
  writeSync(out, JSON.stringify(stateView(record, status), null, 2))
  return 0
}

type Row = Record<string, unknown> & { owner: string }

export function listVerb(containers: Containers, flags: ParsedFlags): number {
  const rows = rowsOf(containers)
  if (flags.is('quiet')) {
    for (const { id } of rows) writeSync(out, `${id}\n`)
    return 0
  }
  const format = flags.text('format') ?? 'table'
  if (format === 'json') writeSync(out, `${JSON.stringify(rows.length === 0 ? null : rows)}\n`)
  else if (format === 'table') writeSync(out, table(rows))
  else throw new EngineError('invalid', 'invalid format option')
  return 0
}

function rowsOf(containers: Containers): Row[] {
  const rows: Row[] = []
  for (const { id, uid } of entries(containers)) {
    try {
      const { record, status } = containers.find(id)
      rows.push({ ...stateView(record, status), owner: ownerName(uid) })
    } catch (error) {
      // One that just goes, or is not yet there, must not hide the others.
      tell(2, `load container ${id}: ${messageOf(error)}\n`)
    }
  }
  return rows
}

/** A root that nobody has made yet has no containers. */
function entries(containers: Containers): { id: string; uid: number }[] {
  try {
    return containers.store.list()
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

function ownerName(uid: number): string {
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [name, , number] = line.split(':')
      if (name !== undefined && number === String(uid)) return name
    }
  } catch {
    // A machine without that file has no names.
  }
  return `#${uid}`
}

/** Columns of at least 12 characters, three blanks between. */
function table(rows: readonly Row[]): string {
  const lines = [
    ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
    ...rows.map(({ id, pid, status, bundle, created, owner }) => [id, pid, status, bundle, created, owner].map(String)),
  ]
  const widths = lines[0]!.map((_, column) => Math.max(12, ...lines.map((line) => line[column]!.length + 3)))
  return lines
    .map((line) => `${line.map((cell, column) => (column === 5 ? cell : cell.padEnd(widths[column]!))).join('')}\n`)
    .join('')
}
