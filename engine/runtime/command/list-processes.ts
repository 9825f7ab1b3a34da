/** `ps`: the processes of a container's control group, as numbers or as the lines that ps(1) has for them. */
import { writeSync } from 'node:fs'
import { EngineError } from '../../base/errors.ts'
import { findProgram, outputOf } from '../run-program.ts'
import type { Containers } from './containers.ts'
import type { ParsedFlags } from './flags.ts'

const out = 1

export function psVerb(containers: Containers, flags: ParsedFlags): number {
  const { cgroup } = containers.find(flags.args[0])
  const pids = cgroup.processes()
  const format = flags.text('format') ?? 'table'
  if (format === 'json') {
    writeSync(out, `${JSON.stringify(pids)}\n`)
    return 0
  }
  if (format !== 'table') throw new EngineError('invalid', 'invalid format option')
  const asked = flags.args.slice(1)
  const [title = '', ...lines] = outputOf(programPath(), asked.length === 0 ? ['-ef'] : asked).split('\n')
  const column = title.trim().split(/\s+/).indexOf('PID')
  if (column < 0) throw new EngineError('invalid', "couldn't find PID field in ps output")
  const ours = new Set(pids.map(String))
  const shown = lines.filter((line) => ours.has(line.trim().split(/\s+/)[column] ?? ''))
  writeSync(out, `${[title, ...shown].join('\n')}\n`)
  return 0
}

function programPath(): string {
  const path = findProgram('ps')
  if (path !== undefined) return path
  throw new EngineError('unavailable', 'exec: "ps": executable file not found in $PATH; --format json needs none')
}
