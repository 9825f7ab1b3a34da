/** Programs of the machine, for what only they may do (newuidmap(1)) or know (ps(1)). Synchronous, for who may fork. */
import { accessSync, constants } from 'node:fs'
import { EngineError } from '../base/errors.ts'
import { close, closeFrom, pipe, placeAt, read } from '../kernel/descriptors.ffi.ts'
import { clone, execve, exit, reap } from '../kernel/process.ffi.ts'
import { resetSignals } from '../kernel/signals.ffi.ts'

/** Along PATH; undefined where there is none of that name. */
export function findProgram(name: string): string | undefined {
  for (const directory of (process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin').split(':')) {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK)
      return `${directory}/${name}`
    } catch {
      // Not in this one.
    }
  }
  return undefined
}

/** Both of its outputs together; throws invalid, with them, where it fails. */
export function outputOf(path: string, args: readonly string[]): string {
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
  if (exitCode !== 0) throw new EngineError('invalid', `${[path, ...args].join(' ')}: exit status ${exitCode}: ${text}`)
  return text
}

function becomeProgram(path: string, args: readonly string[], output: number): never {
  try {
    placeAt(output, 1)
    placeAt(output, 2)
    closeFrom(3)
    resetSignals()
    const environment = Object.entries(process.env).map(([name, value]) => `${name}=${value}`)
    execve(path, [path, ...args], environment)
  } catch {
    exit(127)
  }
}
