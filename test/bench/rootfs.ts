/** The few programs that containers of the peers run, with what they are linked to: an archive, made once. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { cache } from './place.ts'

const programs = ['/bin/sh', '/bin/true', '/bin/sleep', '/usr/bin/yes', '/usr/bin/head', '/usr/bin/awk']

export function rootfsArchive(): string {
  const path = join(cache, `rootfs-${programs.length}.tar`)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const { stdout } = spawnSync('ldd', programs, { encoding: 'utf8' })
  const libraries = new Set([...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library!))
  const members = [...programs, ...libraries].map((name) => name.slice(1))
  const result = spawnSync('tar', ['-chf', `${path}.new`, '-C', '/', ...members], { encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`tar: ${result.stderr}`)
  renameSync(`${path}.new`, path)
  return path
}
