/** `ps`: the processes of a container's control group, as numbers or as the lines that ps(1) has for them. */
import { accessSync, constants, writeSync } from 'node:fs'
import { EngineError } from '../../base/errors.ts'
import { close, closeFrom, pipe, placeAt, read } from '../../kernel/descriptors.ffi.ts'
import { clone, execve, exit, reap } from '../../kernel/process.ffi.ts'
import { resetSignals } from '../../kernel/signals.ffi.ts'
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
  const [title = '', ...lines] = outputOf(asked.length === 0 ? ['-ef'] : asked).split('\n')
  const column = title.trim().split(/\s+/).indexOf('PID')
  if (column < 0) throw new EngineError('invalid', "couldn't find PID field in ps output")
  const ours = new Set(pids.map(String))
  const shown = lines.filter((line) => ours.has(line.trim().split(/\s+/)[column] ?? ''))
  writeSync(out, `${[title, ...shown].join('\n')}\n`)
  return 0
}

function programPath(): string {
  for (const directory of (process.env.PATH ?? '').split(':')) {
    try {
      accessSync(`${directory}/ps`, constants.X_OK)
      return `${directory}/ps`
    } catch {
      // Not in this one.
    }
  }
  throw new EngineError('unavailable', 'exec: "ps": executable file not found in $PATH; --format json needs none')
}

/** Both of its outputs together; throws where it fails. */
function outputOf(args: readonly string[]): string {
  const path = programPath()
  const ends = pipe()
  const { pid } = clone({ flags: 0n })
  if (pid === 0) becomeProgram(path, args, ends.writeEnd)
  close(ends.writeEnd)
  const parts: Buffer[] = []
  const chunk = Buffer.alloc(65536)
  for (let count = read(ends.readEnd, chunk); count > 0; count = read(ends.readEnd, chunk))
    parts.push(Buffer.from(chunk.subarray(0, count)))
  close(ends.readEnd)
  const text = Buffer.concat(parts).toString()
  const exitCode = reap({ pid, block: true })?.exitCode
  if (exitCode !== 0) throw new EngineError('invalid', `exit status ${exitCode}: ${text}`)
  return text
}

function becomeProgram(path: string, args: readonly string[], output: number): never {
  try {
    placeAt(output, 1)
    placeAt(output, 2)
    closeFrom(3)
    resetSignals()
    const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`)
    execve(path, ['ps', ...args], environment)
  } catch {
    exit(127)
  }
}
