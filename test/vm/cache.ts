/** What the beds are made of: downloaded and built once, each piece whole or not there, and made anew when its recipe changes. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const project = resolve(import.meta.dirname, '../..')
export const cache = resolve(process.env.DRYDOCK_VM ?? join(project, '.cache/vm'))

/** Temporary directories of killed runs stay: they are told from pieces by their names. */
const unfinished = '.new-'

/**
 * The directory NAME-KEY below the cache, where KEY stands for `recipe`. `make` fills an empty directory; pieces of the
 * same name and other recipes go when it has.
 */
export function piece(name: string, recipe: unknown, make: (directory: string) => void): string {
  const key = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12)
  const finished = join(cache, `${name}-${key}`)
  if (existsSync(finished)) return finished
  mkdirSync(cache, { recursive: true })
  const fresh = mkdtempSync(join(cache, `${unfinished}${name}-`))
  const began = performance.now()
  process.stdout.write(`Preparing ${name} … `)
  try {
    make(fresh)
    renameSync(fresh, finished)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  console.log(`${((performance.now() - began) / 1000).toFixed(0)} s`)
  for (const other of readdirSync(cache))
    if (other.startsWith(`${name}-`) && join(cache, other) !== finished)
      rmSync(join(cache, other), { recursive: true, force: true })
  return finished
}

/** A directory for one run; gone when disposed. */
export function runDirectory(): { path: string } & Disposable {
  const path = mkdtempSync(join(cache, 'run-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}
