/**
 * A note in a container's directory of what exists besides its row, so that a daemon that was killed while it created or
 * removed the container can be finished by the next one: a directory without a row is a leftover.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isErrno } from '../kernel/libc.ffi.ts'
import { type Engine, stateDirectory } from './engine.ts'

const fileName = 'leftovers.json'

/** Anonymous volumes that go with the container. Written before they are made, and before the row goes. */
export function writeLeftovers(engine: Pick<Engine, 'root'>, id: string, volumes: readonly string[]): void {
  writeFileSync(join(stateDirectory(engine, id), fileName), JSON.stringify({ volumes }), { mode: 0o600 })
}

export function readLeftovers(engine: Pick<Engine, 'root'>, id: string): string[] {
  try {
    const text = readFileSync(join(stateDirectory(engine, id), fileName), 'utf8')
    return (JSON.parse(text) as { volumes: string[] }).volumes
  } catch (error) {
    // None was written, or not to its end: then nothing of it had been made.
    if (isErrno(error, 'ENOENT') || error instanceof SyntaxError) return []
    throw error
  }
}

/** Ids of the containers that have a directory. */
export function containerDirectories(path: string): string[] {
  try {
    return readdirSync(path).filter((name) => /^[0-9a-f]{64}$/.test(name))
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}
